"""The machine that a plan is made for, and published figures of its GPUs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

GpuKind = Literal["a100", "h100", "h200"]
GIB = 2**30
# Of a card's nominal memory, what torch finds: 79.1 of 80 GiB (A100 and H100).
USABLE = 79.1 / 80


@dataclass(frozen=True)
class Gpu:
    """One kind of GPU.

    Attributes:
        bfloat16_flops: Dense peak, FLOP/s (NVIDIA's data sheets: A100 80 GB SXM, H100 SXM, H200).
        sampled_tokens: A second, by vLLM, of a model of 8.3 B parameters at its best: an
            assumption that nobody here has measured (H200: H100's, times its memory's 4.8 / 3.35
            TB/s).
    """

    bfloat16_flops: float
    sampled_tokens: float


GPUS: Mapping[GpuKind, Gpu] = {
    "a100": Gpu(312e12, 5500.0),
    "h100": Gpu(989e12, 10_000.0),
    "h200": Gpu(989e12, 14_300.0),
}


@dataclass(frozen=True)
class Machine:
    """What there is; None where it is not known, and not checked then.

    Attributes:
        num_gpus: Of one node.
        gpu_memory: Nominal, of one GPU, bytes.
        num_nodes: Of this kind.
        host_memory: Of one node, bytes.
        disk: Free for scratch and store together, bytes.
        gpu: Kind, for the times alone.
        shared_memory: Of one node (/dev/shm), bytes.
    """

    num_gpus: int
    gpu_memory: int
    num_nodes: int = 1
    host_memory: int | None = None
    disk: int | None = None
    gpu: GpuKind = "h100"
    shared_memory: int | None = None

    @property
    def usable_gpu_memory(self) -> int:
        """Of one GPU, bytes."""
        return int(self.gpu_memory * USABLE)


def machine_here(host_memory: int | None = None, shared_memory: int | None = None) -> Machine:
    """This machine's GPUs; for CUDA machines only.

    Not its disk: a run that goes on has filled a part of what the plan asks for.

    Args:
        host_memory: What its processes may take, bytes.
        shared_memory: What they may exchange through, bytes.
    """
    import torch  # seconds, which other commands need not pay

    memories = [
        torch.cuda.get_device_properties(index).total_memory
        for index in range(torch.cuda.device_count())
    ]
    return Machine(
        num_gpus=len(memories),
        gpu_memory=int(min(memories) / USABLE),  # torch states what is usable
        host_memory=host_memory,
        shared_memory=shared_memory,
    )
