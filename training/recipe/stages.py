"""The training stages' part of the recipe: optimizer, rewards, PAD, SFT and RL settings."""

import math
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from training.recipe.bounds import (
    Epochs,
    Fraction,
    Function,
    Name,
    NonNegative,
    Nucleus,
    Positive,
    PositiveInt,
    Real,
    Samples,
    Strict,
    Tokens,
)
from training.recipe.loss import LossRecipe

Component = Literal["vision_tower", "projector", "language_model"]


class OptimizerRecipe(Strict):
    """AdamW and its schedule."""

    learning_rate: Positive
    weight_decay: NonNegative = 0.01
    max_grad_norm: Positive = 1.0
    warmup_ratio: Fraction = 0.0
    schedule: Literal["constant", "cosine"] = "constant"
    # Updates with a gradient that is not finite are left out; so many of them in a row end a run.
    max_nonfinite_in_a_row: PositiveInt = 5


class LoraRecipe(Strict):
    """Low-rank adapters instead of the whole weights; they are saved merged."""

    rank: PositiveInt = 16
    alpha: Positive = 32.0  # an adapter's output is multiplied by alpha / rank
    components: Annotated[tuple[Component, ...], Field(min_length=1)] = ("language_model",)


def _require_learning_adapters(lora: LoraRecipe | None, freeze: tuple[Component, ...]) -> None:
    both = sorted(set(freeze) & set(lora.components if lora else ()))
    if both:
        raise ValueError(f"{both} cannot be both in freeze and in lora.components")


class SftStage(Strict):
    """Stage 1, the cold start: supervised fine-tuning on reasoning traces."""

    kind: Literal["sft"]
    name: Name
    data: Name  # a curated set
    optimizer: OptimizerRecipe
    epochs: Epochs
    batch_size: PositiveInt  # sequences per optimizer step, over all processes
    tokens_per_micro_batch: PositiveInt = 16384
    max_length_tokens: Tokens
    freeze: tuple[Component, ...] = ()
    lora: LoraRecipe | None = None

    @model_validator(mode="after")
    def _adapters_learn(self) -> "SftStage":
        _require_learning_adapters(self.lora, self.freeze)
        return self


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
    budget_tokens: Tokens
    alpha: Positive = 0.005
    delta: Real = 0.5


class RepetitionReward(Strict):
    """1 - share of repeated n-grams."""

    kind: Literal["repetition"]
    weight: Positive = 1.0
    ngram: PositiveInt = 8


class KeywordsReward(Strict):
    """`value` for every occurrence of a word or phrase, whatever its case, up to 1."""

    kind: Literal["keywords"]
    weight: Positive = 1.0
    words: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
    value: Positive = 0.05


class OverlongReward(Strict):
    """0 up to `limit_tokens - buffer_tokens`, then falling to -1 at the limit (DAPO, eq. 13)."""

    kind: Literal["overlong"]
    weight: Positive = 1.0
    limit_tokens: Tokens
    buffer_tokens: Tokens

    @model_validator(mode="after")
    def _buffer_lies_below_the_limit(self) -> "OverlongReward":
        if self.buffer_tokens > self.limit_tokens:
            raise ValueError("buffer_tokens must not exceed limit_tokens")
        return self


class CustomReward(Strict):
    """What a function of the user's own returns (`training.rl.custom`)."""

    kind: Literal["custom"]
    weight: Positive = 1.0
    function: Function


# Words of self-critique, which the authors' code counts, too; the choice is ours.
SELF_CRITIQUE = (
    *("wait", "but", "however", "maybe", "perhaps", "alternatively", "mistake", "wrong"),
    *("let me check", "recheck", "reconsider", "rethink", "on second thought"),
)
RewardRecipe = Annotated[
    AccuracyReward
    | FormatReward
    | EfficientLengthReward
    | RepetitionReward
    | KeywordsReward
    | OverlongReward
    | CustomReward,
    Field(discriminator="kind"),
]


def reward_preset(name: str, max_response_tokens: int) -> list[dict[str, Any]]:
    """The rewards behind a name such as `rewards = "paper-v1"`.

    `paper-v1`: accuracy and efficient length, alpha and delta from the paper; its weights and its
    budget (half the longest response) are ours, the paper states none. `paper-v2`: accuracy alone.
    `released`: the authors' text reward; their self-critique counts more phrases, and by kinds.

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
            {"kind": "keywords", "weight": 0.05, "words": list(SELF_CRITIQUE), "value": 0.05},
        ],
    }
    if name not in presets:
        raise ValueError(f"rewards: {name!r} is none of the presets {sorted(presets)}")
    return presets[name]


def rl_preset(name: str) -> dict[str, Any]:
    """The values behind `preset = "released"` of an RL stage.

    They are those of the authors' launch script and code; dual clip is 3.0 and k3 capped at 10
    there, as by default here.

    Raises:
        ValueError: No preset has that name.
    """
    if name != "released":
        raise ValueError(f"preset: {name!r} is none of ['released']")
    return {
        "group_size": 8,
        "clip_low": 0.2,
        "clip_high": 0.25,
        "dual_clip": 3.0,
        "log_ratio_bound": math.log(1e3),
        "pad": {"strategy": "released", "low": 0.03, "high": 0.97},
        "kl": {"coefficient": 1e-2, "estimator": "k3", "cap": 10.0},
        "entropy": {"coefficient": 0.02, "decay": 0.985, "warmup_updates": 20, "warmup": "zero"},
        "rewards": "released",
    }


class PadRecipe(Strict):
    """Prioritized Advantage Distillation (Algorithm 1) and the arms of its ablation (Table 4)."""

    strategy: Literal["pad", "filter", "random", "none", "dynamic", "released"] = "pad"
    low: Positive = 0.03  # T_low: drops zero-advantage sequences
    high: Positive = 10.0  # T_high: must not drop the minority outcome of a group
    ratio: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5  # rho
    temperature_start: Positive = 1.0  # tau
    temperature_end: Positive = 0.3
    # Weighs sequences by their inverse inclusion probabilities: no bias, more variance.
    importance_weight: bool = False
    # Further prompts are sampled so often in a step until |E| reaches the size of the batch.
    refill_rounds: Annotated[int, Field(ge=0, le=16)] = 0

    @model_validator(mode="after")
    def _bounds_are_ordered(self) -> "PadRecipe":
        if self.low > self.high:
            raise ValueError(f"low ({self.low}) must not exceed high ({self.high})")
        return self

    @model_validator(mode="after")
    def _dynamic_sampling_refills(self) -> "PadRecipe":
        if self.strategy == "dynamic" and self.refill_rounds == 0:
            raise ValueError(
                'strategy "dynamic" (DAPO) replaces groups that teach nothing by new ones: '
                "set refill_rounds to 1 or more"
            )
        return self

    @model_validator(mode="after")
    def _weights_have_a_draw_to_undo(self) -> "PadRecipe":
        if self.importance_weight and self.strategy not in ("pad", "random", "released"):
            raise ValueError(
                f"importance_weight undoes the bias of a random draw, and strategy "
                f"{self.strategy!r} draws nothing: remove it, or choose pad, random or released"
            )
        return self


class EntropyRecipe(Strict):
    """Entropy bonus: `coefficient`, times `decay` each optimizer update after `warmup_updates`.

    Until then it rises linearly (`ramp`) or is zero, as in the authors' code (`zero`).
    """

    coefficient: Positive
    decay: Annotated[float, Field(gt=0.0, le=1.0)] = 0.985
    warmup_updates: Annotated[int, Field(ge=0, lt=2**31)] = 0
    warmup: Literal["ramp", "zero"] = "ramp"


class ValidationRecipe(Strict):
    """A held-out part of the stage's set, answered once every few steps and at the end.

    With it, the best step checkpoint is the one of the highest accuracy here.
    """

    num_problems: PositiveInt = 64  # never trained on in this stage
    every_steps: PositiveInt = 10
    temperature: NonNegative = 0.0  # 0 decodes greedily
    # The stage ends after so many validations in a row without a new best; None never does.
    patience: PositiveInt | None = None


StopString = Annotated[str, Field(min_length=1, max_length=64)]


class RlStage(LossRecipe):
    """Stages 2 and 3: GRPO with PAD."""

    kind: Literal["rl"]
    name: Name
    data: Name  # a curated set
    mixed_with: Name | None = None  # another set, whose problems are drawn with the first one's
    optimizer: OptimizerRecipe
    num_steps: PositiveInt
    prompts_per_step: PositiveInt
    group_size: Annotated[Samples, Field(ge=2)]  # G, responses per prompt
    updates_per_step: PositiveInt = 1  # optimizer steps per batch of rollouts
    max_response_tokens: Tokens
    temperature: Positive = 1.0
    top_p: Nucleus = 0.95
    top_k: Annotated[int, Field(ge=0, lt=2**31)] = 0  # 0 for all tokens
    min_p: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0  # 0 for all tokens
    # A response ends with one of these, besides the model's end tokens.
    stop: Annotated[tuple[StopString, ...], Field(max_length=8)] = ()
    tokens_per_micro_batch: PositiveInt = 16384
    advantage_scale: Literal["std", "none", "batch", "rloo", "reinforce++"] = "std"
    pad: PadRecipe = PadRecipe()
    entropy: EntropyRecipe | None = None
    validation: ValidationRecipe | None = None
    rewards: Annotated[tuple[RewardRecipe, ...], Field(min_length=1)]  # or a preset's name
    mask_truncated: bool = False
    freeze: tuple[Component, ...] = ()
    lora: LoraRecipe | None = None

    @model_validator(mode="before")
    @classmethod
    def _expand_presets(cls, values: object) -> object:
        """`preset` fills in what the stage leaves open; `rewards` may name one of its own."""
        if not isinstance(values, dict):
            return values
        values = dict(values)
        if "preset" in values:
            values = rl_preset(values.pop("preset")) | values
        if isinstance(values.get("rewards"), str):
            longest = values.get("max_response_tokens")
            longest = longest if isinstance(longest, int) else 1  # its own field reports it
            values["rewards"] = reward_preset(values["rewards"], longest)
        return values

    @model_validator(mode="after")
    def _adapters_learn(self) -> "RlStage":
        _require_learning_adapters(self.lora, self.freeze)
        return self

    @model_validator(mode="after")
    def _two_sets_are_mixed(self) -> "RlStage":
        if self.mixed_with == self.data:
            raise ValueError(f"mixed_with ({self.mixed_with}) must be another set than data")
        return self

    @model_validator(mode="after")
    def _gspo_is_a_mean_of_sequences(self) -> "RlStage":
        if self.ratio_level == "sequence" and self.aggregation != "sequence_mean":
            raise ValueError(
                f'ratio_level "sequence" (GSPO) gives every sequence one term of the same weight, '
                f'which aggregation "{self.aggregation}" does not: set aggregation to '
                f'"sequence_mean"'
            )
        return self

    @model_validator(mode="after")
    def _cispo_is_a_loss_of_tokens(self) -> "RlStage":
        if self.surrogate == "cispo" and self.ratio_level == "sequence":
            raise ValueError(
                'ratio_level "sequence" (GSPO) has no CISPO form: '
                'choose surrogate "clip" or ratio_level "token"'
            )
        return self

    @field_validator("rewards")
    @classmethod
    def _kinds_are_unique(cls, rewards: tuple[RewardRecipe, ...]) -> tuple[RewardRecipe, ...]:
        kinds = [reward.kind for reward in rewards]
        if len(set(kinds)) != len(kinds):
            raise ValueError(f"each kind of reward may occur once, these are {kinds}")
        return rewards


Stage = Annotated[SftStage | RlStage, Field(discriminator="kind")]


def sets_of(stage: SftStage | RlStage) -> tuple[str, ...]:
    """The curated sets that a stage reads."""
    mixed_with = stage.mixed_with if isinstance(stage, RlStage) else None
    return (stage.data,) if mixed_with is None else (stage.data, mixed_with)


def validates(stages: Iterable[SftStage | RlStage], name: str) -> bool:
    """Whether the stage of that name scores itself on problems that it holds out."""
    return any(
        isinstance(stage, RlStage) and stage.name == name and stage.validation is not None
        for stage in stages
    )


def custom_rewards(stages: Iterable[SftStage | RlStage]) -> list[str]:
    """The functions of the user's own that stages are rewarded by."""
    return [
        reward.function
        for stage in stages
        if isinstance(stage, RlStage)
        for reward in stage.rewards
        if isinstance(reward, CustomReward)
    ]
