"""What an evaluation found: `scores.json`, as the evaluation writes it and the report reads it.

Values and intervals of accuracies are fractions; gains are in points of accuracy.
"""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from contracts.artifact import Count, Record, Sha256

# Whoever can write to a store can write scores: nothing that a page could not draw.
Number = Annotated[float, Field(ge=-1e9, le=1e9)]


class Share(Record):
    """Accuracy over a part of the problems, and how many they are."""

    value: Number
    n: Count


class Measure(Record):
    """A number beside a score: its name, value, 95 % interval, and over how many values it is.

    `value` is None where it is not defined, over nothing; so are the bounds.
    """

    metric: str
    value: Number | None = None
    low: Number | None = None
    high: Number | None = None
    n: Count


class Verdicts(Record):
    """By what answers were judged: what is equal here judges equal answers alike.

    Attributes:
        code: Digest of the code; None where the evaluation was not told.
        rules: Digest of every item's rule: kind, reference, choices, tolerance, decimals and unit,
            and of whether algebra takes rounded numbers.
    """

    code: Sha256 | None = None
    rules: Sha256


class Score(Record):
    """One policy on one benchmark.

    Attributes:
        policy: Name of the policy.
        benchmark: Name of the benchmark.
        metric: What `value` is.
        value: The metric, in [0, 1].
        low: Lower bound of its 95 % interval.
        high: Upper bound.
        num_problems: How many problems were asked.
        num_scored: Of how many of them, or groups of them, `value` is the mean; evaluations of
            older versions do not say, nor the next two.
        samples_per_problem: How many answers there are to each.
        kind: Whether the benchmark is the shipped one of this name, or a file of the user's own.
        accuracy: Share of right responses, where `value` is something else; else None.
        outcomes: How many responses were right, wrong, unparseable, timed out, crashed.
        truncated: Share of the responses that came which ran out of tokens; None if none came.
        mean_tokens: Mean length of the responses that came, tokens; None if none did.
        by_level: Accuracy at each level.
        by_family: Accuracy in each family.
        by_part: Accuracy of each version, variant or step, where problems come in groups.
        measures: Further measures of the benchmark.
        reading: Share of the problems with a reading that the response transcribed rightly; None
            if no problem has one.
        failures: How many answers did not come, by why; they count as not right.
        findings: What the judge came to, where it was asked because the rules found no answer.
        judge: Who it was, `model, prompt version`; None where there is none.
        verdicts: By what the answers were judged, a judge apart; older versions do not say.
    """

    policy: str
    benchmark: str
    metric: str
    value: Number
    low: Number | None = None
    high: Number | None = None
    num_problems: Count
    num_scored: Count | None = None
    samples_per_problem: Count | None = None
    kind: Literal["shipped", "file"] | None = None
    accuracy: Number | None = None
    outcomes: dict[str, Count] = Field(default_factory=dict)
    truncated: Number | None = None
    mean_tokens: Number | None = None
    by_level: dict[str, Share] = Field(default_factory=dict)
    by_family: dict[str, Share] = Field(default_factory=dict)
    by_part: dict[str, Share] = Field(default_factory=dict)
    measures: tuple[Measure, ...] = ()
    reading: Number | None = None
    failures: dict[str, Count] = Field(default_factory=dict)
    findings: dict[str, Count] = Field(default_factory=dict)
    judge: str | None = None
    verdicts: Verdicts | None = None

    @property
    def n(self) -> str:
        """`num_scored` as a table shows it, or a dash.

        Of older versions it is known where `value` is the plain mean of all answers.
        """
        known = self.num_problems if self.accuracy is None else None
        number = known if self.num_scored is None else self.num_scored
        return "–" if number is None else str(number)

    @property
    def num_failed(self) -> int:
        """Answers that did not come, of the policy or of its judge: a question may have several.

        The score is not over the whole benchmark then.
        """
        return sum(self.failures.values()) + self.findings.get("failed", 0)


def unanswered(scores: Iterable[Score]) -> list[str]:
    """The scores that are not over their whole benchmark: a sentence for each."""
    return [
        f"{one.policy} on {one.benchmark}: {one.num_failed} answer(s) did not come ("
        + ", ".join(f"{why}: {count}" for why, count in _reasons(one).items())
        + "). The score counts them as not right, and is no score of the whole benchmark."
        for one in scores
        if one.num_failed
    ]


def _reasons(score: Score) -> dict[str, int]:
    judge = score.findings.get("failed", 0)
    return score.failures | ({"the judge": judge} if judge else {})


class Gain(Record):
    """How much better one policy is than another on the same problems, points of accuracy."""

    policy: str
    over: str
    benchmark: str
    points: Number
    low_points: Number
    high_points: Number


class Scores(Record):
    """The whole of `scores.json`."""

    scores: tuple[Score, ...] = Field(min_length=1)
    gains: tuple[Gain, ...] = ()
