"""Cases of an update, and what one rank really holds in them."""

import gc
from dataclasses import dataclass
from unittest import mock

import torch

from drills.gpu_check.allocated import allocations
from tests.training.plan.tiny import (
    LARGE_HEADS,
    SIZES,
    new_config,
    new_policy,
    new_sequences,
    new_stage,
    stage_learner,
)
from training.learner.engine import deepspeed
from training.model import log_probs
from training.model.forward import ForwardSettings
from training.plan.activations import CHUNK_LOGITS, MicroBatch, activations
from training.plan.learned import BYTES, held, learned
from training.plan.memory import update_bytes
from training.plan.shape import model_shape
from training.recipe.stages import LoraRecipe
from training.runtime import device
from training.sft.train import token_mean_loss

TOLERANCE = 0.15
PATCHES = 256  # of an image of 224 x 224 px
ADAPTERS = LoraRecipe(rank=4)
ALL_SIZES = [*SIZES, *LARGE_HEADS]
# Of what learns. The first is full four times in a backward pass, the second when of size 4 all
# layers are in it but the MLP of the lowest, whose activations are there: the worst time.
QUARTER, UP_TO_THE_LOWEST = 0.25, 0.59


@dataclass(frozen=True)
class Case:
    """An update of two micro-batches a rank, each of two sequences."""

    size: int
    zero_stage: int
    checkpointing: bool = False
    lora: LoraRecipe | None = None
    dtype: str = "float32"
    tokens: int = 320
    images: bool = False  # one, which all sequences share
    bucket_share: float = QUARTER

    def __str__(self):
        words = [f"size{self.size}", f"zero{self.zero_stage}", self.dtype]
        words += ["checkpointing"] * self.checkpointing + ["adapters"] * bool(self.lora)
        words += ["images"] * self.images
        words += ["large bucket"] * (self.bucket_share > QUARTER)
        return "-".join(words)

    @property
    def stage(self):
        return new_stage(2 * self.tokens, lora=self.lora)

    @property
    def shape(self):
        return model_shape(new_config(ALL_SIZES[self.size])[1])

    @property
    def learned(self):
        return learned(self.shape, self.stage)

    @property
    def chunk_logits(self):
        """Small where a head is large: its gradients are looked at, which logits would hide."""
        return CHUNK_LOGITS if self.size < len(SIZES) else 2**17

    @property
    def bucket(self):
        """DeepSpeed's own, of 500 M elements, would hide everything else here."""
        return int(self.learned.trained * self.bucket_share)


# Every size at every ZeRO stage, every other one with checkpointing.
TWO_RANKS = [
    *(Case(size, zero, bool((size + zero) % 2)) for size in range(5) for zero in range(4)),
    *(Case(3, zero, zero > 1, ADAPTERS) for zero in range(4)),
    *(Case(3, zero, True, dtype="bfloat16") for zero in (0, 2, 3)),
    *(Case(4, zero, ck, images=True) for zero in (2, 3) for ck in (False, True)),
    *(Case(4, zero, True, bucket_share=UP_TO_THE_LOWEST) for zero in (2, 3)),
    # Heads that are larger than a bucket, and few tokens beside them.
    *(Case(size, zero, True, tokens=40, bucket_share=0.3) for size in (5, 6) for zero in (2, 3)),
]


def sum_in_place(gradients, _own, group=None):
    """ZeRO-3's reduction as NCCL does it; gloo's would copy all that it is given once more.

    Args:
        gradients: Of all ranks; this one's part of them is where the outcome belongs.
    """
    torch.distributed.all_reduce(gradients, group=group)


IN_PLACE = ("_torch_reduce_scatter_fn", sum_in_place)


def measured(case):
    """What this rank holds, bytes: weights, masters and moments; and, above them, an update."""
    policy, _ = new_policy(ALL_SIZES[case.size], case.dtype)
    learner = stage_learner(
        policy,
        case.stage,
        case.dtype,
        zero_stage=case.zero_stage,
        activation_checkpointing=case.checkpointing,
    )
    if case.zero_stage > 0:
        learner._engine.optimizer.reduce_bucket_size = case.bucket
    count = 4 * device.world_size()
    batch = new_sequences(policy, length=case.tokens, count=count, with_image=case.images)
    settings = ForwardSettings(with_entropy=True)
    with (
        mock.patch.object(deepspeed.runtime.comm.coalesced_collectives, *IN_PLACE),
        mock.patch.object(log_probs, "_CHUNK_LOGITS", case.chunk_logits),
    ):
        learner.update(batch, token_mean_loss(batch), settings)
        gc.collect()
        with allocations() as live:
            learner.update(batch, token_mean_loss(batch), settings)
    return {"parts": parts_of(policy, learner, case.zero_stage), "peak": live.peak}


def num_bytes(tensors):
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    return sum(storages.values())


def parts_of(policy, learner, zero_stage):
    """Bytes of weights, masters and moments, found in model, engine and optimizer."""
    weights = [p.data for p in policy.model.parameters()]
    if zero_stage == 3:
        weights += [p.ds_tensor for p in policy.model.parameters()]
    own = {w.untyped_storage().data_ptr() for w in weights}
    masters = [m for m in learner._sharded._masters() if m.untyped_storage().data_ptr() not in own]
    states = [state for state in learner._adamw.state.values() if state]
    moments = [state[name] for state in states for name in ("exp_avg", "exp_avg_sq")]
    return [num_bytes(weights), num_bytes(masters), num_bytes(moments)]


def planned_parts(case, num_ranks):
    parts = held(case.learned, dtype=case.dtype, zero_stage=case.zero_stage, num_ranks=num_ranks)
    return [parts.weights, parts.master, parts.moments]


def planned_peak(case, num_ranks, monkeypatch):
    """The peak of an update by the plan, with the bucket of this case."""
    monkeypatch.setattr("training.plan.activations.CHUNK_LOGITS", case.chunk_logits)
    if case.zero_stage > 0:
        monkeypatch.setattr("training.plan.learned.REDUCE_BUCKET", case.bucket)
    parts = held(case.learned, dtype=case.dtype, zero_stage=case.zero_stage, num_ranks=num_ranks)
    kept = activations(
        case.shape,
        case.stage,
        MicroBatch(2 * case.tokens, PATCHES * case.images),
        dtype=case.dtype,
        checkpointing=case.checkpointing,
    )
    planned = update_bytes(parts, kept)
    if case.zero_stage < 3:
        return planned
    # There between updates as well.
    bucket = case.bucket * BYTES[case.dtype]
    return planned - parts.gradients - bucket
