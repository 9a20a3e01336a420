"""Scores for the Prefect UI, which shows Markdown and no pictures of ours: a table, with a plot in
characters beside every score.
"""

from collections.abc import Sequence

from contracts.scores import Score, unanswered
from report.blocks import Prose, Section, Table
from report.numbers import interval, percent, starred
from report.write_markdown import markdown_section

PLOT_WIDTH = 41  # characters from 0 to 100 %
AXIS, INTERVAL, VALUE = "┈━╋"  # of one width, in any font


def score_page(scores: Sequence[Score]) -> str:
    """Every policy on every benchmark as Markdown; a star marks where answers did not come.

    Args:
        scores: Of one evaluation, at least one.
    """
    tables = tuple(
        Table(
            f"{benchmark}: {', '.join(dict.fromkeys(one.metric for one in mine))}",
            ("policy", "score", "95 % interval", "n", "0 to 100 %"),
            "lrrrl",
            tuple(
                (
                    one.policy,
                    starred(percent(one.value), one),
                    interval(one.low, one.high),
                    one.n,
                    plot(one.value, one.low, one.high),
                )
                for one in mine
            ),
        )
        for benchmark in dict.fromkeys(one.benchmark for one in scores)
        for mine in ([one for one in scores if one.benchmark == benchmark],)
    )
    lacking = tuple(Prose(f"* {sentence}") for sentence in unanswered(scores))
    return markdown_section(Section("Scores", "scores", (*lacking, *tables)))


def plot(value: float, low: float | None, high: float | None) -> str:
    """A score and its interval on a line from 0 to 1."""
    middle = _place(value)
    first = middle if low is None else _place(low)
    last = middle if high is None else _place(high)
    return "".join(
        VALUE if place == middle else INTERVAL if first <= place <= last else AXIS
        for place in range(PLOT_WIDTH)
    )


def _place(value: float) -> int:
    return round(min(max(value, 0.0), 1.0) * (PLOT_WIDTH - 1))
