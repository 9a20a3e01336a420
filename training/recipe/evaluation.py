"""The recipe's benchmarks, and how their answers are drawn."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from training.recipe.bounds import (
    Name,
    NonNegative,
    Nucleus,
    PathText,
    Problems,
    Revision,
    Samples,
    Strict,
    Tokens,
)
from training.recipe.endpoint import ConnectionRecipe, JudgeRecipe
from training.recipe.places import check_place

# How the answers to a user's own benchmark are scored, and what a row of it may have.
FileMetric = Literal["letter", "letters", "number", "math", "text"]
FILE_FIELDS = ("id", "question", "answer", "image", "choices", "group", "part", "family", "level")


class BenchmarkRecipe(Strict):
    """One held-out set: one of training.evaluation by its name, or a file of the user's own.

    A shipped benchmark is read from where it was published, unless `path` names a copy: a folder,
    a pattern, s3:// or another hub's id, as of a source. A `file` needs `path`, `metric`, and
    `columns`: an item's field -> the file's column (docs/benchmarks.md).
    """

    name: Name
    kind: Literal["shipped", "file"] = "shipped"
    num_problems: Problems | None = None  # groups of items stay whole
    path: PathText | None = None
    revision: Revision | None = None
    config: Revision | None = None
    split: Revision | None = None
    # None is the evaluation's, here and in the next two.
    samples_per_problem: Samples | None = None
    temperature: NonNegative | None = None
    top_p: Nucleus | None = None
    columns: dict[str, str] = Field(default_factory=dict)
    metric: FileMetric | None = None
    tolerance: NonNegative | None = None  # of `number`: how far an answer may be away

    @property
    def input_name(self) -> str:
        """The name by which a stage knows its files."""
        return f"benchmark:{self.name}"

    @model_validator(mode="after")
    def _kind_has_what_it_needs(self) -> "BenchmarkRecipe":
        if self.path is not None:
            check_place(self.path, revision=self.revision, config=self.config, split=self.split)
        elif self.config is not None or self.split is not None:
            raise ValueError("`config` and `split` belong to a `path`")
        if self.kind == "shipped":
            if self.columns or self.metric or self.tolerance is not None:
                raise ValueError('`columns`, `metric` and `tolerance` belong to `kind = "file"`')
            return self
        if self.path is None or self.metric is None:
            raise ValueError('a benchmark of `kind = "file"` needs `path` and `metric`')
        if unknown := sorted(set(self.columns) - set(FILE_FIELDS)):
            raise ValueError(f"`columns` maps {unknown}, which is none of {list(FILE_FIELDS)}")
        if self.tolerance is not None and self.metric != "number":
            raise ValueError("`tolerance` belongs to the metric `number`")
        return self


class EvaluationRecipe(Strict):
    """Benchmark evaluation of the base and of every stage's checkpoint."""

    benchmarks: Annotated[tuple[BenchmarkRecipe, ...], Field(min_length=1)]
    max_response_tokens: Tokens
    temperature: NonNegative = 0.0  # 0 decodes greedily
    top_p: Nucleus = 1.0  # 1 for all tokens
    samples_per_problem: Samples = 1  # k of mean@k
    judge: JudgeRecipe | None = None  # None asks nobody: the rules alone decide
    connection: ConnectionRecipe = ConnectionRecipe()  # to an endpoint that is evaluated

    @property
    def key_variables(self) -> tuple[str, ...]:
        """Environment variables with the keys of endpoints: no other secret reaches the stage."""
        connections = [self.connection, *([self.judge.connection] if self.judge else [])]
        return tuple(one.key_variable for one in connections if one.key_variable is not None)

    def samples_of(self, benchmark: BenchmarkRecipe) -> int:
        """How many answers are drawn to each of a benchmark's items."""
        return benchmark.samples_per_problem or self.samples_per_problem

    def temperature_of(self, benchmark: BenchmarkRecipe) -> float:
        """At which temperature a benchmark's answers are drawn."""
        return self.temperature if benchmark.temperature is None else benchmark.temperature

    def top_p_of(self, benchmark: BenchmarkRecipe) -> float:
        """From which nucleus a benchmark's answers are drawn."""
        return benchmark.top_p or self.top_p

    @model_validator(mode="after")
    def _several_samples_differ(self) -> "EvaluationRecipe":
        for one in self.benchmarks:
            if self.samples_of(one) > 1 and self.temperature_of(one) == 0.0:
                raise ValueError(
                    f"benchmark {one.name}: samples_per_problem above 1 needs a temperature above 0"
                )
        return self

    @field_validator("benchmarks")
    @classmethod
    def _names_are_unique(
        cls, benchmarks: tuple[BenchmarkRecipe, ...]
    ) -> tuple[BenchmarkRecipe, ...]:
        names = [one.name for one in benchmarks]
        if len(set(names)) != len(names):
            raise ValueError(f"names must be unique, these are {names}")
        return benchmarks
