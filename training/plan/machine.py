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
    """

    num_gpus: int
    gpu_memory: int
    num_nodes: int = 1
    host_memory: int | None = None
    disk: int | None = None
    gpu: GpuKind = "h100"

    @property
    def usable_gpu_memory(self) -> int:
        """Of one GPU, bytes."""
        return int(self.gpu_memory * USABLE)
