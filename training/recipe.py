"""The recipe: every number of a run, strict, frozen and saved with the run.

A recipe is a TOML file. Unknown keys, wrong types and values out of range fail at once, with the
field, the rule and the fix. The order of the training stages is data: the list `stages`.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from training.errors import RecipeError
from training.records import Modality

PositiveInt = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
NonNegative = Annotated[float, Field(ge=0.0)]
Level = Annotated[int, Field(ge=1, le=10)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
RESERVED_NAMES = ("base", "curate", "evaluate")  # of the base policy and the other stages
Component = Literal["vision_tower", "projector", "language_model"]


class Strict(BaseModel):
    """Base of every section: unknown keys fail, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelRecipe(Strict):
    """The base policy: any image-text-to-text model that transformers can load.

    `path` is a folder, relative to the recipe's own folder when it starts with `./` or `../`,
    or else a model hub's id.
    """

    path: Annotated[str, Field(min_length=1)]
    dtype: Literal["float32", "bfloat16"] = "float32"
    # Pixels an image may have after resizing; None keeps the processor's own bound.
    max_pixels: PositiveInt | None = None


class HardwareRecipe(Strict):
    """How many processes train, and how many CPU threads each may use."""

    num_processes: PositiveInt = 1
    threads_per_process: PositiveInt = 2
    zero_stage: Annotated[int, Field(ge=0, le=3)] = 0


class SourceRecipe(Strict):
    """One source of problems, mapped to the record schema.

    `pocket` problems are generated; `parquet` files are read through `datasets`, with `columns`
    mapping a record's field to the file's column. `path` is a file, a glob or a hub's id; it
    starts at the recipe's own folder when it begins with `./` or `../`.
    """

    name: Name
    kind: Literal["pocket", "parquet"]
    modality: Modality
    num_problems: PositiveInt | None = None
    path: str | None = None
    columns: dict[str, str] = {}

    @model_validator(mode="after")
    def _kind_has_what_it_needs(self) -> "SourceRecipe":
        if self.kind == "parquet" and self.path is None:
            raise ValueError("a parquet source needs `path`")
        if self.kind == "pocket" and (self.path is not None or self.columns):
            raise ValueError("a pocket source is generated: it takes neither `path` nor `columns`")
        if self.kind == "pocket" and self.num_problems is None:
            raise ValueError("a pocket source needs `num_problems`")
        return self


class SetRecipe(Strict):
    """One curated set: which problems it admits, and how many it holds.

    Sets are filled in the order of the recipe and never share a problem. `max_pass_rate` prunes
    what the base model finds too easy, `min_pass_rate` what it finds too hard.
    """

    name: Name
    modality: Modality
    num_problems: PositiveInt
    needs_solution: bool = False
    min_pass_rate: Fraction = 0.0
    max_pass_rate: Fraction = 1.0
    min_level: Level = 1
    max_level: Level = 10


class CurationRecipe(Strict):
    """Stage 0, GRAMMAR (paper section 3.1): verifiability, difficulty, balanced selection."""

    samples_per_problem: PositiveInt = 4
    temperature: Positive = 1.0
    max_response_tokens: PositiveInt = 64
    max_prompt_tokens: PositiveInt = 8192
    sets: Annotated[tuple[SetRecipe, ...], Field(min_length=1)]


class OptimizerRecipe(Strict):
    """AdamW and its schedule."""

    learning_rate: Positive
    weight_decay: NonNegative = 0.01
    max_grad_norm: Positive = 1.0
    warmup_ratio: Fraction = 0.0
    schedule: Literal["constant", "cosine"] = "constant"


class SftStage(Strict):
    """Stage 1, the cold start: supervised fine-tuning on reasoning traces."""

    kind: Literal["sft"]
    name: Name
    data: Name  # a curated set
    optimizer: OptimizerRecipe
    epochs: Positive
    batch_size: PositiveInt  # sequences per optimizer step, over all processes
    tokens_per_micro_batch: PositiveInt = 16384
    max_length_tokens: PositiveInt
    freeze: tuple[Component, ...] = ()


class AccuracyReward(Strict):
    """1 for a verified answer, else 0."""

    kind: Literal["accuracy"]
    weight: Positive = 1.0


class FormatReward(Strict):
    """1 for exactly one <think> block followed by one boxed answer, else 0."""

    kind: Literal["format"]
    weight: Positive = 1.0


class EfficientLengthReward(Strict):
    """clip(alpha (budget - length) + delta, 0, 1) (paper v1, efficient-length reward)."""

    kind: Literal["efficient_length"]
    weight: Positive = 1.0
    budget_tokens: PositiveInt
    alpha: Positive = 0.005
    delta: float = 0.5


class RepetitionReward(Strict):
    """1 - share of repeated n-grams."""

    kind: Literal["repetition"]
    weight: Positive = 1.0
    ngram: PositiveInt = 8


RewardRecipe = Annotated[
    AccuracyReward | FormatReward | EfficientLengthReward | RepetitionReward,
    Field(discriminator="kind"),
]


def reward_preset(name: str, max_response_tokens: int) -> list[dict[str, Any]]:
    """The rewards behind a name such as `rewards = "paper-v1"`.

    `paper-v1`: accuracy and efficient length, alpha and delta from the paper; its weights and its
    budget (half the longest response) are ours, the paper states none. `paper-v2`: accuracy alone.
    `released`: the authors' text reward without its 0.05 for self-critique, a count of keywords.

    Raises:
        ValueError: No preset has that name.
    """
    presets: dict[str, list[dict[str, Any]]] = {
        "paper-v1": [
            {"kind": "accuracy", "weight": 0.9},
            {
                "kind": "efficient_length",
                "weight": 0.1,
                "budget_tokens": max(max_response_tokens // 2, 1),
                "alpha": 0.005,
                "delta": 0.5,
            },
        ],
        "paper-v2": [{"kind": "accuracy", "weight": 1.0}],
        "released": [
            {"kind": "accuracy", "weight": 0.85},
            {"kind": "repetition", "weight": 0.10, "ngram": 5},
        ],
    }
    if name not in presets:
        raise ValueError(f"rewards: {name!r} is none of the presets {sorted(presets)}")
    return presets[name]


class PadRecipe(Strict):
    """Prioritized Advantage Distillation (Algorithm 1) and the arms of its ablation (Table 4)."""

    strategy: Literal["pad", "filter", "random", "none", "dynamic", "released"] = "pad"
    low: Positive = 0.03  # T_low: drops zero-advantage sequences
    high: Positive = 10.0  # T_high: must not drop the minority outcome of a group
    ratio: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5  # rho
    temperature_start: Positive = 1.0  # tau
    temperature_end: Positive = 0.3

    @model_validator(mode="after")
    def _bounds_are_ordered(self) -> "PadRecipe":
        if self.low > self.high:
            raise ValueError(f"low ({self.low}) must not exceed high ({self.high})")
        return self


class KlRecipe(Strict):
    """A KL term against the stage's initial policy."""

    coefficient: Positive
    estimator: Literal["k1", "k2", "k3"] = "k3"


class EntropyRecipe(Strict):
    """Entropy bonus: `coefficient`, times `decay` each step, ramped up over `warmup_steps`."""

    coefficient: Positive
    decay: Annotated[float, Field(gt=0.0, le=1.0)] = 0.985
    warmup_steps: Annotated[int, Field(ge=0)] = 0


class RlStage(Strict):
    """Stages 2 and 3: GRPO with PAD."""

    kind: Literal["rl"]
    name: Name
    data: Name  # a curated set
    optimizer: OptimizerRecipe
    num_steps: PositiveInt
    prompts_per_step: PositiveInt
    group_size: Annotated[int, Field(ge=2)]  # G, responses per prompt
    updates_per_step: PositiveInt = 1  # optimizer steps per batch of rollouts
    max_response_tokens: PositiveInt
    temperature: Positive = 1.0
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = 0.95
    tokens_per_micro_batch: PositiveInt = 16384
    clip_low: Positive = 0.2
    clip_high: Positive = 0.2
    aggregation: Literal["token_mean", "sequence_mean", "dr_grpo"] = "token_mean"
    advantage_scale: Literal["std", "none"] = "std"
    pad: PadRecipe = PadRecipe()
    kl: KlRecipe | None = None
    entropy: EntropyRecipe | None = None
    rewards: Annotated[tuple[RewardRecipe, ...], Field(min_length=1)]  # or a preset's name
    freeze: tuple[Component, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _expand_reward_preset(cls, values: object) -> object:
        if isinstance(values, dict) and isinstance(values.get("rewards"), str):
            longest = values.get("max_response_tokens")
            longest = longest if isinstance(longest, int) else 1  # its own field reports it
            return values | {"rewards": reward_preset(values["rewards"], longest)}
        return values

    @field_validator("rewards")
    @classmethod
    def _kinds_are_unique(cls, rewards: tuple[RewardRecipe, ...]) -> tuple[RewardRecipe, ...]:
        kinds = [reward.kind for reward in rewards]
        if len(set(kinds)) != len(kinds):
            raise ValueError(f"each kind of reward may occur once, these are {kinds}")
        return rewards


Stage = Annotated[SftStage | RlStage, Field(discriminator="kind")]


class BenchmarkRecipe(Strict):
    """One held-out set; `name` is a module of training.evaluation."""

    name: Name
    num_problems: PositiveInt | None = None


class EvaluationRecipe(Strict):
    """Benchmark evaluation of the base and of every stage's checkpoint."""

    benchmarks: Annotated[tuple[BenchmarkRecipe, ...], Field(min_length=1)]
    max_response_tokens: PositiveInt
    batch_size: PositiveInt = 64
    temperature: NonNegative = 0.0  # 0 decodes greedily


class GateRecipe(Strict):
    """What a gate demands, and whether breaking it stops the run."""

    severity: Literal["error", "warning"] = "error"


class CurationGate(GateRecipe):
    """Between curation and training."""

    min_rows_per_set: PositiveInt = 1
    min_families: PositiveInt = 1
    max_missing_rows: Fraction = 0.0  # share of a set's `num_problems` that may be missing


class EvaluationGate(GateRecipe):
    """After the evaluation; gains are in points of accuracy, final checkpoint minus base."""

    min_gain_points: float = 0.0
    max_unparseable: Fraction = 1.0


class GatesRecipe(Strict):
    """The Great Expectations gates."""

    curation: CurationGate = CurationGate()
    evaluation: EvaluationGate = EvaluationGate()


class Recipe(Strict):
    """A whole run."""

    name: Name
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    # The system prompt: asks for <think> </think> and the final answer in \boxed{}.
    system_prompt: Annotated[str, Field(min_length=1)]
    model: ModelRecipe
    hardware: HardwareRecipe = HardwareRecipe()
    sources: Annotated[tuple[SourceRecipe, ...], Field(min_length=1)]
    curation: CurationRecipe
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    evaluation: EvaluationRecipe
    gates: GatesRecipe = GatesRecipe()

    @field_validator("sources", "stages")
    @classmethod
    def _names_are_unique(cls, parts: tuple[Any, ...]) -> tuple[Any, ...]:
        names = [part.name for part in parts]
        if len(set(names)) != len(names):
            raise ValueError(f"names must be unique, these are {names}")
        return parts

    @model_validator(mode="after")
    def _references_resolve(self) -> "Recipe":
        sets = {curated.name: curated for curated in self.curation.sets}
        if len(sets) != len(self.curation.sets):
            raise ValueError("curation.sets: names must be unique")
        for stage in self.stages:
            if stage.data not in sets:
                raise ValueError(
                    f"stage {stage.name}: `data` is {stage.data!r}, "
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
        return self


def load_recipe(path: Path, *, seed: int | None = None) -> Recipe:
    """Reads and checks a recipe.

    Args:
        path: The TOML file.
        seed: Replaces the recipe's seed when given.

    Raises:
        RecipeError: The file is missing, is no TOML, or breaks a rule; all faults are listed.
    """
    if not path.is_file():
        raise RecipeError(
            f"There is no recipe {path}.",
            where=str(path),
            rule="a recipe is a TOML file",
            fix="name a shipped recipe (pocket, revisual-3b, revisual-7b) or the path of your own",
        )
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(
            f"{path} is not valid TOML: {error}.",
            where=str(path),
            rule="a recipe is a TOML file",
            fix="correct the line that the message names",
        ) from error
    if seed is not None:
        values["seed"] = seed
    recipe = parse_recipe(values, where=str(path))
    model = recipe.model.model_copy(update={"path": _from_folder(recipe.model.path, path.parent)})
    sources = tuple(
        source.model_copy(update={"path": source.path and _from_folder(source.path, path.parent)})
        for source in recipe.sources
    )
    return recipe.model_copy(update={"model": model, "sources": sources})


def _from_folder(path: str, folder: Path) -> str:
    """`./` and `../` start at the recipe's own folder; anything else stays as it is."""
    return str((folder / path).resolve()) if path.startswith(("./", "../")) else path


def parse_recipe(values: dict[str, Any], *, where: str) -> Recipe:
    """Checks a recipe's values.

    Args:
        values: The parsed TOML or JSON.
        where: The file's name, for the message.

    Raises:
        RecipeError: Names every field that breaks a rule.
    """
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        faults = [_describe(fault) for fault in error.errors()]
        raise RecipeError(
            f"The recipe breaks {len(faults)} rule(s).",
            where=where,
            rule="; ".join(faults),
            fix="correct the fields named above; `revisual show pocket` prints a complete recipe",
        ) from error


def _describe(fault: ErrorDetails) -> str:
    """One fault as `field: message (got value)`, without the discriminator tags pydantic adds."""
    field = ".".join(str(part) for part in fault["loc"]) or "recipe"
    if fault["type"] == "extra_forbidden":
        return f"{field}: unknown key"
    given = fault.get("input")
    shown = f" (got {given!r})" if isinstance(given, str | int | float | bool) else ""
    return f"{field}: {fault['msg']}{shown}"


def resolved_toml_values(recipe: Recipe) -> dict[str, Any]:
    """The recipe with every default filled in, as plain JSON-compatible values."""
    return recipe.model_dump(mode="json")
