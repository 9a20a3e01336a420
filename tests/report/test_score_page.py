"""Scores in characters: where on the line they stand."""

import pytest

from contracts.scores import Score
from report.score_page import PLOT_WIDTH, plot, score_page


@pytest.mark.parametrize(
    ("value", "low", "high", "drawn"),
    [
        (0.5, 0.4, 0.6, "┈" * 16 + "━━━━╋━━━━" + "┈" * 16),
        (0.0, 0.0, 0.05, "╋━━" + "┈" * 38),
        (1.0, 0.975, 1.0, "┈" * 39 + "━╋"),
        (0.25, None, None, "┈" * 10 + "╋" + "┈" * 30),
    ],
)
def test_a_line_by_hand(value, low, high, drawn):
    assert plot(value, low, high) == drawn and len(drawn) == PLOT_WIDTH


def test_every_score_has_its_row_and_what_is_lacking_is_said():
    fields = {"value": 0.5, "low": 0.4, "high": 0.6, "num_problems": 30}
    scores = [
        Score(policy=policy, benchmark=benchmark, metric=metric, **fields)
        for benchmark, metric in (("aime24", "mean@32"), ("gpqa-diamond", "accuracy"))
        for policy in ("base", "text_rl")
    ]
    lacking = scores[3].model_copy(update={"failures": {"time-out": 2}})
    page = score_page([*scores[:3], lacking])
    assert "**aime24: mean@32**" in page and "**gpqa-diamond: accuracy**" in page
    rest = f" | 40.0 to 60.0 | 30 | {plot(0.5, 0.4, 0.6)} |"
    assert page.count(f"| base | 50.0 %{rest}") == 2
    assert page.count(f"| text_rl | 50.0 %{rest}") == 1  # the other is not of the whole benchmark
    assert page.count(f"| text_rl | 50.0 % \\*{rest}") == 1
    assert "\\* text_rl on gpqa-diamond: 2 answer(s) did not come" in page
