"""What a policy gains over another on the same problems: the difference, its interval, its p."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from contracts.scores import Gain, Score
from report.evidence import Evidence
from training.evaluation.intervals import cluster_bootstrap
from training.evaluation.paired import holm, sign_flip_p

SEED = 0  # of the bootstrap: the same predictions give the same interval in every report


@dataclass(frozen=True, slots=True)
class Difference:
    """Accuracy after minus before, as fractions; what is unknown is None.

    Fields:
        benchmark: Its name.
        before: Name of the policy compared with.
        after: Name of the other.
        value: The difference of their scores.
        low: Lower bound of its 95 % interval.
        high: Upper bound.
        p: Two-sided, after Holm's correction over the benchmarks of the comparison.
    """

    benchmark: str
    before: str
    after: str
    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None

    @property
    def verdict(self) -> str:
        """`up` or `down` when the 95 % interval excludes 0, else `not shown` or `no interval`."""
        if self.low is None or self.high is None:
            return "no interval"
        if self.low > 0:
            return "up"
        return "down" if self.high < 0 else "not shown"


def gains(evidence: Evidence, before: str, after: str) -> list[Difference]:
    """The gains between two policies of a run, one per benchmark that evaluated both.

    The interval is the evaluation's own where it gave one, else the same paired bootstrap.
    """
    found = []
    for benchmark in evidence.benchmarks:
        first, second = evidence.score(benchmark, before), evidence.score(benchmark, after)
        if first is None or second is None:
            continue
        one = difference(
            first,
            second,
            answers_of(evidence.predictions, benchmark, before),
            answers_of(evidence.predictions, benchmark, after),
        )
        found.append(_with_own_interval(one, evidence.gains))
    return corrected(found)


def stage_gains(evidence: Evidence) -> dict[str, list[Difference]]:
    """For each policy after the base: its gains over the policy before it, one per benchmark."""
    return {after: gains(evidence, before, after) for before, after in pairwise(evidence.policies)}


def answers_of(predictions: pd.DataFrame | None, benchmark: str, policy: str) -> pd.DataFrame:
    """By problem: `right` and `count`, the right answers and all answers of one policy; `cluster`.

    Predictions of older versions name no cluster: each problem is its own.
    """
    if predictions is None:
        return pd.DataFrame({"right": [], "count": [], "cluster": []})
    chosen = predictions[
        (predictions["benchmark"] == benchmark) & (predictions["policy"] == policy)
    ]
    problems = chosen["problem_id"]
    right = (chosen["outcome"] == "right").groupby(problems)
    clusters = chosen.get("cluster", problems)
    return pd.DataFrame(
        {
            "right": right.sum().astype(int),
            "count": right.size(),
            "cluster": clusters.groupby(problems).first().astype(str),
        }
    )


def difference(
    before: Score, after: Score, answers_before: pd.DataFrame, answers_after: pd.DataFrame
) -> Difference:
    """One score minus another, with interval and uncorrected p over clusters of problems.

    There are both only where the policies answered the same problems as often, and where their
    answers reproduce the difference of the scores: a benchmark whose score is no plain mean of
    right answers has neither.

    Args:
        before: The score compared with.
        after: The other.
        answers_before: `answers_of` the first.
        answers_after: `answers_of` the second.
    """
    one = Difference(before.benchmark, before.policy, after.policy, after.value - before.value)
    if len(answers_before) < 2 or not answers_before["count"].equals(answers_after["count"]):
        return one
    changes = answers_after["right"] - answers_before["right"]
    shares = changes / answers_before["count"]
    if abs(shares.mean() - one.value) > 1e-6:
        return one
    clusters = answers_before["cluster"].to_list()
    generator = np.random.default_rng(SEED)
    low, high = cluster_bootstrap(shares.to_list(), clusters, generator)
    return replace(one, low=low, high=high, p=sign_flip_p(changes.to_list(), clusters))


def corrected(family: Sequence[Difference]) -> list[Difference]:
    """The same differences, their p corrected over all of them that have one."""
    adjusted = iter(holm([one.p for one in family if one.p is not None]))
    return [one if one.p is None else replace(one, p=next(adjusted)) for one in family]


def _with_own_interval(one: Difference, own: Sequence[Gain]) -> Difference:
    bounds: Mapping[tuple[str, str, str], Gain] = {
        (gain.benchmark, gain.over, gain.policy): gain for gain in own
    }
    gain = bounds.get((one.benchmark, one.before, one.after))
    if gain is None:
        return one
    return replace(one, low=gain.low_points / 100, high=gain.high_points / 100)
