"""NCCL: a sum over all GPUs, its value and its speed."""

import time

import torch
import torch.distributed as dist

from drills.gpu_check.machine import Machine
from drills.gpu_check.outcome import Failed, Figures
from training.runtime import device

NUM_ELEMENTS, NUM_ROUNDS = 2**26, 20  # 256 MiB of float32


def nccl(machine: Machine) -> Figures:
    """All-reduce over every GPU."""
    machine.require_gpus(2, "a collective of NCCL")
    return machine.measure(all_reduce, limit_seconds=90, num_ranks=machine.num_gpus)


def all_reduce() -> Figures:
    """The sum must be exact; the bandwidth is what one GPU's link carries each way (GB/s)."""
    where = device.start(1)
    ranks = device.world_size()
    values = torch.full((NUM_ELEMENTS,), float(device.rank() + 1), device=where)
    dist.all_reduce(values)  # also starts the communicator
    expected = ranks * (ranks + 1) / 2
    figures: Figures = {"processes": ranks, "backend": dist.get_backend()}
    if not bool((values == expected).all()):
        raise Failed(f"the sum of 1 to {ranks} came out as {float(values[0])}", figures)
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(NUM_ROUNDS):
        dist.all_reduce(values)
    torch.cuda.synchronize()
    seconds = (time.perf_counter() - start) / NUM_ROUNDS
    carried = 2 * (ranks - 1) / ranks * values.nbytes
    return figures | {"all-reduce of 256 MiB, ms": seconds * 1e3, "GB/s": carried / seconds / 1e9}
