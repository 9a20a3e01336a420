"""What a benchmark's judged answers are summed up by.

Every metric is a mean of values, each of which belongs to a cluster: one an answer for accuracies,
one a group for those that take a group as a whole. So the interval, and the gain of one policy over
another, are the same for all: whole clusters are drawn again.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TypeVar

import numpy as np

from contracts.errors import DataError
from contracts.scores import Measure
from training.evaluation.intervals import cluster_bootstrap, wilson
from training.evaluation.items import MULTI
from training.evaluation.prediction import Judged, Prediction, is_right
from training.evaluation.votes import Ballot, majority_right

VISION_ONLY = "Vision Only"
RowT = TypeVar("RowT", bound=Judged)


@dataclass(frozen=True)
class Value:
    """One summand of a metric, from 0 to 1, and the cluster that it belongs to."""

    cluster: str
    value: float


@dataclass(frozen=True)
class Metric:
    """A way of summing up.

    Attributes:
        name: What the number is called.
        values: Predictions of one policy on one benchmark -> summands, in a fixed order.
        more: Further measures beside it, from the same predictions.
        num_steps: Into how many equal steps 0 to 1 is divided: times this, every value is whole.
    """

    name: str
    values: Callable[[Sequence[Judged]], list[Value]]
    more: Callable[[Sequence[Prediction], np.random.Generator], list[Measure]]
    num_steps: int = 1


def measure(name: str, values: Sequence[Value], generator: np.random.Generator) -> Measure:
    """The mean of values with its 95 % interval; no value where there are none.

    Wilson's interval where every value is 0 or 1 and a cluster of its own, else that of
    `cluster_bootstrap`, drawn by the generator.
    """
    if not values:
        return Measure(metric=name, n=0)
    numbers, clusters = [one.value for one in values], [one.cluster for one in values]
    if len(set(clusters)) == len(clusters) and set(numbers) <= {0.0, 1.0}:
        low, high = wilson(round(sum(numbers)), len(numbers))
    else:
        low, high = cluster_bootstrap(numbers, clusters, generator)
    mean = sum(numbers) / len(numbers)
    return Measure(metric=name, value=mean, low=low, high=high, n=len(numbers))


def scored(predictions: Sequence[RowT]) -> list[RowT]:
    """Without the items to which no answer can be right."""
    return [row for row in predictions if row["rule"] != "none"]


def accuracy(predictions: Sequence[Judged]) -> list[Value]:
    """1 for each right answer: their mean is the accuracy, or mean@k of k answers."""
    return [Value(row["cluster"], float(is_right(row))) for row in scored(predictions)]


def vision_only(predictions: Sequence[Judged]) -> list[Value]:
    """As `accuracy`, on MathVerse's `Vision Only`."""
    return accuracy([row for row in predictions if row["part"] == VISION_ONLY])


def all_right(predictions: Sequence[Judged]) -> list[Value]:
    """1 for each cluster whose items are all right: DynaMath's worst case.

    With k answers to each item, the k-th of all items are one attempt at the cluster.
    """
    return [
        Value(cluster, float(all(map(is_right, rows)))) for cluster, rows in _attempts(predictions)
    ]


def four_way(predictions: Sequence[Judged], *, strict: bool = True) -> list[Value]:
    """We-Math's score: 1 for complete mastery, 0.5 for inadequate generalisation, else 0."""
    credit = {"CM": 1.0, "IG": 0.5, "RM": 0.0, "IK": 0.0}
    return [
        Value(cluster, credit[mastery(_steps(cluster, rows), strict=strict)])
        for cluster, rows in _attempts(predictions)
    ]


def mastery(parts: Mapping[str, bool], *, strict: bool) -> str:
    """Which of We-Math's four cases an attempt at a problem is.

    Args:
        parts: Whether each step, and the whole problem (`multi`), was right.
        strict: Whether mastery takes all steps; else one is enough.

    Returns:
        `IK`, insufficient knowledge: the whole and some step wrong. `IG`, inadequate
        generalisation: the whole wrong, all steps right. `CM`, complete mastery: the whole and all
        (loose: some) steps right. `RM`, rote memorisation: the whole right, the steps otherwise.
    """
    steps = [right for part, right in parts.items() if part != MULTI]
    if not parts[MULTI]:
        return "IG" if all(steps) else "IK"
    return "CM" if (all(steps) if strict else any(steps)) else "RM"


def pass_at(num_samples: int, num_right: int, k: int) -> float:
    """The chance that one of k answers is right, without bias (Chen et al., arXiv 2107.03374).

    Args:
        num_samples: n, answers that were drawn.
        num_right: c, how many of them are right.
        k: At most n.
    """
    n, c = num_samples, num_right
    if n - c < k:
        return 1.0
    return 1.0 - prod(1.0 - k / i for i in range(n - c + 1, n + 1))


@dataclass(frozen=True)
class Unit:
    """What is right or wrong as a whole: an item, or a group of items that must all be right.

    Attributes:
        cluster: What it belongs to.
        attempts: Whether each of its k attempts was right.
        voted: Whether its majority answers are right, or the chance of it where votes are equal.
    """

    cluster: str
    attempts: Sequence[bool]
    voted: float


def items_of(predictions: Sequence[Prediction]) -> list[Unit]:
    """Each item by itself."""
    by_item: dict[str, list[Prediction]] = defaultdict(list)
    for row in predictions:
        by_item[row["problem_id"]].append(row)
    return [
        Unit(rows[0]["cluster"], [is_right(row) for row in rows], _voted(rows))
        for rows in by_item.values()
    ]


def groups_of(predictions: Sequence[Prediction]) -> list[Unit]:
    """Each cluster as a whole; the k-th answers to all of its items are one attempt."""
    attempts: dict[str, list[bool]] = defaultdict(list)
    for cluster, rows in _attempts(predictions):
        attempts[cluster].append(all(map(is_right, rows)))
    votes: dict[str, list[float]] = defaultdict(list)
    for item in items_of(predictions):
        votes[item.cluster].append(item.voted)
    return [Unit(name, rights, prod(votes[name])) for name, rights in attempts.items()]


def _voted(rows: Sequence[Prediction]) -> float:
    # What the rule found to be no choice is none here: `C. 60`, where 60 is another's, is no C. Nor
    # is what it cannot read, such as a phrase where a number is asked for, an answer.
    ballots = [
        Ballot(row["extracted"], is_right(row), row["chosen"])
        for row in rows
        if row["outcome"] != "unparseable"
    ]
    return majority_right(ballots, rows[0]["rule"])


def pass_and_majority(
    predictions: Sequence[Prediction],
    units_of: Callable[[Sequence[Prediction]], list[Unit]],
    generator: np.random.Generator,
    of: str = "",
) -> list[Measure]:
    """pass@2, pass@4, ... up to pass@k, and maj@k; nothing where there is one answer to each item.

    Args:
        predictions: As many answers to every item.
        units_of: What of them is right or wrong.
        generator: Draws the bootstrap's resamples.
        of: Of which score they are, behind their names.
    """
    num_samples = min(Counter(row["problem_id"] for row in predictions).values(), default=1)
    if num_samples == 1:
        return []
    units = units_of(predictions)
    powers = [2**n for n in range(1, num_samples.bit_length()) if 2**n < num_samples]
    found = []
    for k in [*powers, num_samples]:
        values = [
            Value(unit.cluster, pass_at(len(unit.attempts), sum(unit.attempts), k))
            for unit in units
        ]
        found.append(measure(f"pass@{k}{of}", values, generator))
    votes = [Value(unit.cluster, unit.voted) for unit in units]
    return [*found, measure(f"maj@{num_samples}{of}", votes, generator)]


def _of_answers(predictions: Sequence[Prediction], generator: np.random.Generator) -> list[Measure]:
    """pass@k and maj@k; where items are left out because no answer can be right to them, also the
    accuracy with them as wrong.
    """
    found = []
    kept = scored(predictions)
    if len(kept) < len(predictions):
        values = [Value(row["cluster"], float(is_right(row))) for row in predictions]
        found.append(measure("accuracy, unscorable items as wrong", values, generator))
    return found + pass_and_majority(kept, items_of, generator)


def _of_versions(
    predictions: Sequence[Prediction], generator: np.random.Generator
) -> list[Measure]:
    """pass@k and maj@k of the version that counts, and the same of all of them."""
    own = [row for row in scored(predictions) if row["part"] == VISION_ONLY]
    return [
        *pass_and_majority(own, items_of, generator, f", {VISION_ONLY}"),
        *_average(predictions, generator),
    ]


def _of_groups(
    predictions: Sequence[Prediction], generator: np.random.Generator, *, of: str
) -> list[Measure]:
    """pass@k and maj@k of groups that must be right as a whole, and the same of their items."""
    return [
        *pass_and_majority(predictions, groups_of, generator, f", {of}"),
        *_average(predictions, generator),
    ]


def _average(predictions: Sequence[Prediction], generator: np.random.Generator) -> list[Measure]:
    """The accuracy over all items, with pass@k and maj@k."""
    return [
        measure("average accuracy", accuracy(predictions), generator),
        *pass_and_majority(scored(predictions), items_of, generator, ", average"),
    ]


def _of_masteries(
    predictions: Sequence[Prediction], generator: np.random.Generator
) -> list[Measure]:
    """The loose score, and the rate of each case, strict and loose.

    The rate of rote memorisation is RM / (RM + CM): of the problems that were right as a whole.
    Where there are none it has no value, and n = 0 says why.
    """
    attempts = [(cluster, _steps(cluster, rows)) for cluster, rows in _attempts(predictions)]
    found = [measure("score, loose", four_way(predictions, strict=False), generator)]
    for strict in (True, False):
        word = "strict" if strict else "loose"
        cases = [(cluster, mastery(parts, strict=strict)) for cluster, parts in attempts]
        for case in ("IK", "IG", "CM"):
            values = [Value(cluster, float(one == case)) for cluster, one in cases]
            found.append(measure(f"{case}, {word}", values, generator))
        whole = [Value(name, float(one == "RM")) for name, one in cases if one in ("CM", "RM")]
        found.append(measure(f"RM rate, {word}", whole, generator))
    return found


def _attempts(predictions: Sequence[Judged]) -> list[tuple[str, list[Judged]]]:
    """For every cluster and number of answer: the answers to its items."""
    found: dict[tuple[str, int], list[Judged]] = defaultdict(list)
    for row in predictions:
        found[row["cluster"], row["sample"]].append(row)
    return [(cluster, rows) for (cluster, _), rows in found.items()]


def _steps(cluster: str, rows: Sequence[Judged]) -> dict[str, bool]:
    """Which steps of a problem, and whether the whole (`multi`), are right."""
    parts = {row["part"] or "": is_right(row) for row in rows}
    if len(parts) < len(rows) or MULTI not in parts:
        raise DataError(
            f"The group {cluster[:200]} has the parts {sorted(row['part'] or '' for row in rows)}.",
            where="the benchmark's predictions",
            rule=f"each step of a problem is asked once, and so is the whole, `{MULTI}`",
            fix="evaluate the benchmark again, from files that hold every row once",
        )
    return parts


def _whole_groups(name: str) -> Metric:
    return Metric(name, all_right, partial(_of_groups, of=name))


METRICS: Mapping[str, Metric] = {
    "accuracy": Metric("accuracy", accuracy, _of_answers),
    "vision_only": Metric(f"accuracy, {VISION_ONLY}", vision_only, _of_versions),
    "all_right": _whole_groups("groups all right"),
    "worst_case": _whole_groups("worst case"),
    "four_way": Metric("score, strict", four_way, _of_masteries, num_steps=2),
}
_MEAN_AT = re.compile(r"mean@\d+")


def metric_named(name: str) -> Metric | None:
    """The metric of a score's name, of which `mean@k` is the accuracy of k answers; or None."""
    if _MEAN_AT.fullmatch(name):
        return METRICS["accuracy"]
    return next((one for one in METRICS.values() if one.name == name), None)
