"""What benchmarks report beside their score: pass@k, maj@k, looser scores, versions and steps."""

from collections.abc import Mapping, Sequence

from contracts.scores import Measure, Score
from report.blocks import Table
from report.evidence import Evidence
from report.numbers import interval, percent, starred

ABSENT = "–"


def measure_tables(evidence: Evidence) -> tuple[Table, ...]:
    """One table for each benchmark whose scores have further measures or parts."""
    tables = []
    for benchmark in evidence.benchmarks:
        scores = [score for score in evidence.scores if score.benchmark == benchmark]
        by_policy = {starred(score.policy, score): _measures(score) for score in scores}
        names = tuple(dict.fromkeys(name for found in by_policy.values() for name in found))
        if names:
            tables.append(_table(benchmark, names, by_policy))
    return tuple(tables)


def _measures(score: Score) -> dict[str, Measure]:
    """By name; the accuracy of a part has no interval."""
    parts = [
        Measure(metric=f"accuracy, part {name}", value=share.value, n=share.n)
        for name, share in score.by_part.items()
    ]
    return {one.metric: one for one in (*score.measures, *parts)}


def _table(
    benchmark: str, names: Sequence[str], by_policy: Mapping[str, Mapping[str, Measure]]
) -> Table:
    rows = []
    for name in names:
        of_name = [found.get(name) for found in by_policy.values()]
        # Of the rate of rote memorisation, n depends on the policy.
        counts = dict.fromkeys(str(one.n) for one in of_name if one is not None)
        rows.append((name, " / ".join(counts), *map(_cell, of_name)))
    return Table(
        f"{benchmark}: further measures, with 95 % intervals; n is what each is a mean over",
        ("measure", "n", *by_policy),
        "lr" + "r" * len(by_policy),
        tuple(rows),
    )


def _cell(measure: Measure | None) -> str:
    if measure is None or measure.value is None:
        return ABSENT
    if measure.low is None or measure.high is None:
        return percent(measure.value)
    return f"{percent(measure.value)} ({interval(measure.low, measure.high)})"
