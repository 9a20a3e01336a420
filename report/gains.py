"""What a stage gained on a benchmark: differences of accuracy on the same problems."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from report.evidence import Evidence
from training.evaluation.intervals import cluster_bootstrap

SEED = 0  # of the bootstrap: the same predictions give the same interval in every report


@dataclass(frozen=True, slots=True)
class Difference:
    """Accuracy after minus before, as fractions; the bounds are None when they are unknown."""

    benchmark: str
    before: str
    after: str
    value: float
    low: float | None = None
    high: float | None = None

    @property
    def verdict(self) -> str:
        """`up` or `down` when the 95 % interval excludes 0, else `not shown` or `no interval`."""
        if self.low is None or self.high is None:
            return "no interval"
        if self.low > 0:
            return "up"
        return "down" if self.high < 0 else "not shown"


def gain(evidence: Evidence, benchmark: str, before: str, after: str) -> Difference | None:
    """The gain between two policies on one benchmark, or None when either was not evaluated.

    The interval is the evaluation's own where it gave one, else the same paired bootstrap of the
    difference per problem. There is one only where the predictions reproduce the difference of the
    two scores: a benchmark whose score is no plain mean of right answers has none.
    """
    first, second = evidence.score(benchmark, before), evidence.score(benchmark, after)
    if first is None or second is None:
        return None
    value = second.value - first.value
    for one in evidence.gains:
        if (one.benchmark, one.over, one.policy) == (benchmark, before, after):
            return Difference(
                benchmark, before, after, value, one.low_points / 100, one.high_points / 100
            )
    differences = _paired_differences(evidence.predictions, benchmark, before, after)
    if len(differences) < 2 or abs(differences.mean() - value) > 1e-6:
        return Difference(benchmark, before, after, value)
    problems = [str(name) for name in differences.index]
    generator = np.random.default_rng(SEED)
    low, high = cluster_bootstrap(differences.to_list(), problems, generator)
    return Difference(benchmark, before, after, value, low, high)


def stage_gains(evidence: Evidence) -> dict[str, list[Difference]]:
    """For each policy after the base: its gains over the policy before it, one per benchmark."""
    return {
        after: [
            found
            for benchmark in evidence.benchmarks
            if (found := gain(evidence, benchmark, before, after)) is not None
        ]
        for before, after in pairwise(evidence.policies)
    }


def _paired_differences(
    predictions: pd.DataFrame | None, benchmark: str, before: str, after: str
) -> "pd.Series[float]":
    """After minus before for every problem that both answered, averaged over its samples."""
    if predictions is None:
        return pd.Series(dtype=float)
    chosen = predictions[
        (predictions["benchmark"] == benchmark) & predictions["policy"].isin([before, after])
    ]
    right = (chosen["outcome"] == "right").astype(float)
    table = right.groupby([chosen["problem_id"], chosen["policy"]]).mean().unstack("policy")
    if not {before, after} <= set(table.columns):
        return pd.Series(dtype=float)
    return (table[after] - table[before]).dropna()
