"""From judged responses to scores: a metric with its interval, by level, by family, and gains."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from contracts.errors import DataError
from contracts.scores import Gain, Measure, Score, Share
from training.answers import count_outcomes
from training.evaluation.intervals import cluster_bootstrap
from training.evaluation.metrics import METRICS, Value, accuracy, measure, scored
from training.evaluation.prediction import Prediction, is_right


def score_of(
    predictions: Sequence[Prediction],
    metric: str,
    generator: np.random.Generator,
    judge: str | None = None,
    kind: Literal["shipped", "file"] = "shipped",
) -> Score:
    """One policy on one benchmark: its metric with an interval, and what stands beside it.

    A response that is wrong, holds no answer, or whose verification timed out is not right; the
    outcomes are counted apart.

    Args:
        predictions: One policy's predictions on one benchmark, at least one; as many of every
            problem.
        metric: One of `training.evaluation.metrics.METRICS`.
        generator: Draws the bootstrap's resamples.
        judge: Who looked at responses in which the rules found no answer; None for nobody.
        kind: The benchmark's.
    """
    how = METRICS[metric]
    values = how.values(predictions)
    num_problems = len({row["problem_id"] for row in predictions})
    num_samples = len(predictions) // num_problems
    main = measure(how.name, values, generator)
    if main.value is None:
        raise DataError(
            f"Nothing of the benchmark {predictions[0]['benchmark']} counts for its score.",
            where=f"recipe, evaluation.benchmarks, {predictions[0]['benchmark']}",
            rule=f"`{how.name}` is a mean over at least one item",
            fix="raise num_problems, or name all of the benchmark's files",
        )
    is_mean = how.values is accuracy
    kept = scored(predictions)
    came = [row for row in predictions if not row["failure"]]  # what did not has no length
    share = _mean([is_right(row) for row in predictions])
    readings = [row["reading_right"] for row in predictions if row["reading_right"] is not None]
    return Score(
        policy=predictions[0]["policy"],
        benchmark=predictions[0]["benchmark"],
        metric=f"mean@{num_samples}" if is_mean and num_samples > 1 else how.name,
        value=main.value,
        low=main.low,
        high=main.high,
        num_problems=num_problems,
        num_scored=main.n // num_samples,
        samples_per_problem=num_samples,
        kind=kind,
        accuracy=None if is_mean and main.n == len(predictions) else share,
        outcomes={
            str(k): n for k, n in count_outcomes([row["outcome"] for row in predictions]).items()
        },
        truncated=_mean([row["truncated"] for row in came]) if came else None,
        mean_tokens=_mean([row["num_tokens"] for row in came]) if came else None,
        by_level=_shares(kept, lambda row: row["level"]),
        by_family=_shares(kept, lambda row: row["family"]),
        by_part=_shares(kept, lambda row: row["part"]),
        measures=(
            *how.more(predictions, generator),
            *(_of_judge(predictions, metric, generator) if judge else ()),
        ),
        reading=_mean(readings) if readings else None,
        failures=_failures(predictions),
        findings=dict(
            sorted(
                Counter(
                    row["judge_finding"]
                    for row in predictions
                    if row["judge_finding"] and _asked_for_want(row)
                ).items()
            )
        ),
        judge=judge,
    )


def _failures(predictions: Sequence[Prediction]) -> dict[str, int]:
    """Why answers did not come: what stands before a colon, which may quote anything."""
    whys = [row["failure"] for row in predictions if row["failure"]]
    return dict(sorted(Counter(why.partition(":")[0] for why in whys).items()))


def _asked_for_want(row: Prediction) -> bool:
    """Whether the judge was asked because the rules read no answer, and not to compare them."""
    return row["judged_by"] == "judge" or row["outcome"] == "unparseable"


def _of_judge(
    predictions: Sequence[Prediction], metric: str, generator: np.random.Generator
) -> list[Measure]:
    """What the judge changed, and how often it agrees with the rules where both can tell.

    The agreement is over the responses that were drawn to compare them: equal verdicts. Where the
    judge finds nothing in a response that the rules can read, they disagree.
    """
    by_rules: list[Prediction] = [
        {**row, "outcome": "unparseable"} if row["judged_by"] == "judge" else row
        for row in predictions
    ]
    how = METRICS[metric]
    agreed = [
        Value(row["cluster"], float(row["judge_outcome"] == row["outcome"]))
        for row in predictions
        if row["judge_finding"] not in (None, "failed") and not _asked_for_want(row)
    ]
    decided = [Value(row["cluster"], float(row["judged_by"] == "judge")) for row in predictions]
    return [
        measure(f"{how.name}, by rules alone", how.values(by_rules), generator),
        measure("answers found by the judge", decided, generator),
        measure("judge agrees with the rules", agreed, generator),
    ]


def paired_gain(
    policy: Sequence[Prediction],
    over: Sequence[Prediction],
    metric: str,
    generator: np.random.Generator,
) -> Gain:
    """Difference of two values of a metric on the same problems, with a paired bootstrap interval.

    Args:
        policy: Predictions of the policy, in the benchmark's order.
        over: Predictions of the policy to compare with, in the same order.
        metric: As in `score_of`.
        generator: Draws the bootstrap's resamples.
    """
    values = METRICS[metric].values
    pairs = list(zip(values(policy), values(over), strict=True))
    differences = [one.value - other.value for one, other in pairs]
    clusters = [one.cluster for one, _ in pairs]
    low, high = cluster_bootstrap(differences, clusters, generator, least=-1.0)
    return Gain(
        policy=policy[0]["policy"],
        over=over[0]["policy"],
        benchmark=policy[0]["benchmark"],
        points=100.0 * _mean(differences),
        low_points=100.0 * low,
        high_points=100.0 * high,
    )


_GIVEN = re.compile(r"Given:(.*?)(?:\.(?=\s|<|$)|<|$)", re.MULTILINE)


def reads_right(reading: str | None, response: str) -> bool | None:
    """Whether the response transcribes the givens as the problem's reading says.

    The transcription is what follows the first `Given:`, to the end of its sentence, compared
    apart from case and white space. None if the problem has no reading.
    """
    if reading is None:
        return None
    found = _GIVEN.search(response)
    return found is not None and _normalised(found[1]) == _normalised(reading)


def _normalised(text: str) -> str:
    return " ".join(text.casefold().split())


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _shares(
    predictions: Sequence[Prediction], group_of: Callable[[Prediction], int | str | None]
) -> dict[str, Share]:
    groups: dict[int | str, list[Prediction]] = defaultdict(list)
    for row in predictions:
        group = group_of(row)
        if group is not None:
            groups[group].append(row)
    return {
        str(group): Share(
            value=_mean([is_right(row) for row in rows]),
            n=len({row["problem_id"] for row in rows}),
        )
        for group, rows in sorted(groups.items())
    }
