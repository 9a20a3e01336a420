"""A training stage's work: tokens, times as ranges, and what it writes to disk."""

import math
from dataclasses import dataclass

from training.plan.learned import BYTES
from training.plan.machine import GPUS, Machine
from training.plan.memory import StageMemory
from training.plan.rows import PROMPT_TOKENS, RL_LENGTH, SFT_LENGTH, num_rows
from training.plan.shape import ModelShape
from training.recipe.recipe import Recipe
from training.recipe.stages import RlStage, Stage, validates
from training.runtime.rhythm import planned_minutes, save_seconds

# Assumptions: which share of a GPU's peak the learner gets, and which of its best rate the sampler
# (batches end one by one).
LEARNER_SHARE, SAMPLER_SHARE = (0.45, 0.25), (1.0, 0.5)
SAMPLER_MODEL = 8.3e9  # parameters of the model whose sampling rate is assumed
# On a machine's disk at most: being written, waiting, being uploaded, the best, one to resume from.
MAX_SCRATCH_CHECKPOINTS = 5


@dataclass(frozen=True)
class Range:
    """The least and the most of it."""

    low: float
    high: float


@dataclass(frozen=True)
class StageWork:
    """What a stage does.

    Attributes:
        num_updates: Optimizer steps at most.
        num_saves: Step checkpoints written at most, at the slowest rates.
        sampled_tokens: By the sampler.
        learned_tokens: Through the learner, prompts included.
        save_seconds: That a node takes to write its share of a step checkpoint.
        every_minutes: After which it saves where the recipe says no other number.
        step_seconds: Of one step, after which it can be saved, at the slowest rates.
        learner_seconds: Of its passes.
        sampler_seconds: Of sampling.
        scratch: Bytes on the machine's own disk.
        stored: Bytes in the store while it runs, with step checkpoints.
        model: Bytes of the model that it makes.
        best: Bytes of the best step checkpoint, which stays; 0 for a stage that does not validate.
        written: Bytes written to the store in all.
    """

    num_updates: int
    num_saves: int
    save_seconds: float
    every_minutes: float
    step_seconds: float
    sampled_tokens: Range
    learned_tokens: Range
    learner_seconds: Range
    sampler_seconds: Range
    scratch: int
    stored: int
    model: int
    best: int
    written: int

    @property
    def stays(self) -> int:
        """Bytes in the store once it is finished."""
        return self.model + self.best


def stage_work(
    recipe: Recipe, stage: Stage, shape: ModelShape, memory: StageMemory, machine: Machine
) -> StageWork:
    """Adds a stage's work up, at a range of lengths and rates."""
    if isinstance(stage, RlStage):
        num_steps, num_updates = stage.num_steps, stage.num_steps * stage.updates_per_step
        responses = num_steps * stage.prompts_per_step * stage.group_size
        sampled = _times(responses * stage.max_response_tokens, RL_LENGTH)
        share = stage.pad.ratio if stage.pad.strategy in ("pad", "random", "released") else 1.0
        prompts = responses * PROMPT_TOKENS
        learned = Range((sampled.low + prompts) * share, (sampled.high + prompts) * share)
    else:
        rows = num_rows(recipe, stage)
        num_steps = num_updates = math.ceil(rows * stage.epochs / stage.batch_size)
        sampled = Range(0.0, 0.0)
        learned = _times(num_updates * stage.batch_size * stage.max_length_tokens, SFT_LENGTH)
    flops = 2 * shape.total * _passes(recipe, stage)
    gpu, num_ranks = GPUS[machine.gpu], recipe.hardware.num_ranks
    peak = gpu.bfloat16_flops * num_ranks
    rate = gpu.sampled_tokens * num_ranks * SAMPLER_MODEL / shape.total
    learner = _seconds(learned, flops / peak, LEARNER_SHARE)
    sampler = _seconds(sampled, 1 / rate, SAMPLER_SHARE)
    seconds_of_save = save_seconds(memory.checkpoint, recipe.hardware.nodes)
    every_minutes = planned_minutes(seconds_of_save)
    saves = _num_saves(recipe, stage, num_steps, learner.high + sampler.high, every_minutes)
    model = shape.total * BYTES[recipe.model.dtype]
    # And the one with the best score, and the newest, which is stored before an older one goes.
    kept = min(saves, recipe.checkpoints.keep_last + 2)
    return StageWork(
        num_updates,
        saves,
        seconds_of_save,
        every_minutes,
        (learner.high + sampler.high) / num_steps,
        sampled,
        learned,
        learner,
        sampler,
        scratch=min(saves, MAX_SCRATCH_CHECKPOINTS) * memory.checkpoint + 2 * model,
        stored=kept * memory.checkpoint + model,
        model=model,
        best=memory.checkpoint if validates([stage], stage.name) else 0,
        written=saves * memory.checkpoint + model,
    )


def _num_saves(recipe: Recipe, stage: Stage, num_steps: int, seconds: float, planned: float) -> int:
    """Step checkpoints of a stage that takes so long: at most this many."""
    rhythm, before_last = recipe.checkpoints, num_steps - 1
    saves = 1 + int(seconds // (60.0 * (rhythm.every_minutes or planned)))
    if rhythm.every_steps is not None:
        saves += before_last // rhythm.every_steps
    if isinstance(stage, RlStage) and stage.validation is not None:
        saves += before_last // stage.validation.every_steps
    return min(saves, num_steps)


def _passes(recipe: Recipe, stage: Stage) -> float:
    """Forward passes' worth of work on a learned token.

    A backward pass costs two, or one where only adapters learn; checkpointing computes one again.
    """
    passes = 1 + (1 if stage.lora else 2) + recipe.hardware.activation_checkpointing
    if isinstance(stage, RlStage):
        passes += (stage.updates_per_step > 1) + (stage.kl is not None)
    return passes


def _times(count: float, shares: tuple[float, float]) -> Range:
    return Range(count * shares[0], count * shares[1])


def _seconds(tokens: Range, of_a_token: float, shares: tuple[float, float]) -> Range:
    """At the best and the worst share of the full rate."""
    return Range(tokens.low * of_a_token / shares[0], tokens.high * of_a_token / shares[1])
