"""What an ablation found: means over seeds, paired differences, costs, and the paper's numbers."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np
import pandas as pd
from pydantic import Field
from scipy.stats import t as student_t

from contracts.artifact import Count, Record
from contracts.run_record import RunRecord
from contracts.scores import Number, Score
from report.evidence import Evidence
from report.gains import (
    SEED,
    Changes,
    answers_of,
    changes_of,
    incomplete,
    other_verdicts,
    values_of,
    verdict_of,
)
from training.evaluation.intervals import cluster_bootstrap
from training.evaluation.paired import holm
from training.recipe.grid import ArmRecipe, Grid

Interval = tuple[Number, Number]


@dataclass(frozen=True)
class Trained:
    """One arm with one seed that ended well."""

    arm: ArmRecipe
    record: RunRecord
    evidence: Evidence


class Cost(Record):
    """What training an arm took, in all its stages, a mean over seeds.

    Attributes:
        learner_seconds: Selection, scoring and updates.
        learner_tokens: Tokens that the learner had: of whole sequences in fine-tuning, of the
            selected responses in RL.
        sampler_seconds: Sampling, in RL.
        sampler_tokens: Tokens of the sampled responses.
    """

    learner_seconds: Number
    learner_tokens: Number
    sampler_seconds: Number
    sampler_tokens: Number

    def less(self, other: "Cost") -> "Cost":
        """How much more than the other."""
        mine, theirs = self.model_dump(), other.model_dump()
        return Cost(**{name: mine[name] - theirs[name] for name in mine})


class Mean(Record):
    """A mean over seeds, as a fraction; what is unknown is None.

    Attributes:
        value: The mean.
        seeds: Each seed's value, by the seed.
        over_seeds: 95 % t-interval over seeds; None with one seed.
        over_items: 95 % bootstrap interval over items, the seeds as they are.
        lacking: Seeds of the ablation that are not in it: a run with these did not end well.
    """

    value: Number
    seeds: dict[int, Number]
    over_seeds: Interval | None = None
    over_items: Interval | None = None
    lacking: tuple[Count, ...] = ()


class Accuracy(Record):
    """An arm on a benchmark."""

    arm: str
    benchmark: str
    metric: str
    mean: Mean


class Comparison(Record):
    """An arm's gain over another on a benchmark, paired by seed and item.

    Attributes:
        arm: The arm.
        over: The other.
        benchmark: The benchmark.
        mean: The gain.
        p: Two-sided exact sign-flip test over items, Holm's correction over all comparisons.
        extra: What the arm's training takes more than the other's, over the same seeds.
    """

    arm: str
    over: str
    benchmark: str
    mean: Mean
    p: Number | None = None
    extra: Cost

    @property
    def verdict(self) -> str:
        """See `report.gains.verdict_of`; seeds that are not in it might have said otherwise."""
        if self.mean.lacking:
            return "not shown"
        intervals = (self.mean.over_seeds, self.mean.over_items)
        return verdict_of([one for one in intervals if one is not None], self.p)


class Incomplete(Record):
    """A benchmark of which an arm, or its gain over another, has no mean.

    Attributes:
        arm: The arm.
        over: The other; None where it is the accuracy that is missing.
        benchmark: The benchmark.
        reason: Whose evaluation of it is not whole, or was judged otherwise, in words.
    """

    arm: str
    over: str | None = None
    benchmark: str
    reason: str


class BesidePaper(Record):
    """The paper's number for an arm, its gain over the other arm, and ours; in percent points."""

    arm: str
    over: str | None
    table: str
    percent: Number
    paper_gain: Number | None = None
    benchmark: str | None = None
    our_gain: Number | None = None
    verdict: str | None = None


class AblationResult(Record):
    """The whole result, as `ablation.json` has it."""

    grid: str
    arms: dict[str, tuple[str, ...]]
    seeds: tuple[Count, ...]
    accuracies: tuple[Accuracy, ...]
    costs: dict[str, Cost]
    comparisons: tuple[Comparison, ...]
    incomplete: tuple[Incomplete, ...] = ()
    paper: tuple[BesidePaper, ...] = ()
    failures: dict[str, str] = Field(default_factory=dict)


def summarize(
    grid: Grid,
    trained: Sequence[Trained],
    failures: Mapping[str, str],
    seeds: Collection[int] = (),
) -> AblationResult:
    """Sums an ablation up.

    Args:
        grid: Its grid.
        trained: Every arm with every seed that ended well.
        failures: Why each of the others did not.
        seeds: Those that were asked for; so are all of `trained`.
    """
    asked = sorted({*seeds, *(one.record.seed for one in trained)})
    by_arm: dict[str, dict[int, Trained]] = {
        arm.name: own
        for arm in grid.arms
        if (own := {one.record.seed: one for one in trained if one.arm.name == arm.name})
    }
    benchmarks = _benchmarks(trained)
    found = [one for arm in by_arm.values() for one in _accuracies(arm, benchmarks, asked)]
    compared = [
        one
        for arm in grid.arms
        if arm.over is not None and {arm.name, arm.over} <= by_arm.keys()
        for one in _compare(by_arm[arm.over], by_arm[arm.name], benchmarks, asked)
    ]
    comparisons = _corrected([one for one in compared if isinstance(one, Comparison)])
    return AblationResult(
        grid=grid.name,
        arms={arm.name: arm.stages for arm in grid.arms if arm.name in by_arm},
        seeds=tuple(asked),
        accuracies=tuple(one for one in found if isinstance(one, Accuracy)),
        costs={name: mean_cost(runs.values()) for name, runs in by_arm.items()},
        comparisons=tuple(comparisons),
        incomplete=tuple(one for one in (*found, *compared) if isinstance(one, Incomplete)),
        paper=tuple(_beside_paper(grid, comparisons, by_arm.keys())),
        failures=dict(failures),
    )


def cost_of(evidence: Evidence) -> Cost:
    """What all training stages of a run took, whichever run made them."""
    sums = dict.fromkeys(Cost.model_fields, 0.0)
    for steps in evidence.metrics.values():
        for step in steps:
            for name, seconds, rates in (
                ("learner", "seconds_update", ("update_tokens_per_second", "tokens_per_second")),
                ("sampler", "seconds_rollout", ("rollout_tokens_per_second",)),
            ):
                spent = step.get(seconds, 0.0)
                rate = next((step[rate] for rate in rates if rate in step), 0.0)
                sums[f"{name}_seconds"] += spent
                sums[f"{name}_tokens"] += spent * rate
    return Cost(**sums)


def mean_cost(runs: Iterable[Trained]) -> Cost:
    """The mean of the runs' costs."""
    costs = [cost_of(one.evidence).model_dump() for one in runs]
    return Cost(**{name: fmean(one[name] for one in costs) for name in Cost.model_fields})


def mean_of(values: Mapping[int, float], over_items: Interval | None, asked: Iterable[int]) -> Mean:
    """A mean over seeds with its intervals.

    Args:
        values: Each seed's value.
        over_items: The interval over items, where there is one.
        asked: All seeds of the ablation.
    """
    numbers, number = list(values.values()), len(values)
    mean = fmean(numbers)
    over_seeds = None
    if number > 1:
        half = float(student_t.ppf(0.975, number - 1)) * stdev(numbers) / math.sqrt(number)
        over_seeds = (mean - half, mean + half)
    return Mean(
        value=mean,
        seeds=dict(values),
        over_seeds=over_seeds,
        over_items=over_items,
        lacking=tuple(seed for seed in asked if seed not in values),
    )


def _accuracies(
    seeds: Mapping[int, Trained], benchmarks: Sequence[str], asked: Sequence[int]
) -> Iterator[Accuracy | Incomplete]:
    """An arm on each of the benchmarks."""
    arm = next(iter(seeds.values())).arm.name
    for benchmark in benchmarks:
        scores = {seed: _score(one, benchmark) for seed, one in seeds.items()}
        named = _named(arm, scores)
        if reason := incomplete(named) or other_verdicts(named):
            yield Incomplete(arm=arm, benchmark=benchmark, reason=reason)
            continue
        known = {seed: found for seed, found in scores.items() if found is not None}
        values = [
            value
            for seed, found in known.items()
            for value in values_of(found, _answers(seeds[seed], benchmark))
        ]
        clusters = [value.cluster for value in values]
        over_items = None
        if values:
            generator = np.random.default_rng(SEED)
            numbers = [value.value for value in values]
            over_items = cluster_bootstrap(numbers, clusters, generator)
        yield Accuracy(
            arm=arm,
            benchmark=benchmark,
            metric=next(iter(known.values())).metric,
            mean=mean_of({seed: found.value for seed, found in known.items()}, over_items, asked),
        )


def _compare(
    before: Mapping[int, Trained],
    after: Mapping[int, Trained],
    benchmarks: Sequence[str],
    asked: Sequence[int],
) -> Iterator[Comparison | Incomplete]:
    """An arm against another on each of the benchmarks, over the seeds that both have."""
    seeds = [seed for seed in after if seed in before]
    if not seeds:
        return
    arm, over = after[seeds[0]].arm.name, before[seeds[0]].arm.name
    extra = mean_cost(after[seed] for seed in seeds).less(mean_cost(before[seed] for seed in seeds))
    for benchmark in benchmarks:
        first = {seed: _score(before[seed], benchmark) for seed in seeds}
        second = {seed: _score(after[seed], benchmark) for seed in seeds}
        named = _named(over, first) | _named(arm, second)
        if reason := incomplete(named) or other_verdicts(named):
            yield Incomplete(arm=arm, over=over, benchmark=benchmark, reason=reason)
            continue
        gains: dict[int, float] = {}
        changes: list[Changes] = []
        for seed in seeds:
            old, new = first[seed], second[seed]
            assert old is not None and new is not None
            gains[seed] = new.value - old.value
            answers = _answers(before[seed], benchmark), _answers(after[seed], benchmark)
            found = changes_of(old, new, *answers)
            changes += [found] if found else []
        # An item is one cluster over all seeds: it is as hard, or as easy, with each of them.
        pooled = None
        if len(changes) == len(gains):
            pooled = Changes(
                tuple(value for one in changes for value in one.values),
                tuple(cluster for one in changes for cluster in one.clusters),
                changes[0].num_steps,
            )
        yield Comparison(
            arm=arm,
            over=over,
            benchmark=benchmark,
            mean=mean_of(gains, pooled.interval() if pooled else None, asked),
            p=pooled.p() if pooled else None,
            extra=extra,
        )


def _benchmarks(runs: Iterable[Trained]) -> tuple[str, ...]:
    """All that any of them evaluated, in their order."""
    return tuple(dict.fromkeys(name for one in runs for name in one.evidence.benchmarks))


def _named(arm: str, scores: Mapping[int, Score | None]) -> dict[str, Score | None]:
    """The scores by whose they are, in words."""
    return {f"{arm} with seed {seed}": score for seed, score in scores.items()}


def _score(one: Trained, benchmark: str) -> Score | None:
    policies = one.evidence.policies
    return one.evidence.score(benchmark, policies[-1]) if policies else None


def _answers(one: Trained, benchmark: str) -> pd.DataFrame:
    return answers_of(one.evidence.predictions, benchmark, one.evidence.policies[-1])


def _corrected(family: Sequence[Comparison]) -> list[Comparison]:
    """The same comparisons, their p corrected over all of them that have one."""
    adjusted = iter(holm([one.p for one in family if one.p is not None]))
    return [
        one if one.p is None else one.model_copy(update={"p": next(adjusted)}) for one in family
    ]


def _beside_paper(
    grid: Grid, comparisons: Sequence[Comparison], finished: Collection[str]
) -> Iterator[BesidePaper]:
    """The arms that the paper has, too."""
    papers = {arm.name: arm.paper for arm in grid.arms}
    ours = {one.arm: one for one in comparisons if one.benchmark == grid.paper_benchmark}
    for arm in grid.arms:
        if arm.paper is None or arm.name not in finished:
            continue
        before, mine = papers.get(arm.over or ""), ours.get(arm.name)
        yield BesidePaper(
            arm=arm.name,
            over=arm.over,
            table=arm.paper.table,
            percent=arm.paper.percent,
            paper_gain=arm.paper.percent - before.percent if before else None,
            benchmark=grid.paper_benchmark,
            our_gain=100 * mine.mean.value if mine else None,
            verdict=mine.verdict if mine else None,
        )
