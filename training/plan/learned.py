"""What the learner holds of a policy: weights, masters, moments and gradients, by ZeRO stage.

Read off deepspeed 0.19 with torch's AdamW, and compared with the learner's own tensors in
tests/training/plan/test_learned.py.
"""

from dataclasses import dataclass

from training.plan.shape import ModelShape
from training.recipe.stages import Stage

FLOAT32 = 4
BYTES = {"float32": 4, "bfloat16": 2}
# DeepSpeed's defaults, in elements: what is gathered into one reduction, and what stays whole of a
# model that ZeRO-3 has sharded.
REDUCE_BUCKET = 500_000_000
LIVE_PARAMETERS, PREFETCH = 1_000_000_000, 50_000_000


@dataclass(frozen=True)
class Learned:
    """What of a policy learns.

    Attributes:
        whole: Elements of the policy, adapters included.
        trained: Elements with a gradient.
        tensors: How many parameters have a gradient.
    """

    whole: int
    trained: int
    tensors: int


@dataclass(frozen=True)
class Held:
    """Bytes of one rank.

    Attributes:
        weights: In the recipe's number format.
        master: Float32 copies that the optimizer steps on, where there are any.
        moments: AdamW's two.
        gradients: Of the micro-batches so far.
        step: What a step makes on top of that for a moment: gradients in float32.
        buckets: What is being reduced or gathered while gradients are computed.
    """

    weights: int
    master: int
    moments: int
    gradients: int
    step: int
    buckets: int

    @property
    def optimizer(self) -> int:
        """Master weights and moments."""
        return self.master + self.moments


def learned(shape: ModelShape, stage: Stage) -> Learned:
    """What a stage trains, as `training.learner.setup.new_learner` sets it up."""
    if stage.lora:
        rank = stage.lora.rank
        adapted = [one for one in shape.linears if one[0] in stage.lora.components]
        size = sum(rank * (inputs + outputs) for _, inputs, outputs in adapted)
        return Learned(shape.total + size, size, 2 * len(adapted))
    kept = [component for component in shape.parameters if component not in stage.freeze]
    return Learned(
        shape.total,
        sum(shape.parameters[component] for component in kept),
        sum(shape.tensors[component] for component in kept),
    )


def held(of: Learned, *, dtype: str, zero_stage: int, num_ranks: int) -> Held:
    """What one rank holds of it.

    ZeRO 1 and 2 keep float32 masters even of float32 weights; without ZeRO these step themselves.

    Args:
        of: See `learned`.
        dtype: The recipe's.
        zero_stage: 0 to 3.
        num_ranks: Processes that train together.
    """
    size = BYTES[dtype]
    share = -(-of.trained // num_ranks)
    if zero_stage == 0:
        has_master = dtype != "float32"
        return Held(
            weights=of.whole * size,
            master=of.trained * FLOAT32 * has_master,
            moments=of.trained * 2 * FLOAT32,
            gradients=of.trained * size,
            step=of.trained * FLOAT32 * has_master,
            buckets=0,
        )
    is_sharded = zero_stage == 3
    is_gathered = is_sharded and num_ranks > 1
    live = min(of.whole, LIVE_PARAMETERS + PREFETCH) * size if is_gathered else 0
    return Held(
        weights=-(-of.whole // num_ranks) * size if is_sharded else of.whole * size,
        master=share * FLOAT32,
        moments=share * 2 * FLOAT32,
        gradients=(of.trained if zero_stage == 1 else share) * size,
        step=share * FLOAT32 * (2 if is_sharded else 1),  # as measured
        buckets=REDUCE_BUCKET * size + live,
    )


def checkpoint_bytes(of: Learned) -> int:
    """Float32 weights, two moments and AdamW's count of each: all ranks' files of a step together.

    File headers and random generators come on top: some kilobytes a rank.
    """
    return of.trained * 3 * FLOAT32 + of.tensors * FLOAT32
