"""What the learner holds of a policy: weights, masters, moments and gradients, by ZeRO stage.

Read off deepspeed 0.19 with torch's AdamW, and compared with the learner's own tensors in
tests/training/plan/test_learned.py.
"""

from dataclasses import dataclass, replace

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
        largest: Elements of the largest of them.
    """

    whole: int
    trained: int
    tensors: int
    largest: int


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
        host: In the host's memory instead: masters, moments and gradients of an optimizer that
            steps there (`hardware.offload_optimizer`).
    """

    weights: int
    master: int
    moments: int
    gradients: int
    step: int
    buckets: int
    host: int = 0

    @property
    def optimizer(self) -> int:
        """Master weights and moments on the GPU."""
        return self.master + self.moments


def learned(shape: ModelShape, stage: Stage) -> Learned:
    """What a stage trains, as `training.learner.setup.new_learner` sets it up."""
    if stage.lora:
        rank = stage.lora.rank
        adapted = [one for one in shape.linears if one[0] in stage.lora.components]
        size = sum(rank * (inputs + outputs) for _, inputs, outputs in adapted)
        largest = rank * max((max(one[1:]) for one in adapted), default=0)
        return Learned(shape.total + size, size, 2 * len(adapted), largest)
    kept = [component for component in shape.parameters if component not in stage.freeze]
    return Learned(
        shape.total,
        sum(shape.parameters[component] for component in kept),
        sum(shape.tensors[component] for component in kept),
        max((shape.largest[component] for component in kept), default=0),
    )


def held(
    of: Learned, *, dtype: str, zero_stage: int, num_ranks: int, offload: bool = False
) -> Held:
    """What one rank holds of it.

    ZeRO 1 and 2 keep float32 masters even of float32 weights; without ZeRO these step themselves.

    Args:
        of: See `learned`.
        dtype: The recipe's.
        zero_stage: 0 to 3.
        num_ranks: Processes that train together.
        offload: Whether the optimizer is in host memory; not without ZeRO.
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
    kept = Held(
        weights=-(-of.whole // num_ranks) * size if is_sharded else of.whole * size,
        master=share * FLOAT32,
        moments=share * 2 * FLOAT32,
        gradients=(of.trained if zero_stage == 1 else share) * size,
        step=share * FLOAT32 * (2 if is_sharded else 1),  # as measured
        buckets=REDUCE_BUCKET * size + live,
    )
    return _offloaded(kept, of, share, size, zero_stage) if offload else kept


def _offloaded(kept: Held, of: Learned, share: int, size: int, zero_stage: int) -> Held:
    """The same with the optimizer in host memory, and its float32 gradients.

    Gradients cross over in the model's number format: in ZeRO 2 and 3 after each micro-batch, by
    way of a buffer as large as the largest tensor, and in ZeRO 1 before the step.
    """
    host = share * 4 * FLOAT32
    if zero_stage == 3:
        return replace(kept, master=0, moments=0, gradients=0, step=0, host=host + share * size)
    # New weights cross over in a copy of their own; gradients of ZeRO 2 add up as whole tensors.
    host += (share + of.largest) * size
    if zero_stage == 2:
        host += min(of.trained, share + 2 * of.largest) * size
    crossing = of.largest * size
    return replace(
        kept,
        master=0,
        moments=0,
        gradients=crossing + (of.trained * size if zero_stage == 1 else crossing),
        step=of.largest * FLOAT32,
        host=host,
    )


def checkpoint_bytes(of: Learned) -> int:
    """Float32 weights, two moments and AdamW's count of each: all ranks' files of a step together.

    File headers and random generators come on top: some kilobytes a rank.
    """
    return of.trained * 3 * FLOAT32 + of.tensors * FLOAT32
