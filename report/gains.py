"""What a policy gains over another on the same problems: the difference, its interval, its p."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple, cast

import numpy as np
import pandas as pd

from contracts.errors import DataError
from contracts.scores import Gain, Score
from report.evidence import Evidence
from training.evaluation.intervals import cluster_bootstrap
from training.evaluation.metrics import Value, accuracy, metric_named
from training.evaluation.paired import holm, sign_flip_p
from training.evaluation.prediction import Judged

MAX_ROUNDING = 1e-6  # of a score that somebody wrote with fewer digits
ALPHA = 0.05  # of p after Holm's correction: the chance of one false verdict in a comparison
SEED = 0  # of the bootstrap: the same predictions give the same interval in every report


@dataclass(frozen=True, slots=True)
class Difference:
    """A score after minus before, as fractions; what is unknown is None.

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
        """See `verdict_of`."""
        if self.low is None or self.high is None:
            return verdict_of([], self.p)
        return verdict_of([(self.low, self.high)], self.p)


class Refused(NamedTuple):
    """Why there is no gain on a benchmark."""

    benchmark: str
    reason: str


Found = Difference | Refused


def verdict_of(intervals: Iterable[tuple[float, float]], p: float | None) -> str:
    """Whether a gain is shown: `up`, `down`, `not shown` or `no interval`.

    Of ten benchmarks that differ by nothing, at least one interval excludes 0 in two comparisons of
    five: so p has to say it, too, and where it is unknown nothing is shown.

    Args:
        intervals: The gain's 95 % intervals, all that there are.
        p: Two-sided, after Holm's correction over all that is compared; None where the answers
            are not at hand.
    """
    known = list(intervals)
    if not known:
        return "no interval"
    if p is None or p > ALPHA:
        return "not shown"
    if all(low > 0 for low, _ in known):
        return "up"
    return "down" if all(high < 0 for _, high in known) else "not shown"


def gains(evidence: Evidence, before: str, after: str) -> list[Found]:
    """The gains between two policies of a run, one per benchmark that evaluated both.

    There is none where answers did not come: an endpoint that was away is no worse policy. The
    interval is the evaluation's own where it gave one, else the same paired bootstrap.
    """
    found: list[Found] = []
    for benchmark in evidence.benchmarks:
        first, second = evidence.score(benchmark, before), evidence.score(benchmark, after)
        if first is None or second is None:
            continue
        if reason := incomplete({before: first, after: second}):
            found.append(Refused(benchmark, reason))
            continue
        one = difference(
            first,
            second,
            answers_of(evidence.predictions, benchmark, before),
            answers_of(evidence.predictions, benchmark, after),
        )
        found.append(_with_own_interval(one, evidence.gains))
    return corrected(found)


def stage_gains(evidence: Evidence) -> dict[str, list[Found]]:
    """For each policy after the base: its gains over the policy before it, one per benchmark."""
    return {after: gains(evidence, before, after) for before, after in pairwise(evidence.policies)}


def incomplete(scores: Mapping[str, Score | None]) -> str | None:
    """In words, whose evaluation is missing or lacks responses; None where all are whole.

    Args:
        scores: On one benchmark, by whose they are.
    """
    if absent := [name for name, one in scores.items() if one is None]:
        return f"{' and '.join(absent)} did not evaluate it"
    known = {name: one.num_failed for name, one in scores.items() if one is not None}
    lacking = [f"{name} lacks {number}" for name, number in known.items() if number]
    return f"answers that did not come: {', '.join(lacking)}" if lacking else None


def other_verdicts(scores: Mapping[str, Score | None]) -> str | None:
    """In words, by what the answers were judged where it was not the same for all; else None.

    Args:
        scores: On one benchmark, by whose they are.
    """
    known = {name: one for name, one in scores.items() if one is not None}
    if len({one.judge for one in known.values()}) > 1:
        told = [f"{name} by {one.judge or 'none'}" for name, one in known.items()]
        return f"another judge: {', '.join(told)}"
    found = {name: one.verdicts for name, one in known.items()}
    if unknown := [name for name, one in found.items() if one is None or one.code is None]:
        return f"by which code {' and '.join(unknown)} was judged is unknown: evaluate it again"
    if len({one.code for one in found.values() if one}) > 1:
        return (
            f"judged by other code: evaluate {' and '.join(found)} again; if only the version of "
            "math-verify or sympy differs, with `--reuse none`"
        )
    if len({one.rules for one in found.values() if one}) > 1:
        return "judged by other rules: tolerance, decimals, unit, choices or `accept_rounded`"
    return None


def answers_of(predictions: pd.DataFrame | None, benchmark: str, policy: str) -> pd.DataFrame:
    """One policy's rows on one benchmark, by problem; `sample` numbers a problem's answers."""
    if predictions is None:
        return pd.DataFrame({"problem_id": [], "sample": []})
    chosen = predictions[
        (predictions["benchmark"] == benchmark) & (predictions["policy"] == policy)
    ]
    # Two runs may have asked the same problems in another order.
    chosen = chosen.sort_values("problem_id", kind="stable", ignore_index=True)
    return chosen.assign(sample=chosen.groupby("problem_id").cumcount())


def difference(
    before: Score, after: Score, answers_before: pd.DataFrame, answers_after: pd.DataFrame
) -> Difference:
    """One score minus another, with interval and uncorrected p over clusters of problems.

    Both are of the scores' own metric, worked out again from the answers. There is neither where
    the metric is unknown or another one, where the policies answered other problems, or were asked
    in other words, with other pictures or in other clusters, where the answers do not tell what the
    metric needs, where an answer did not come, or where the files contradict each other: the
    answers give another score than the one written beside them.

    Args:
        before: The score compared with.
        after: The other.
        answers_before: `answers_of` the first.
        answers_after: `answers_of` the second.
    """
    one = Difference(before.benchmark, before.policy, after.policy, after.value - before.value)
    found = changes_of(before, after, answers_before, answers_after)
    if found is None:
        return one
    low, high = found.interval()
    return replace(one, low=low, high=high, p=found.p())


@dataclass(frozen=True)
class Changes:
    """What each summand of a score has changed by, from one policy to another.

    Fields:
        values: Differences, as fractions [N].
        clusters: The cluster of each [N].
        num_steps: Times this, every value is whole.
    """

    values: tuple[float, ...]
    clusters: tuple[str, ...]
    num_steps: int

    def interval(self) -> tuple[float, float]:
        """The 95 % interval of their mean, over whole clusters."""
        generator = np.random.default_rng(SEED)
        return cluster_bootstrap(self.values, self.clusters, generator, least=-1.0)

    def p(self) -> float:
        """Two-sided, by the exact sign-flip test over clusters; not corrected."""
        return sign_flip_p([round(self.num_steps * one) for one in self.values], self.clusters)


def changes_of(
    before: Score, after: Score, answers_before: pd.DataFrame, answers_after: pd.DataFrame
) -> Changes | None:
    """The changes behind a `difference`, of the same arguments; None where they cannot be told."""
    metric = metric_named(before.metric)
    asked = ["problem_id", "sample"]
    if "prompt_digest" in answers_before and "prompt_digest" in answers_after:
        asked.append("prompt_digest")
    if metric is None or metric is not metric_named(after.metric):
        return None
    if before.num_failed or after.num_failed:  # an endpoint that was away is no worse policy
        return None
    if answers_before.empty or not answers_before[asked].equals(answers_after[asked]):
        return None
    first, second = values_of(before, answers_before), values_of(after, answers_after)
    clusters = tuple(value.cluster for value in first)
    if not clusters or clusters != tuple(value.cluster for value in second):
        return None
    changes = tuple(new.value - old.value for old, new in zip(first, second, strict=True))
    return Changes(changes, clusters, metric.num_steps)


def values_of(score: Score, answers: pd.DataFrame) -> list[Value]:
    """The summands of a score; none where the answers cannot tell them."""
    metric = metric_named(score.metric)
    if metric is None or answers.empty:
        return []
    if metric.values is not accuracy and not {"cluster", "part"} <= set(answers.columns):
        return []
    # Predictions of older versions name no cluster: each problem is its own.
    columns = {"cluster": answers["problem_id"], "part": None, "rule": ""}
    lacking = {name: column for name, column in columns.items() if name not in answers.columns}
    fields = ["problem_id", "sample", "cluster", "part", "rule", "outcome"]
    rows = cast("list[Judged]", answers.assign(**lacking)[fields].to_dict("records"))
    try:
        values = metric.values(rows)
    except DataError:  # groups that are not whole
        return []
    mean = sum(value.value for value in values) / max(len(values), 1)
    return values if abs(mean - score.value) <= MAX_ROUNDING else []


def corrected(family: Sequence[Found]) -> list[Found]:
    """The same, the differences' p corrected over all of them that have one."""
    known = [one.p for one in family if isinstance(one, Difference) and one.p is not None]
    adjusted = iter(holm(known))
    return [
        one if isinstance(one, Refused) or one.p is None else replace(one, p=next(adjusted))
        for one in family
    ]


def _with_own_interval(one: Difference, own: Sequence[Gain]) -> Difference:
    bounds: Mapping[tuple[str, str, str], Gain] = {
        (gain.benchmark, gain.over, gain.policy): gain for gain in own
    }
    gain = bounds.get((one.benchmark, one.before, one.after))
    if gain is None:
        return one
    return replace(one, low=gain.low_points / 100, high=gain.high_points / 100)
