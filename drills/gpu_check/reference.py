"""The reference of a KL term: kept in host memory, it computes what it computed on the device."""

import time

import torch

from drills.gpu_check.learner import new_learner
from drills.gpu_check.machine import Machine
from drills.gpu_check.outcome import Failed, Figures
from drills.gpu_check.work import new_batch, new_policy
from training.model.forward import ForwardPass, ForwardSettings
from training.model.in_host import InHost
from training.runtime import device

MEGABYTE, BATCH_SIZE = 1e6, 8


def reference(machine: Machine) -> Figures:
    """`hardware.reference_in_host`: the same log-probabilities, and the memory of its weights."""
    dtype = "bfloat16" if machine.num_gpus else "float32"
    return machine.measure(moved, limit_seconds=120, dtype=dtype)


def moved(dtype: str) -> Figures:
    """A reference at work from the device, and again from the host.

    Raises:
        Failed: Its figures differ by a bit, or its weights stay on the GPU while it rests.
    """
    where = device.start(1)
    policy, frozen = new_policy(dtype), new_policy(dtype)
    batch, settings = new_batch(policy, BATCH_SIZE), ForwardSettings(bans_placeholders=True)
    learner, there = new_learner(policy), ForwardPass(frozen).eval()
    before = learner.log_probs(batch, settings, there)
    held = _allocated(where)
    resting = InHost(there)
    figures: Figures = {"format": dtype, "left the GPU, MB": (held - _allocated(where)) / MEGABYTE}
    start = time.perf_counter()
    with resting.at_work():
        if where.type == "cuda":
            torch.cuda.synchronize()
        figures["to bring it back, ms"] = (time.perf_counter() - start) * 1e3
        after = learner.log_probs(batch, settings, there)
    if not all(after[row].log_probs.equal(one.log_probs) for row, one in before.items()):
        raise Failed("the reference computes something else once it has been moved", figures)
    weights = sum(one.nbytes for one in frozen.model.parameters())
    left = held - _allocated(where)  # once more, less what has just been computed
    if where.type == "cuda" and left < 0.9 * weights:
        raise Failed(
            f"of {weights / MEGABYTE:.1f} MB of weights {left / MEGABYTE:.1f} left the GPU", figures
        )
    return figures


def _allocated(where: torch.device) -> int:
    """Bytes of torch's tensors on this process's GPU; 0 without one."""
    return torch.cuda.memory_allocated() if where.type == "cuda" else 0
