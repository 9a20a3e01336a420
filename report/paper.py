"""The paper's table with our rows beside it (arXiv 2506.04207, Table 1; 3B: its second version).

A cell of ours is filled by a benchmark that was asked in full, as often as the paper's, by its own
metric, and the average by all ten of them: a part of a benchmark is no result of it, nor is a file
of the same name.
"""

from collections.abc import Mapping, Sequence

from contracts.scores import Score
from report.blocks import Cell, Prose, Section, Table
from training.evaluation.metrics import METRICS, metric_named
from training.evaluation.registry import BENCHMARKS
from training.recipe.known_benchmarks import ITEMS

HEADINGS: Mapping[str, str] = {
    "mathverse": "MathVerse",
    "mathvision": "MathVision",
    "mathvista": "MathVista",
    "dynamath": "DynaMath",
    "we-math": "We-Math",
    "logicvista": "LogicVista",
    "aime24": "AIME24",
    "aime25": "AIME25",
    "gpqa-diamond": "GPQA",
    "math-500": "MATH-500",
}
# In percent, in the order of the headings.
PAPER: Mapping[str, tuple[float, ...]] = {
    "paper, base": (38.7, 26.6, 69.1, 12.6, 24.5, 35.6, 10.0, 6.7, 32.8, 67.2),
    "paper, 3B": (46.2, 46.0, 64.8, 24.6, 39.6, 45.4, 40.0, 36.7, 37.4, 84.2),
    "paper, 7B": (53.6, 48.8, 73.1, 27.5, 42.0, 52.3, 53.3, 43.3, 47.5, 89.2),
}
# k, answers to an item, where the paper has more than one (AIME: average@32).
SAMPLES: Mapping[str, int] = {"aime24": 32, "aime25": 32}
NOT_RUN = Cell("not run", "muted")
NOTE = (
    "In percent; averages are of all ten, the paper’s base is Qwen2.5-VL-7B. MathVerse: Vision "
    "Only; DynaMath: worst case; We-Math: strict; AIME: mean@32. A benchmark of which only a part "
    "was asked, or which was asked another number of times, or in which a question has no "
    "response, is in no average."
)


def beside_paper(ours: Mapping[str, Sequence[Score]]) -> Section:
    """The paper's rows and ours.

    Args:
        ours: Each row's scores, of one policy, by the row's name.
    """
    theirs = tuple((name, *map(_number, (_mean(row), *row))) for name, row in PAPER.items())
    rows = tuple((name, *_cells(scores)) for name, scores in ours.items())
    columns = ("", "average", *HEADINGS.values())
    table = Table("The paper’s benchmarks", columns, "l" + "r" * len(columns[1:]), theirs + rows)
    return Section("Beside the paper", "paper", (table, Prose(NOTE, "muted")))


def _cells(scores: Sequence[Score]) -> list[str | Cell]:
    by_name = {score.benchmark: score for score in scores}
    cells = [_cell(by_name.get(name)) for name in HEADINGS]
    is_whole = all(isinstance(cell, str) for cell in cells)
    known = [100 * by_name[name].value for name in HEADINGS if name in by_name]
    average = _number(_mean(known)) if is_whole else NOT_RUN
    return [average, *cells]


def _cell(score: Score | None) -> str | Cell:
    """The number, where it is of the paper's benchmark; else why it is not, in words."""
    if score is None:
        return NOT_RUN
    if score.kind != "shipped":
        return Cell(f"not the benchmark: of kind {score.kind or 'unknown'}", "muted")
    if score.num_failed:
        return Cell(f"not in full: {score.num_failed} answer(s) did not come", "bad")
    if score.num_problems != ITEMS[score.benchmark]:
        return Cell(f"not in full: {score.num_problems} of {ITEMS[score.benchmark]} items", "muted")
    if metric_named(score.metric) is not METRICS[BENCHMARKS[score.benchmark].METRIC]:
        return Cell(f"another metric: {score.metric}", "muted")
    asked = SAMPLES.get(score.benchmark, 1)
    if score.samples_per_problem != asked:
        found = score.samples_per_problem or "unknown"
        return Cell(f"another k: {found}, the paper’s is {asked}", "muted")
    return _number(100 * score.value)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _number(value: float) -> str:
    return f"{value:.1f}"
