"""What the learner holds of a policy: weights, masters, moments and gradients, by ZeRO stage.

Read off deepspeed 0.19 with torch's AdamW, and compared with the learner's own tensors in
tests/training/plan/test_learned.py.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from training.plan.shape import ModelShape
from training.recipe.stages import Stage
from training.runtime.rhythm import state_bytes

FLOAT32 = 4
BYTES = {"float32": 4, "bfloat16": 2}
# DeepSpeed's defaults, in elements: what is gathered into one reduction; what is whole at a time of
# a model that ZeRO-3 has sharded; and up to which size a tensor stays whole there.
REDUCE_BUCKET = 500_000_000
LIVE_PARAMETERS, PREFETCH = 1_000_000_000, 50_000_000
PERSISTENT = 100_000


@dataclass(frozen=True)
class Learned:
    """What of a policy learns.

    Attributes:
        whole: Elements of the policy, adapters included.
        persistent: Of them, those that ZeRO-3 keeps whole on every rank, beside its shards.
        sizes: Elements of each parameter with a gradient, in the model's order.
    """

    whole: int
    persistent: int
    sizes: tuple[int, ...]

    @property
    def trained(self) -> int:
        """Elements with a gradient."""
        return sum(self.sizes)

    @property
    def largest(self) -> int:
        """Elements of the largest parameter with a gradient."""
        return max(self.sizes, default=0)

    def most_of_a_share(self, num_ranks: int) -> int:
        """Elements of all parameters that are in one rank's share, if only by a part: the most."""
        share = -(-self.trained // num_ranks)
        touched, start = [0] * num_ranks, 0
        for size in self.sizes:
            for rank in range(start // share, (start + size - 1) // share + 1):
                touched[rank] += size
            start += size
        return max(touched)


@dataclass(frozen=True)
class Held:
    """Bytes of one rank.

    Attributes:
        weights: In the recipe's number format.
        master: Float32 copies that the optimizer steps on, where there are any.
        moments: AdamW's two.
        gradients: Of the micro-batches so far.
        step: What is made on top of that after the last backward pass: buckets of what is reduced
            then, or gradients in float32.
        buckets: What is being reduced or gathered while gradients are computed.
        reduced: Of the buckets, what is there from the first time that one is full.
        copied: Beside the buckets, while a full one is reduced: its copy. That is in the hook of a
            weight whose gradient has no room in it any more; the copy is gone when that returns.
        waiting: Of the buckets, what is there in an update's forward passes as well.
        gathered: Of the buckets, weights that ZeRO-3 has made whole, and may still have after any
            forward pass.
        standing: Of gradients and buckets, what is there from the start, between updates too.
        host: In the host's memory instead: masters, moments and gradients of an optimizer that
            steps there (`hardware.offload_optimizer`).
    """

    weights: int
    master: int
    moments: int
    gradients: int
    step: int
    buckets: int
    waiting: int
    reduced: int = 0
    copied: int = 0
    gathered: int = 0
    standing: int = 0
    host: int = 0

    @property
    def optimizer(self) -> int:
        """Master weights and moments on the GPU."""
        return self.master + self.moments


def learned(shape: ModelShape, stage: Stage) -> Learned:
    """What a stage trains, as `training.learner.setup.new_learner` sets it up."""
    base = [size for _, size in shape.sizes]
    if stage.lora:
        rank = stage.lora.rank
        adapted = [one[1:] for one in shape.linears if one[0] in stage.lora.components]
        sizes = tuple(rank * width for widths in adapted for width in widths)
        return Learned(shape.total + sum(sizes), _persistent([*base, *sizes]), sizes)
    sizes = tuple(size for component, size in shape.sizes if component not in stage.freeze)
    return Learned(shape.total, _persistent(base), sizes)


def _persistent(sizes: Iterable[int]) -> int:
    return sum(size for size in sizes if size <= PERSISTENT)


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
    bucket, filled = REDUCE_BUCKET * size, min(REDUCE_BUCKET, of.trained) * size
    has_peers = num_ranks > 1
    if zero_stage == 0:
        has_master = dtype != "float32"
        return Held(
            weights=of.whole * size,
            master=of.trained * FLOAT32 * has_master,
            moments=of.trained * 2 * FLOAT32,
            gradients=of.trained * size,
            # Reduced even by one process, and a bucket is full only with one tensor too many.
            step=max(
                of.trained * FLOAT32 * has_master,
                min(REDUCE_BUCKET + of.largest, of.trained) * size,
            ),
            buckets=0,
            waiting=0,
        )
    is_sharded = zero_stage == 3
    persistent = of.persistent if is_sharded and has_peers else 0
    live = min(of.whole - persistent, LIVE_PARAMETERS + PREFETCH) if is_sharded and has_peers else 0
    held_back = bucket + live * size
    # ZeRO 1 and 2 put a reduced bucket's gradients into whole tensors of the rank's own. What goes
    # to more than one rank is copied before, and all that ZeRO-3 reduces.
    whole_share = of.most_of_a_share(num_ranks) * size
    reduced = 0 if is_sharded or offload else whole_share
    copied = filled if is_sharded or has_peers else 0
    is_early = zero_stage > 1 and of.trained > REDUCE_BUCKET  # else after the backward pass
    # In one piece first, and then in float32; ZeRO-3 keeps its bucket.
    in_step = of.largest * FLOAT32 if offload else share * (size + FLOAT32 * (size != FLOAT32))
    in_step += bucket * is_sharded
    # ZeRO 1 has all gradients until then, but for those that the bucket has taken; the others one
    # that is too large for it, while what came before is reduced.
    alone = of.largest * size * is_reduced_alone(of.largest)
    at_the_end = held_back + reduced + copied + (alone if zero_stage > 1 else -filled)
    gradients = {1: of.trained * size, 2: whole_share, 3: share * size}[zero_stage]
    kept = Held(
        weights=(-(-of.whole // num_ranks) + persistent) * size if is_sharded else of.whole * size,
        master=share * FLOAT32,
        moments=share * 2 * FLOAT32,
        gradients=gradients,
        step=max(in_step, at_the_end),
        buckets=held_back + reduced * is_early,
        waiting=0 if zero_stage == 2 else held_back,
        reduced=reduced * is_early,
        copied=copied * is_early,
        gathered=live * size,
        standing=(gradients + bucket) * is_sharded,
    )
    return _offloaded(kept, of, num_ranks, size, zero_stage) if offload else kept


def _offloaded(kept: Held, of: Learned, num_ranks: int, size: int, zero_stage: int) -> Held:
    """The same with the optimizer in host memory, and its float32 gradients.

    Gradients cross over in the model's number format: in ZeRO 2 and 3 after each micro-batch, by
    way of a buffer as large as the largest tensor, and in ZeRO 1 before the step.
    """
    share = -(-of.trained // num_ranks)
    host = share * 4 * FLOAT32
    if zero_stage == 3:
        on_gpu = kept.standing - kept.gradients
        host += share * size
        return replace(kept, master=0, moments=0, gradients=0, standing=on_gpu, host=host)
    # New weights cross over in a copy of their own; gradients of ZeRO 2 add up as whole tensors.
    host += (share + of.largest) * size
    if zero_stage == 2:
        host += of.most_of_a_share(num_ranks) * size
    crossing = of.largest * size
    return replace(
        kept,
        master=0,
        moments=0,
        gradients=crossing + (of.trained * size if zero_stage == 1 else crossing),
        standing=crossing,
        host=host,
    )


def is_reduced_alone(elements: int) -> bool:
    """Whether a gradient is too large for a bucket, and so waits beside it for the next weight's.

    Args:
        elements: Of the gradient.
    """
    return elements > REDUCE_BUCKET


def layers_in_a_bucket(shape: ModelShape, stage: Stage) -> int:
    """Decoder layers whose backward passes are over before a bucket is full for the first time.

    Gradients come in the order of the backward pass: a head of its own, then the layers from the
    last on. A tied head waits for the embedding. None where not all of a layer learns: few fit.
    """
    if stage.lora or "language_model" in stage.freeze:
        return 0
    head = 0 if shape.is_tied else shape.head
    layers = shape.parameters["language_model"] - shape.head - head
    of_a_layer = -(-layers // shape.text.num_layers)
    return min(max(REDUCE_BUCKET - head, 0) // of_a_layer, shape.text.num_layers - 1)


def checkpoint_bytes(of: Learned) -> int:
    """Of a step checkpoint: see `training.runtime.rhythm.state_bytes`."""
    return state_bytes(of.sizes)
