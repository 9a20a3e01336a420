"""The document of an ablation: one table of arms, one of gains, one beside the paper."""

from collections.abc import Callable, Iterator

from report.ablation import AblationResult, Comparison, Cost, Incomplete, Interval, Mean
from report.blocks import Block, Cell, Document, Prose, Section, Table
from report.numbers import MINUS, duration, p_value, percent, points, points_interval
from report.results import TONES

UNKNOWN = "–"
HOW = (
    "Accuracies are means over seeds, with 95 % t-intervals over seeds. A gain is paired by seed "
    "and item: its first interval is a t-interval over seeds, its second a bootstrap over items, "
    "each drawn with its answers of all seeds; p is the exact sign-flip test over items, with "
    "Holm’s correction over all rows. “up” and “down” mean that every interval there is excludes "
    "0 and that p is at most 0.05, “not shown” that one of them does not, or that there is no p, "
    "which is no proof that there is no gain. What a seed did not score in full is in no mean. "
    "Learner time is selection, scoring and updates; sampler time is rollouts; both leave out "
    "process starts, curation and evaluation. A stage that arms share counts in full in each."
)
PAPER = (
    "The paper’s numbers are averages of six multimodal benchmarks with a 7B model (arXiv "
    "2506.04207); ours are of the benchmark named, with the model of this grid’s recipe. Only the "
    "signs can be compared."
)


def document(result: AblationResult, *, title: str, subtitle: str) -> Document:
    """The page of an ablation.

    Args:
        result: What it found.
        title: Its heading.
        subtitle: Which run and code it is of.
    """
    sections = [
        Section("Arms", "arms", (_arms(result), Prose(HOW, "muted"))),
        Section("Gains", "gains", (_gains(result),)),
    ]
    if result.paper:
        blocks: tuple[Block, ...] = (_paper(result), Prose(PAPER, "muted"))
        sections.append(Section("Beside the paper", "paper", blocks))
    if result.failures:
        said = tuple(Prose(f"{name}: {why}", "bad") for name, why in result.failures.items())
        sections.append(Section("Arms that did not finish", "failures", said))
    return Document(title=title, subtitle=subtitle, sections=tuple(sections))


def _arms(result: AblationResult) -> Table:
    lacking = [one for one in result.incomplete if one.over is None]
    names = [one.benchmark for one in result.accuracies] + [one.benchmark for one in lacking]
    benchmarks = tuple(dict.fromkeys(names))
    cells: dict[tuple[str, str], str | Cell] = {
        **{(one.arm, one.benchmark): _accuracy(one.mean) for one in result.accuracies},
        **{(one.arm, one.benchmark): Cell(f"no mean: {one.reason}", "bad") for one in lacking},
    }
    rows = tuple(
        (
            arm,
            ", ".join(stages) or "none: the base policy",
            *(cells.get((arm, benchmark), UNKNOWN) for benchmark in benchmarks),
            *_cost(result.costs[arm]),
        )
        for arm, stages in result.arms.items()
    )
    costs = ("learner time", "learner tokens", "sampler time", "sampled tokens")
    columns = ("arm", "stages", *benchmarks, *costs)
    seeds = ", ".join(map(str, result.seeds))
    return Table(f"Accuracy and cost, seeds {seeds}", columns, "ll" + "r" * len(columns[2:]), rows)


def _gains(result: AblationResult) -> Table:
    columns = (
        *("arm", "over", "benchmark", "gain", "over seeds", "over items", "p (Holm)", "verdict"),
        *("extra learner time", "extra learner tokens"),
    )
    lacking = tuple(_not_compared(one) for one in result.incomplete if one.over is not None)
    rows = (*map(_gain, result.comparisons), *lacking)
    return Table("Gains in points", columns, "lllrrrrlrr", rows)


def _not_compared(one: Incomplete) -> tuple[str | Cell, ...]:
    cell = Cell(f"not compared: {one.reason}", "bad")
    nothing = (UNKNOWN,) * 4
    return (one.arm, one.over or UNKNOWN, one.benchmark, *nothing, cell, UNKNOWN, UNKNOWN)


def _gain(one: Comparison) -> tuple[str | Cell, ...]:
    return (
        one.arm,
        one.over,
        one.benchmark,
        _of_seeds(points(one.mean.value), one.mean),
        _interval(one.mean.over_seeds),
        _interval(one.mean.over_items),
        p_value(one.p),
        Cell(one.verdict, TONES.get(one.verdict, "muted")),
        _signed(one.extra.learner_seconds, duration),
        _signed(one.extra.learner_tokens, _count),
    )


def _paper(result: AblationResult) -> Table:
    columns = (
        *("arm", "over", "paper", "paper’s number", "paper’s gain"),
        *("benchmark", "our gain", "verdict", "same sign"),
    )
    rows = tuple(
        (
            one.arm,
            one.over or UNKNOWN,
            one.table,
            f"{one.percent:.1f}",
            UNKNOWN if one.paper_gain is None else points(one.paper_gain / 100),
            one.benchmark or UNKNOWN,
            UNKNOWN if one.our_gain is None else points(one.our_gain / 100),
            one.verdict or UNKNOWN,
            _same_sign(one.paper_gain, one.verdict),
        )
        for one in result.paper
    )
    return Table("The paper’s arms", columns, "lllrrlrll", rows)


def _same_sign(paper_gain: float | None, verdict: str | None) -> str:
    """Whether our gain shows the paper's sign; nothing where either has none."""
    if paper_gain is None or verdict is None:
        return UNKNOWN
    if verdict not in ("up", "down"):
        return "does not show"
    return "yes" if (paper_gain > 0) == (verdict == "up") else "no, the other"


def _accuracy(mean: Mean) -> str | Cell:
    if mean.over_seeds is None:
        return _of_seeds(percent(mean.value), mean)
    low, high = mean.over_seeds
    return _of_seeds(f"{percent(mean.value)} ± {50 * (high - low):.1f}", mean)


def _of_seeds(figure: str, mean: Mean) -> str | Cell:
    """The figure; where seeds are not in it, with their number."""
    if not mean.lacking:
        return figure
    num_asked = len(mean.seeds) + len(mean.lacking)
    return Cell(f"{figure} ({len(mean.seeds)} of {num_asked} seeds)", "bad")


def _interval(bounds: Interval | None) -> str:
    return UNKNOWN if bounds is None else points_interval(*bounds)


def _cost(cost: Cost) -> Iterator[str]:
    yield duration(cost.learner_seconds)
    yield _count(cost.learner_tokens)
    yield duration(cost.sampler_seconds)
    yield _count(cost.sampler_tokens)


def _count(number: float) -> str:
    """12345 as `12.3 K`, 1234567 as `1.23 M`."""
    if number < 1e3:
        return f"{number:.0f}"
    return f"{number / 1e3:.1f} K" if number < 1e6 else f"{number / 1e6:.2f} M"


def _signed(value: float, write: Callable[[float], str]) -> str:
    return f"{MINUS if value < 0 else '+'}{write(abs(value))}"
