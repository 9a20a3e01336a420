"""What the Great Expectations gates demand, and what happens when a demand is not met.

The names of the expectations, and the columns of the tables that they are asked of, stand here and
not beside the suites: a recipe is checked without Great Expectations, which takes seconds to load.
"""

from collections.abc import Collection, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from contracts.run_record import Severity
from training.recipe.bounds import Fraction, Name, NonNegative, Positive, PositiveInt, Real, Strict
from training.recipe.expectations import (
    Columns,
    DistinctExpectation,
    MeanExpectation,
    OwnExpectation,
    RowsExpectation,
    Words,
)

Points = Annotated[float, Field(ge=0.0, le=100.0)]
PROBLEM_COLUMNS: Columns = {
    **dict.fromkeys(("id", "source", "modality", "family", "template", "set"), "text"),
    **dict.fromkeys(("question", "answer", "reading", "question_key"), "text"),
    **dict.fromkeys(("level", "pass_rate", "num_images", "num_empty_images"), "number"),
    "has_solution": "flag",
}
# The table of all curated rows, beside each set's by its own name; no set's name has a space.
EVERY_SET, EVERY_SOURCE = "all sets", "all sources"
# The rows of the sources as they were mapped, each source by itself; and why they are in no set.
RAW_ROWS, REJECTS = "raw rows", "rejects"
RAW_COLUMNS: Columns = {
    **dict.fromkeys(("id", "source", "modality", "family", "template", "question"), "text"),
    **dict.fromkeys(("answer", "reject_step", "reject_reason"), "text"),  # empty of a set's row
    "num_images": "number",
}
KNOWN = " known"  # ends the name of an expectation that the figure of another one is there


class GateRecipe(Strict):
    """What a gate demands, and what becomes of a run that does not meet it."""

    BUILT_IN: ClassVar[tuple[str, ...]] = ()
    TABLES: ClassVar[Mapping[str, Columns]] = {}

    severity: Severity = "error"  # of every expectation that has none of its own
    severities: dict[Words, Severity] = Field(default_factory=dict)  # expectation -> its own
    # Whether a broken expectation of severity `error` ends the run, or asks a person.
    on_failure: Literal["fail", "pause"] = "fail"
    pause_hours: Positive = 168.0  # how long a person may take
    expectations: Annotated[tuple[OwnExpectation, ...], Field(max_length=200)] = ()

    def severity_of(self, expectation: str) -> Severity:
        """How bad it is when this expectation is broken: `X known` counts as X does."""
        own = {one.name: one.severity for one in self.expectations if one.severity is not None}
        given = own | self.severities
        return given.get(expectation, given.get(expectation.removesuffix(KNOWN), self.severity))

    def names(self) -> list[str]:
        """Of all its expectations."""
        return [*self.BUILT_IN, *(one.name for one in self.expectations)]

    def check(self, gate: str, tables: Mapping[str, Columns]) -> None:
        """Checks names, tables and columns.

        Args:
            gate: The gate's name, for the message.
            tables: The tables that its expectations may be asked of, with their columns.

        Raises:
            ValueError: One does not exist, or a name occurs twice.
        """
        names = self.names()
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"gates.{gate}: {twice} name more than one expectation")
        if unknown := sorted(set(self.severities) - set(names)):
            raise ValueError(
                f"gates.{gate}.severities: {unknown} are none of its expectations {names}"
            )
        for one in self.expectations:
            if one.table not in tables:
                raise ValueError(
                    f"gates.{gate}: expectation {one.name!r}: `table` is {one.table!r}, "
                    f"which is none of {sorted(tables)}"
                )
            if fault := one.fault(tables[one.table]):
                raise ValueError(f"gates.{gate}: expectation {one.name!r}: {fault}")


class CurationGate(GateRecipe):
    """Between curation and training: the sources' rows, and each curated set."""

    BUILT_IN: ClassVar[tuple[str, ...]] = (
        *("rows", "families", "id", "family", "template", "question", "answer", "level"),
        *("pass_rate", "question length", "answer length", "answer letters", "modality"),
        *("source", "level range", "pass_rate range", "images", "images without bytes"),
        *("benchmark questions", "solutions", "ids", "questions", "near duplicates"),
        *("rows in", "rows read", "rows refused", "raw question", "raw answer"),
        *("raw modality", "raw images", "raw question length", "raw answer length"),
        "rejects by reason",
    )
    TABLES: ClassVar[Mapping[str, Columns]] = {
        EVERY_SET: PROBLEM_COLUMNS,
        EVERY_SOURCE: {
            "id": "text",
            **dict.fromkeys(("rows_in", "rows_out", "rows_refused", "refused_share"), "number"),
        },
        RAW_ROWS: RAW_COLUMNS,
        REJECTS: {
            **dict.fromkeys(("id", "source", "step", "reason"), "text"),
            **dict.fromkeys(("rows", "share"), "number"),
        },
    }

    min_rows_per_set: PositiveInt = 1
    min_families: PositiveInt = 1
    max_missing_rows: Fraction = 0.0  # share of a set's `num_problems` that may be missing
    max_refused: Fraction | None = None  # share of a source's rows that cannot be read as problems
    max_near_duplicates: Fraction = 1.0  # share of all rows that repeat one in other words
    # Share of each source's raw rows that has to meet each expectation of these; None: none does.
    raw_share: Fraction | None = None
    max_question_characters: PositiveInt | None = None  # of a raw row
    max_answer_characters: PositiveInt | None = None
    max_images: PositiveInt | None = None  # of a raw row with any
    max_rejects: Fraction | None = None  # share of a source's rows that may go for one reason

    @property
    def reads_raw_rows(self) -> bool:
        """Whether somebody asks something of the raw rows."""
        return self.raw_share is not None or any(one.table == RAW_ROWS for one in self.expectations)

    @model_validator(mode="after")
    def _bounds_are_asked_for(self) -> "CurationGate":
        bounds = (self.max_question_characters, self.max_answer_characters, self.max_images)
        if self.raw_share is None and any(bound is not None for bound in bounds):
            raise ValueError(
                "max_question_characters, max_answer_characters and max_images are bounds of raw "
                "rows: set `raw_share`, the share of them that has to keep to these"
            )
        return self

    def check(self, gate: str, tables: Mapping[str, Columns]) -> None:
        """See `GateRecipe.check`."""
        super().check(gate, tables)
        whole = MeanExpectation | DistinctExpectation | RowsExpectation
        for one in self.expectations:
            if one.table == RAW_ROWS and isinstance(one, whole):
                raise ValueError(
                    f"gates.{gate}: expectation {one.name!r}: {one.kind} is about all rows at "
                    f"once, and raw rows come in parts: ask it of {EVERY_SET!r}, or of the counts "
                    f"in {EVERY_SOURCE!r}"
                )


class CheckpointGate(GateRecipe):
    """After each training stage: its weights, beside those of the model it began with."""

    BUILT_IN: ClassVar[tuple[str, ...]] = (
        *("file digests", "tensors", "new tensors", "shapes", "number formats"),
        "finite weights",
    )
    TABLES: ClassVar[Mapping[str, Columns]] = {
        "tensors": {
            **dict.fromkeys(("id", "file", "dtype", "shape", "shape_before"), "text"),
            **dict.fromkeys(("num_values", "num_nonfinite"), "number"),
        },
        "files": dict.fromkeys(("id", "digest", "digest_wanted"), "text"),
    }


class RolloutsGate(GateRecipe):
    """After each RL stage, and while it trains: what its steps sampled; one row a step."""

    BOUNDED: ClassVar[tuple[str, ...]] = (
        *("reward spread", "truncated", "zero variance", "idle steps", "response length"),
        *("length growth", "entropy", "sampler KL", "reference KL", "duplicates", "time-outs"),
    )
    BUILT_IN: ClassVar[tuple[str, ...]] = (
        *("steps", "step", "reward", *BOUNDED),
        *(f"{name}{KNOWN}" for name in BOUNDED),
    )
    TABLES: ClassVar[Mapping[str, Columns]] = {
        "steps": {
            "id": "text",
            **dict.fromkeys(("step", "reward", "reward_std", "accuracy", "entropy"), "number"),
            **dict.fromkeys(("response_length_tokens", "truncated_fraction"), "number"),
            **dict.fromkeys(("zero_variance_fraction", "effective_fraction"), "number"),
            **dict.fromkeys(("selected_sequences", "sampler_kl", "grad_norm", "loss"), "number"),
            **dict.fromkeys(("kl_reference", "duplicate_fraction", "timeout_fraction"), "number"),
            **dict.fromkeys(("length_growth", "skipped_update", "nonfinite_updates"), "number"),
        }
    }

    # While a stage trains, its steps so far are looked at so often; 0 for once it is done only.
    every_steps: Annotated[int, Field(ge=0, lt=2**31)] = 0
    min_reward_spread: NonNegative | None = None  # standard deviation of a step's rewards
    max_truncated: Fraction | None = None  # share of a step's responses without an end
    max_zero_variance: Fraction | None = None  # share of a step's groups with equal rewards
    min_response_tokens: NonNegative | None = None  # a step's mean
    max_response_tokens: NonNegative | None = None
    max_length_growth: Positive | None = None  # a step's mean length over the first tenth's
    min_entropy: NonNegative | None = None  # a step's mean of a token, nats; 0 of a collapsed one
    max_entropy: NonNegative | None = None
    max_sampler_kl: NonNegative | None = None  # a step's mean of a token, nats: sampler to policy
    max_reference_kl: NonNegative | None = None  # the same, to the model that the stage began with
    max_duplicates: Fraction | None = None  # share of responses that repeat one of their group
    max_timeouts: Fraction | None = None  # share of responses that nobody could verify in time
    share_of_steps: Fraction = 1.0  # so many of the steps have to keep to those above
    max_idle_steps: Fraction | None = (
        None  # share of steps of which no group has rewards that differ
    )


class DropRecipe(Strict):
    """How far one stage may fall behind the stage before it, on some benchmarks."""

    name: Words
    stage: Name
    benchmarks: tuple[Name, ...] = ()  # none for all
    max_points: Points
    # Only a drop whose paired p-value is at most this counts; 1 for every drop.
    alpha: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    severity: Severity | None = None


class EvaluationGate(GateRecipe):
    """After the evaluation; gains are in points of the score, final checkpoint minus base."""

    BUILT_IN: ClassVar[tuple[str, ...]] = (
        *("policy, benchmark, problem", "outcome", "num_tokens", f"num_tokens{KNOWN}"),
        *("scores", "policy, benchmark", "policy", "benchmark"),
        *("low", "value", "high", "value and low", "high and value"),
        *(f"{column}{KNOWN}" for column in ("low", "value", "high")),
        *("num_problems", "predictions", "predictions of each score", "value and predictions"),
        "questions without a response",
        *("gain over base", f"gain over base{KNOWN}"),
        *("unparseable responses", f"unparseable responses{KNOWN}"),
        "drop after a stage",
    )
    TABLES: ClassVar[Mapping[str, Columns]] = {
        "predictions": {
            **dict.fromkeys(("id", "policy", "benchmark", "problem_id", "outcome"), "text"),
            **dict.fromkeys(("sample", "num_tokens", "right", "unparseable"), "number"),
        },
        "scores": {
            **dict.fromkeys(("id", "policy", "benchmark"), "text"),
            **dict.fromkeys(("value", "low", "high", "num_problems", "error"), "number"),
        },
        "drops": {
            **dict.fromkeys(("id", "before", "stage", "benchmark"), "text"),
            **dict.fromkeys(("drop_points", "p"), "number"),
        },
    }

    min_gain_points: Real = 0.0  # broken by a gain that is shown to be less
    max_unparseable: Fraction | None = None  # share of the final checkpoint's responses
    max_drop_points: Points | None = None  # of any stage's score against the stage before
    drops: Annotated[tuple[DropRecipe, ...], Field(max_length=200)] = ()

    def severity_of(self, expectation: str) -> Severity:
        """How bad it is when this expectation is broken."""
        own = {one.name: one.severity for one in self.drops if one.severity is not None}
        return self.severities.get(expectation) or own.get(
            expectation, super().severity_of(expectation)
        )

    def names(self) -> list[str]:
        """Of all its expectations."""
        return [*super().names(), *(one.name for one in self.drops)]


class GatesRecipe(Strict):
    """The Great Expectations gates."""

    curation: CurationGate = CurationGate()
    checkpoint: CheckpointGate = CheckpointGate()
    rollouts: RolloutsGate = RolloutsGate()
    evaluation: EvaluationGate = EvaluationGate()

    def check_names(
        self, sets: Collection[str], stages: Collection[str], benchmarks: Collection[str]
    ) -> None:
        """Checks what the gates name of the rest of the recipe.

        Args:
            sets: Names of the curated sets.
            stages: Names of the training stages.
            benchmarks: Names of the benchmarks.

        Raises:
            ValueError: A gate names something that is not there.
        """
        own_sets = dict.fromkeys(sets, PROBLEM_COLUMNS)
        self.curation.check("curation", {**own_sets, **self.curation.TABLES})
        self.checkpoint.check("checkpoint", self.checkpoint.TABLES)
        self.rollouts.check("rollouts", self.rollouts.TABLES)
        self.evaluation.check("evaluation", self.evaluation.TABLES)
        for drop in self.evaluation.drops:
            if drop.stage not in stages:
                raise ValueError(
                    f"gates.evaluation.drops: {drop.name!r}: `stage` is {drop.stage!r}, "
                    f"which is none of {sorted(stages)}"
                )
            if unknown := sorted(set(drop.benchmarks) - set(benchmarks)):
                raise ValueError(
                    f"gates.evaluation.drops: {drop.name!r}: {unknown} are none of the "
                    f"benchmarks {sorted(benchmarks)}"
                )
