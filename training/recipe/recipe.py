"""The recipe: every number of a run, strict, frozen and saved with the run.

A recipe is a TOML file. Unknown keys, wrong types and values out of range fail at once, with the
field, the rule and the fix. The order of the training stages is data: the list `stages`.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from contracts.errors import RecipeError
from contracts.secrets import find_secrets
from training.recipe.bounds import (
    Fraction,
    GraceSeconds,
    Level,
    Minutes,
    Name,
    Positive,
    PositiveInt,
    Problems,
    Samples,
    Strict,
    Tokens,
)
from training.recipe.curation import (
    STEPS,
    DecontaminationRecipe,
    DuplicatesRecipe,
    Steps,
    TopicsRecipe,
    TracesRecipe,
)
from training.recipe.evaluation import EvaluationRecipe
from training.recipe.gates import GatesRecipe
from training.recipe.hardware import HardwareRecipe, misplaced, uneven
from training.recipe.lengths import no_room
from training.recipe.logs import LoggingRecipe
from training.recipe.model import ModelRecipe, RolloutRecipe, TransformersRollout
from training.recipe.read import check_texts, described, read_toml
from training.recipe.sources import PLANTABLE, SourceRecipe
from training.recipe.stages import Stage, sets_of
from training.records import Modality

RESERVED_NAMES = ("base", "curate", "evaluate")  # of the base policy and the other stages
# Files that curation writes beside the sets, whose files have the sets' names.
RESERVED_SETS = ("rejects", "benchmark_questions", "graded", "examples")
MAX_SHOWN_FAULTS = 20


class CheckpointsRecipe(Strict):
    """Step checkpoints inside a training stage; they change no result."""

    every_steps: PositiveInt | None = None  # None saves by minutes alone
    # A step that ends so long after the last checkpoint began is saved; None for what the plan
    # finds (`training.runtime.rhythm`).
    every_minutes: Minutes | None = None
    keep_last: PositiveInt = 2  # and the one with the best score
    # From SIGTERM to the end: what saving the last step, or finishing one that updates, may take.
    grace_seconds: GraceSeconds = 20.0


class SetRecipe(Strict):
    """One curated set: which problems it admits, and how many it holds.

    Sets are filled in the order of the recipe and never share a problem. `max_pass_rate` prunes
    what the base model finds too easy, `min_pass_rate` what it finds too hard.
    """

    name: Name
    modality: Modality
    num_problems: Problems
    needs_solution: bool = False
    min_pass_rate: Fraction = 0.0
    max_pass_rate: Fraction = 1.0
    min_level: Level = 1
    max_level: Level = 10
    # Source -> how many problems it gives at most; a source that is not named gives any number.
    max_per_source: dict[Name, Problems] = Field(default_factory=dict)


class GraderRecipe(Strict):
    """A larger model, whose pass rate and length give problems without a level one (paper: 32B)."""

    model: ModelRecipe
    samples_per_problem: Samples = 8
    rollout: RolloutRecipe | None = None  # None: the run's


class CurationRecipe(Strict):
    """Stage 0, GRAMMAR (paper section 3.1): verifiability, difficulty, balanced selection."""

    samples_per_problem: Samples = 4
    temperature: Positive = 1.0
    max_response_tokens: Tokens = 64
    max_prompt_tokens: Tokens = 8192
    steps: Steps = STEPS  # those between the sources and the sampling, in this order
    duplicates: DuplicatesRecipe = DuplicatesRecipe()
    decontamination: DecontaminationRecipe = DecontaminationRecipe()
    traces: TracesRecipe = TracesRecipe()
    grader: GraderRecipe | None = None  # None: the base model's pass rate gives the level
    topics: TopicsRecipe = TopicsRecipe()
    # What sets are balanced over, beside the level: topics that are found, or the sources' own.
    balance_by: Literal["topic", "family"] = "topic"
    sets: Annotated[tuple[SetRecipe, ...], Field(min_length=1)]

    @property
    def sampled_models(self) -> list[ModelRecipe]:
        """The models beside the base that are sampled from: a grader, one that names topics."""
        sections = [one for one in (self.grader, self.topics.names) if one is not None]
        return [one.model for one in sections if one.model is not None]

    def kept_prompt_tokens(self, room: int) -> int:
        """The longest prompt that stays where prompt and response have so many tokens."""
        return min(self.max_prompt_tokens, room - self.max_response_tokens)


class AnswersRecipe(Strict):
    """What the verifier takes for right, in curation, RL and evaluation alike."""

    # Whether a rightly rounded decimal stands for an exact reference: `0.67` for `2/3`.
    accept_rounded: bool = False


class Recipe(Strict):
    """A whole run."""

    name: Name
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    # The system prompt: asks for <think> </think> and the final answer in \boxed{}.
    system_prompt: Annotated[str, Field(min_length=1)]
    model: ModelRecipe
    hardware: HardwareRecipe = HardwareRecipe()
    rollout: RolloutRecipe = TransformersRollout()
    answers: AnswersRecipe = AnswersRecipe()
    sources: Annotated[tuple[SourceRecipe, ...], Field(min_length=1)]
    curation: CurationRecipe
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    evaluation: EvaluationRecipe
    gates: GatesRecipe = GatesRecipe()
    checkpoints: CheckpointsRecipe = CheckpointsRecipe()
    logging: LoggingRecipe = LoggingRecipe()

    @property
    def stage_names(self) -> tuple[str, ...]:
        """All stages of a run, in their order."""
        return ("curate", *(stage.name for stage in self.stages), "evaluate")

    def for_stage(self, stage: str) -> "Recipe":
        """The recipe as one stage reads it: `hardware` is what this stage runs on."""
        return self.model_copy(update={"hardware": self.hardware.of(stage)})

    @field_validator("sources", "stages")
    @classmethod
    def _names_are_unique(cls, parts: tuple[Any, ...]) -> tuple[Any, ...]:
        names = [part.name for part in parts]
        if len(set(names)) != len(names):
            raise ValueError(f"names must be unique, these are {names}")
        return parts

    def key_variables(self, stage: str) -> tuple[str, ...]:
        """Environment variables with endpoints' keys that a stage needs: no other gets there."""
        if stage == "evaluate":
            return self.evaluation.key_variables
        names = self.curation.topics.names if stage == "curate" else None
        variable = names.connection.key_variable if names and names.endpoint else None
        return () if variable is None else (variable,)

    @property
    def grader_rollout(self) -> RolloutRecipe:
        """How the grader is sampled from; as every other model where its section does not say."""
        grader = self.curation.grader
        return grader.rollout if grader and grader.rollout else self.rollout

    @property
    def names_rollout(self) -> RolloutRecipe:
        """As `grader_rollout`, of the model that names topics."""
        names = self.curation.topics.names
        return names.rollout if names and names.rollout else self.rollout

    @model_validator(mode="after")
    def _processes_form_whole_groups(self) -> "Recipe":
        sections = {"rollout": (self.rollout, self.stage_names)}
        sections["curation.grader.rollout"] = (self.grader_rollout, ("curate",))
        sections["curation.topics.names.rollout"] = (self.names_rollout, ("curate",))
        for section, (rollout, stages) in sections.items():
            size = rollout.tensor_parallel if rollout.engine == "vllm" else 1
            if wrong := next(uneven(self.hardware, stages, size), None):
                raise ValueError(f"{section}.tensor_parallel ({size}) must divide {wrong}")
        return self

    @model_validator(mode="after")
    def _a_grader_has_room(self) -> "Recipe":
        """Its own bound would else be met when the base has answered everything."""
        asked, grader = self.curation, self.curation.grader
        longest = asked.max_prompt_tokens + asked.max_response_tokens
        if grader and grader.rollout and grader.rollout.engine == "vllm":
            bound = grader.rollout.max_length_tokens
            if bound is not None and bound < longest:
                raise ValueError(
                    f"curation.grader.rollout.max_length_tokens ({bound}) must hold "
                    f"curation.max_prompt_tokens and max_response_tokens, {longest} together"
                )
        return self

    @model_validator(mode="after")
    def _responses_have_room(self) -> "Recipe":
        """In vLLM's own bound; the model's is known when curation begins."""
        bound = self.rollout.max_length_tokens if self.rollout.engine == "vllm" else None
        if bound is not None and (wrong := next(self.crowded(bound), None)):
            raise ValueError(wrong)
        return self

    def crowded(self, room: int) -> Iterator[str]:
        """Responses that leave prompts no room in so many tokens; an endpoint's are not ours."""
        yield from no_room(room, "curation", self.curation.max_response_tokens)
        kept = self.curation.kept_prompt_tokens(room)
        for one in (stage for stage in self.stages if stage.kind == "rl"):
            yield from no_room(room, f"stage {one.name}", one.max_response_tokens, kept)

    @model_validator(mode="after")
    def _planted_leaks_leak(self) -> "Recipe":
        asked = {one.name: one.num_problems for one in self.evaluation.benchmarks}
        for source in self.sources:
            benchmark = f"pocket_{source.modality}"
            enough = benchmark in asked and (asked[benchmark] or PLANTABLE) >= PLANTABLE
            if source.num_planted and not enough:
                raise ValueError(
                    f"source {source.name}: num_planted plants questions of {benchmark}, which "
                    f"must be evaluated with at least {PLANTABLE} problems"
                )
        return self

    @model_validator(mode="after")
    def _hardware_is_of_stages(self) -> "Recipe":
        for stage in self.hardware.stages:
            if stage not in self.stage_names:
                raise ValueError(
                    f"hardware.stages.{stage} is none of the stages {list(self.stage_names)}"
                )
        if wrong := next(misplaced(self.hardware, self.stage_names), None):
            raise ValueError(wrong)
        return self

    @model_validator(mode="after")
    def _references_resolve(self) -> "Recipe":
        sets = {curated.name: curated for curated in self.curation.sets}
        if len(sets) != len(self.curation.sets):
            raise ValueError("curation.sets: names must be unique")
        if reserved := sorted(sets.keys() & set(RESERVED_SETS)):
            raise ValueError(f"curation.sets: {reserved} are files that curation writes itself")
        for stage in self.stages:
            for field, read in zip(("data", "mixed_with"), sets_of(stage), strict=False):
                if read not in sets:
                    raise ValueError(
                        f"stage {stage.name}: `{field}` is {read!r}, "
                        f"which is none of curation.sets {sorted(sets)}"
                    )
            if stage.kind == "sft" and not sets[stage.data].needs_solution:
                raise ValueError(
                    f"stage {stage.name}: supervised fine-tuning needs traces; "
                    f"set `needs_solution = true` in the set {stage.data!r}"
                )
        for stage in self.stages:
            if stage.name in RESERVED_NAMES:
                raise ValueError(f"a training stage may not be called `{stage.name}`")
        modalities = {source.modality for source in self.sources}
        for curated in self.curation.sets:
            if curated.modality not in modalities:
                raise ValueError(f"set {curated.name}: no source has modality {curated.modality!r}")
            unknown = sorted(curated.max_per_source.keys() - {one.name for one in self.sources})
            if unknown:
                raise ValueError(f"set {curated.name}: max_per_source names no source: {unknown}")
        self.gates.check_names(
            sets,
            [stage.name for stage in self.stages],
            [one.name for one in self.evaluation.benchmarks],
        )
        return self


def load_recipe(path: Path, *, seed: int | None = None) -> Recipe:
    """Reads and checks a recipe.

    Args:
        path: The TOML file.
        seed: Replaces the recipe's seed when given.

    Raises:
        RecipeError: The file is missing, is no TOML, or breaks a rule; faults are listed together.
    """
    values = read_toml(path)
    if seed is not None:
        values["seed"] = seed
    return from_folder(parse_recipe(values, where=str(path)), path.parent)


def from_folder(recipe: Recipe, folder: Path) -> Recipe:
    """A recipe whose places that begin with `./` or `../` start at a folder."""
    sources = tuple(
        source.model_copy(update={"path": source.path and _from_folder(source.path, folder)})
        for source in recipe.sources
    )
    benchmarks = tuple(
        one.model_copy(update={"path": one.path and _from_folder(one.path, folder)})
        for one in recipe.evaluation.benchmarks
    )
    return recipe.model_copy(
        update={
            "model": _model_from(recipe.model, folder),
            "sources": sources,
            "curation": _curation_from(recipe.curation, folder),
            "evaluation": recipe.evaluation.model_copy(update={"benchmarks": benchmarks}),
        }
    )


def _model_from(model: ModelRecipe, folder: Path) -> ModelRecipe:
    return model.model_copy(update={"path": _from_folder(model.path, folder)})


def _curation_from(curation: CurationRecipe, folder: Path) -> CurationRecipe:
    """The section with the places of its models as `_from_folder` reads them."""
    grader, topics = curation.grader, curation.topics
    if grader is not None:
        grader = grader.model_copy(update={"model": _model_from(grader.model, folder)})
    if topics.embedding is not None:
        place = _from_folder(topics.embedding.path, folder)
        embedding = topics.embedding.model_copy(update={"path": place})
        topics = topics.model_copy(update={"embedding": embedding})
    if topics.names is not None and topics.names.model is not None:
        named_by = {"model": _model_from(topics.names.model, folder)}
        topics = topics.model_copy(update={"names": topics.names.model_copy(update=named_by)})
    return curation.model_copy(update={"grader": grader, "topics": topics})


def _from_folder(path: str, folder: Path) -> str:
    """`./` and `../` start at the folder; anything else stays as it is."""
    return os.path.realpath(folder / path) if path.startswith(("./", "../")) else path


def parse_recipe(values: dict[str, Any], *, where: str) -> Recipe:
    """Checks a recipe's values.

    Args:
        values: The parsed TOML or JSON.
        where: The file's name, for the message.

    Raises:
        RecipeError: Names every field that breaks a rule.
    """
    check_texts(values, where=where)
    _refuse_secrets(values, where)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        faults = [described(fault) for fault in error.errors()]
        more = f"; and {len(faults) - MAX_SHOWN_FAULTS} more" if faults[MAX_SHOWN_FAULTS:] else ""
        raise RecipeError(
            f"The recipe breaks {len(faults)} rule(s).",
            where=where,
            rule="; ".join(faults[:MAX_SHOWN_FAULTS]) + more,
            fix="correct the fields named above; `revisual show pocket` prints a complete recipe",
        ) from error


def _refuse_secrets(values: dict[str, Any], where: str) -> None:
    """A recipe is stored with every run, and shown in its report."""
    if fields := list(find_secrets(values)):
        raise RecipeError(
            f"The recipe holds what looks like a password, a key or a token: {', '.join(fields)}.",
            where=where,
            rule="a recipe is saved with the run and shown in its report: it holds no secrets",
            fix="remove it from the recipe; credentials belong in the environment",
        )


def resolved_toml_values(recipe: Recipe) -> dict[str, Any]:
    """The recipe with every default filled in, as plain JSON-compatible values."""
    return recipe.model_dump(mode="json")
