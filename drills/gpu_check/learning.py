"""The learner: bfloat16 on the device against float32 on the CPU, and every ZeRO stage."""

import math

import torch

from drills.gpu_check.learner import new_learner
from drills.gpu_check.machine import Machine
from drills.gpu_check.outcome import Failed, Figures, require_close
from drills.gpu_check.work import new_batch, new_policy
from training.model.forward import ForwardSettings
from training.runtime import device
from training.sft.train import token_mean_loss

NUM_UPDATES, BATCH_SIZE = 2, 8
# bfloat16 keeps 8 bits: 0.4 % a rounding, less in a mean. A gradient's norm is the sum of more.
LOSS_IN_BFLOAT16, NORM_IN_BFLOAT16 = 0.02, 0.05
# float32 in another order of sums; updates of AdamW, which divides by small second moments.
SHARDED = 2e-3


def bfloat16(machine: Machine) -> Figures:
    """Losses, gradient norms and the length of the way: of the same updates in both formats."""
    expected = machine.measure(
        updates, limit_seconds=300, on_cpu=True, dtype="float32", zero_stage=0
    )
    found = machine.measure(updates, limit_seconds=300, dtype="bfloat16", zero_stage=0)
    figures = {f"{name}, float32 on CPU": value for name, value in expected.items()}
    figures |= {f"{name}, bfloat16": value for name, value in found.items()}
    # Only of the first update: bfloat16 weights round most of a single step away, which their
    # float32 masters keep, so that the second forward pass is not that of float32.
    for name, tolerance in (("loss 1", LOSS_IN_BFLOAT16), ("gradient norm 1", NORM_IN_BFLOAT16)):
        require_close(
            f"{name} in bfloat16", float(found[name]), float(expected[name]), tolerance, figures
        )
    for measured in (expected, found):
        if not float(measured["loss 2"]) < float(measured["loss 1"]):
            raise Failed("an update did not lower the loss on what it learned from", figures)
    return figures


def zero(machine: Machine) -> Figures:
    """ZeRO 0 to 3 over all GPUs (on a CPU: two processes) against one process without.

    ZeRO 2 and 3 once more with the optimizer in host memory (`hardware.offload_optimizer`).
    """
    expected = machine.measure(updates, limit_seconds=300, dtype="float32", zero_stage=0)
    found = machine.measure(
        updates_of_every_zero, limit_seconds=400, num_ranks=machine.num_ranks, dtype="float32"
    )
    figures: Figures = {"processes": machine.num_ranks, **found}
    for name, value in found.items():
        _, _, plain = name.partition(": ")
        require_close(name, float(value), float(expected[plain]), SHARDED, figures)
    return figures


def updates(dtype: str, zero_stage: int, *, offload: bool = False) -> Figures:
    """A few updates in this process, or all ranks together."""
    device.start(1)
    policy = new_policy(dtype)
    batch = new_batch(policy, BATCH_SIZE)
    # Copies: an update changes the weights in place.
    before = {name: weight.detach().cpu().float().clone() for name, weight in policy.weights()}
    learner = new_learner(policy, zero_stage, offload=offload)
    figures: Figures = {}
    for number in range(1, NUM_UPDATES + 1):
        result = learner.update(batch, token_mean_loss(batch), ForwardSettings())
        figures[f"loss {number}"] = result.loss
        figures[f"gradient norm {number}"] = result.grad_norm
    squares = [
        float((weight.detach().float().cpu() - before[name]).square().sum())
        for name, weight in learner.weights()
    ]
    figures["way of the weights"] = way = math.sqrt(sum(squares))
    if not way > 0.0:
        raise Failed("the updates changed no weight", figures)
    return figures


def updates_of_every_zero(dtype: str) -> Figures:
    """`updates` at every ZeRO stage, one after the other in the same processes."""
    found: Figures = {}
    for zero_stage, offload in (*((stage, False) for stage in range(4)), (2, True), (3, True)):
        measured = updates(dtype, zero_stage, offload=offload)
        kind = f"ZeRO {zero_stage}{', offloaded' * offload}"
        found |= {f"{kind}: {name}": value for name, value in measured.items()}
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return found
