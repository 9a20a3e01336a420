"""Failures of the machine as a process sees them: no memory is left, a rank is gone."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import torch
import torch.distributed as dist

from contracts.errors import OutOfMemoryError

Phase = Literal["loading", "sampling", "update", "saving"]
# What can be changed without losing a step: none of it is in a stage's key.
SETTINGS: Mapping[Phase, str] = {
    "loading": "raise hardware.zero_stage (3 shards the weights themselves), set "
    "hardware.offload_optimizer = true (ZeRO 1 to 3), or take more processes",
    "sampling": "change rollout.memory_fraction (vLLM's share; the learner needs the rest), or "
    "raise hardware.zero_stage to leave the sampler more",
    "update": "lower the stage's tokens_per_micro_batch, set hardware.activation_checkpointing = "
    "true, raise hardware.zero_stage, set hardware.offload_optimizer = true (ZeRO 1 to 3), or "
    "lower rollout.memory_fraction",
    "saving": "raise hardware.zero_stage, set hardware.offload_optimizer = false, or start fewer "
    "processes on this host: each copies its share of weights and moments to host memory",
}
# torch's allocator of host memory has no error class of its own.
HOST_ALLOCATOR = "can't allocate memory"
COLLECTIVE_LIBRARIES = ("gloo", "NCCL")


@contextmanager
def phase(name: Phase) -> Iterator[None]:
    """Names what a process was at when memory runs out meanwhile; also a decorator.

    Raises:
        OutOfMemoryError: Of the GPU or of the host.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        asked = " ".join(str(error).split()) or "the system did not say how much was asked for"
        raise OutOfMemoryError(
            f"No memory is left, while {name}: {asked}",
            where=f"phase {name}",
            rule="weights, gradients, moments, activations and the sampler's cache fit into memory",
            fix=f"{SETTINGS[name]}; the next run goes on from the newest checkpoint all the same",
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a GPU's or the host's memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and HOST_ALLOCATOR in str(error)


def is_lost_rank(error: BaseException) -> bool:
    """Whether a collective failed: another rank is gone, or cannot be reached in time."""
    if isinstance(error, dist.DistError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and any(name in text for name in COLLECTIVE_LIBRARIES)
