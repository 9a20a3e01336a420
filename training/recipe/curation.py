"""The steps of curation: which there are, in which order, and the settings of those that search."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError, model_validator

from training.recipe.bounds import (
    Fraction,
    Function,
    PathText,
    PositiveInt,
    Revision,
    Strict,
    Tokens,
)
from training.recipe.endpoint import ConnectionRecipe, EndpointRecipe
from training.recipe.model import ModelRecipe, RolloutRecipe
from training.recipe.places import check_place

# The names by which curation knows its models beside the policy.
GRADER, EMBEDDING, NAMER = "model:grader", "model:embedding", "model:namer"
MAX_NAME_TOKENS = 512  # of a reply that names a topic; thoughts among it

# The shipped steps between the sources and the sampling, in the order that a recipe has by default.
VERIFIABILITY, DUPLICATES, PROMPT_LENGTH = "verifiability", "duplicates", "prompt length"
NEAR_DUPLICATES, DECONTAMINATION = "near duplicates", "decontamination"
STEPS = (VERIFIABILITY, DUPLICATES, PROMPT_LENGTH, NEAR_DUPLICATES, DECONTAMINATION)
# The other steps that drop rows: one in front of these, two behind them.
SOURCES, DIFFICULTY, SELECTION = "sources", "difficulty", "selection"
# How a reason of `SOURCES` ends by which a row was not taken: the recipe's choice, no fault of it.
NOT_KEPT = ", which `keep` does not name"
# Why these cannot be left out.
_NEEDED = {
    VERIFIABILITY: "no other step can read answers and pictures that it would drop",
    DUPLICATES: "rows are told apart by their ids from there on",
    PROMPT_LENGTH: "a prompt without room gets no answer, and RL ends at one",
}
_FUNCTION = TypeAdapter[str](Function)


def own_steps(steps: Sequence[str]) -> tuple[str, ...]:
    """The functions of the user's own among steps, `package.module:name`."""
    return tuple(step for step in steps if step not in STEPS)


def _can_be_done(steps: tuple[str, ...]) -> tuple[str, ...]:
    """Refuses steps that are unknown, named twice, needed and left out, or too early."""
    for step in own_steps(steps):
        try:
            _FUNCTION.validate_python(step)
        except ValidationError as error:
            known = f"a step is one of {list(STEPS)}, or a function of yours, `package.module:name`"
            raise ValueError(f"{step[:200]!r} is no step; {known}") from error
    if twice := sorted({step for step in steps if steps.count(step) > 1}):
        raise ValueError(f"a step is named once; remove what is there again of {twice}")
    for step, why in _NEEDED.items():
        if step not in steps:
            raise ValueError(f"{step!r} must be named, since {why}; add it")
    verified = steps.index(VERIFIABILITY)
    if early := [step for step in steps[:verified] if step in STEPS]:
        why = _NEEDED[VERIFIABILITY]
        raise ValueError(f"{early} must stand behind {VERIFIABILITY!r}, since {why}; move them")
    if NEAR_DUPLICATES in steps[: steps.index(DUPLICATES)]:
        why = "its rejects name the row that stays by its id, and until then rows may share one"
        rule = f"{NEAR_DUPLICATES!r} must stand behind {DUPLICATES!r}, since {why}; move it"
        raise ValueError(rule)
    return steps


# In the order in which rows pass through them; where a function of the user's own may stand too.
Steps = Annotated[tuple[str, ...], AfterValidator(_can_be_done)]


class DuplicatesRecipe(Strict):
    """Near duplicates; equal questions are dropped in any case."""

    similarity: Fraction = 0.75  # least Jaccard similarity of keyed 5-character shingles


class DecontaminationRecipe(Strict):
    """Questions of the evaluation's benchmarks, edited or not."""

    # Least share of a benchmark question's word 8-grams that a row with all its numbers has.
    containment: Fraction = 0.5
    # Rows that differ from a benchmark's question in their numbers.
    number_variants: Literal["keep", "reject"] = "keep"


class TracesRecipe(Strict):
    """Which reasoning traces a set that needs some may hold; none is ever cut."""

    min_tokens: Tokens = 1
    max_tokens: Tokens = 32_768
    max_repeated: Fraction = 0.3  # share of runs of 20 words that occurred before
    # Share of letters in scripts that neither the question uses nor Latin or Greek.
    max_other_script: Fraction = 0.05

    @model_validator(mode="after")
    def _some_length_is_left(self) -> "TracesRecipe":
        if self.min_tokens > self.max_tokens:
            raise ValueError("min_tokens must not be above max_tokens")
        return self


class EmbeddingRecipe(Strict):
    """A sentence-embedding model of transformers: means over tokens, no code of its own."""

    path: PathText  # as a model's
    revision: Revision | None = None
    max_tokens: Tokens = 512  # of a question; what is behind them is not seen

    @model_validator(mode="after")
    def _path_is_a_place(self) -> "EmbeddingRecipe":
        check_place(self.path, revision=self.revision)
        return self


class TopicNamesRecipe(Strict):
    """A language model that names the topics for readers of the datasheet; it changes no set."""

    model: ModelRecipe | None = None  # one that an engine of ours samples from
    rollout: RolloutRecipe | None = None  # how; None: the run's
    endpoint: EndpointRecipe | None = None  # or one that answers elsewhere
    connection: ConnectionRecipe = ConnectionRecipe()  # to the endpoint
    prompt: Literal["v1"] = "v1"  # a version of `training.curation.topic_names.PROMPTS`

    @model_validator(mode="after")
    def _one_is_asked(self) -> "TopicNamesRecipe":
        if (self.model is None) == (self.endpoint is None):
            raise ValueError("set `model` or `endpoint`: one of them names the topics")
        if self.endpoint is not None and self.rollout is not None:
            raise ValueError("`rollout` is how `model` is sampled from; an endpoint needs none")
        return self

    @property
    def asked(self) -> str:
        """Who names them, for readers."""
        if self.model is not None:
            return self.model.path
        assert self.endpoint is not None
        return self.endpoint.model


class TopicsRecipe(Strict):
    """What is one topic (paper: NV-Embed-v2 and HDBSCAN; the size of a topic is ours)."""

    embedding: EmbeddingRecipe | None = None  # None: TF-IDF of the words, and SVD
    min_rows: Annotated[int, Field(ge=2, lt=2**31)] = 30  # fewer alike rows are no topic
    # Of more rows a sample is clustered, and its topics are given to the rest.
    max_clustered: PositiveInt = 50_000
    names: TopicNamesRecipe | None = None  # None: keywords are all the name that a topic has

    @model_validator(mode="after")
    def _a_topic_fits_into_the_sample(self) -> "TopicsRecipe":
        if self.min_rows > self.max_clustered:
            raise ValueError("min_rows must not be above max_clustered")
        return self
