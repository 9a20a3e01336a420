"""What the Great Expectations gates demand, and what happens when a demand is not met.

The names of the expectations, and the columns of the tables that they are asked of, stand here and
not beside the suites: a recipe is checked without Great Expectations, which takes seconds to load.
"""

from collections.abc import Collection, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from contracts.run_record import Severity
from training.recipe.bounds import Fraction, Name, NonNegative, Positive, PositiveInt, Real, Strict
from training.recipe.expectations import Columns, OwnExpectation, Words

Points = Annotated[float, Field(ge=0.0, le=100.0)]
PROBLEM_COLUMNS: Columns = {
    **dict.fromkeys(("id", "source", "modality", "family", "template", "set"), "text"),
    **dict.fromkeys(("question", "answer", "reading", "question_key"), "text"),
    **dict.fromkeys(("level", "pass_rate", "num_images", "num_empty_images"), "number"),
    "has_solution": "flag",
}
# The table of all curated rows, beside each set's by its own name; no set's name has a space.
EVERY_SET, EVERY_SOURCE = "all sets", "all sources"


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
        """How bad it is when this expectation is broken."""
        own = {one.name: one.severity for one in self.expectations if one.severity is not None}
        return self.severities.get(expectation, own.get(expectation, self.severity))

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
        *("pass_rate", "question length", "answer length", "modality", "source", "level range"),
        *("pass_rate range", "images", "images without bytes", "benchmark questions"),
        *("solutions", "ids", "questions", "near duplicates", "rows in", "rows read"),
        "rows refused",
    )
    TABLES: ClassVar[Mapping[str, Columns]] = {
        EVERY_SET: PROBLEM_COLUMNS,
        EVERY_SOURCE: {
            "id": "text",
            **dict.fromkeys(("rows_in", "rows_out", "rows_refused", "refused_share"), "number"),
        },
    }

    min_rows_per_set: PositiveInt = 1
    min_families: PositiveInt = 1
    max_missing_rows: Fraction = 0.0  # share of a set's `num_problems` that may be missing
    max_refused: Fraction = 1.0  # share of a source's rows that cannot be read as problems
    max_near_duplicates: Fraction = 1.0  # share of all rows that repeat one in other words


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

    BUILT_IN: ClassVar[tuple[str, ...]] = (
        *("steps", "step", "reward", "reward spread", "truncated", "zero variance"),
        *("idle steps", "response length", "length growth", "entropy", "sampler KL"),
        *("reference KL", "duplicates", "time-outs"),
    )
    TABLES: ClassVar[Mapping[str, Columns]] = {
        "steps": {
            "id": "text",
            **dict.fromkeys(("step", "reward", "reward_std", "accuracy", "entropy"), "number"),
            **dict.fromkeys(("response_length_tokens", "truncated_fraction"), "number"),
            **dict.fromkeys(("zero_variance_fraction", "effective_fraction"), "number"),
            **dict.fromkeys(("selected_sequences", "sampler_kl", "grad_norm", "loss"), "number"),
            **dict.fromkeys(("kl_reference", "duplicate_fraction", "timeout_fraction"), "number"),
            "length_growth": "number",
        }
    }

    # While a stage trains, its steps so far are looked at so often; 0 for once it is done only.
    every_steps: Annotated[int, Field(ge=0, lt=2**31)] = 0
    min_reward_spread: NonNegative = 0.0  # standard deviation of a step's rewards
    max_truncated: Fraction = 1.0  # share of a step's responses without an end
    max_zero_variance: Fraction = 1.0  # share of a step's groups with equal rewards
    min_response_tokens: NonNegative = 0.0  # a step's mean
    max_response_tokens: NonNegative = 1e9
    max_length_growth: Positive = 1e9  # a step's mean length over that of the first tenth of steps
    min_entropy: NonNegative = 0.0  # a step's mean of a token, nats; a collapsed policy's is 0
    max_entropy: NonNegative = 1e9
    max_sampler_kl: NonNegative = 1e9  # a step's mean of a token, nats: sampler to policy
    max_reference_kl: NonNegative = 1e9  # the same, to the model that the stage began with
    max_duplicates: Fraction = 1.0  # share of a step's responses that repeat one of their group
    max_timeouts: Fraction = 1.0  # share of a step's responses that nobody could verify in time
    share_of_steps: Fraction = 1.0  # so many of the steps have to keep to those above
    max_idle_steps: Fraction = 1.0  # share of steps of which no group has rewards that differ


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
    """After the evaluation; gains are in points of accuracy, final checkpoint minus base."""

    BUILT_IN: ClassVar[tuple[str, ...]] = (
        *("policy, benchmark, problem", "outcome", "num_tokens", "scores", "policy, benchmark"),
        *("policy", "benchmark", "low", "value", "high", "value and low", "high and value"),
        *("num_problems", "predictions", "predictions of each score", "value and predictions"),
        "questions without a response",
        *("gain over base known", "unparseable responses known", "gain over base"),
        *("unparseable responses", "drop after a stage"),
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

    min_gain_points: Real = 0.0
    max_unparseable: Fraction = 1.0
    max_drop_points: Points = 100.0  # of any stage's score against the stage before
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
