"""Failures of the machine as a process sees them: no memory is left, a rank is gone."""

import os
import re
import resource
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import torch
import torch.distributed as dist

from contracts.errors import OutOfMemoryError
from contracts.phases import PhaseRecord, phase_file

GIB, KIB = 2**30, 2**10
BETWEEN = "between its phases"
Phase = Literal["loading", "sampling", "refreshing the sampler", "update", "saving"]
# What can be changed without losing a step: none of it is in a stage's key.
SETTINGS: Mapping[Phase, str] = {
    "loading": "raise hardware.zero_stage (3 shards the weights themselves), set "
    "hardware.offload_optimizer = true (ZeRO 1 to 3), or take more processes",
    "sampling": "change rollout.memory_fraction (vLLM's share; the learner needs the rest), or "
    "raise hardware.zero_stage to leave the sampler more",
    "refreshing the sampler": "lower rollout.memory_fraction, set hardware.reference_in_host = "
    "true, or raise hardware.zero_stage: the sampler's weights wake up beside the learner's",
    "update": "lower the stage's tokens_per_micro_batch, set hardware.activation_checkpointing = "
    "true, raise hardware.zero_stage, set hardware.offload_optimizer = true (ZeRO 1 to 3), or "
    "lower rollout.memory_fraction",
    "saving": "raise hardware.zero_stage, set hardware.offload_optimizer = false, or start fewer "
    "processes on this host: each copies its share of weights and moments to host memory",
}
# The same where it is the host's memory that the kernel has found none of.
HOST_SETTINGS: Mapping[Phase, str] = {
    "loading": "start fewer processes on this host (each reads the weights into its memory "
    "first), set hardware.reference_in_host = false, or train adapters (stages.lora)",
    "sampling": "raise rollout.tensor_parallel, or start fewer processes on this host: sleeping "
    "weights and, on a CPU, the KV cache are in its memory",
    "refreshing the sampler": "raise rollout.tensor_parallel, or start fewer processes on this "
    "host: sleeping weights are in its memory",
    "update": "set hardware.offload_optimizer = false or reference_in_host = false, start fewer "
    "processes on this host, or, on a CPU, lower the stage's tokens_per_micro_batch or set "
    "hardware.activation_checkpointing = true",
    "saving": SETTINGS["saving"],
}
# Where memory runs out without a class of its own. In the order of the lines: torch's allocator of
# host memory; the driver's words, which vLLM's allocator raises when it wakes up
# (`csrc/cumem_allocator.cpp`), torch where host memory is to be page-locked, and NCCL ("Cuda
# failure 2 'out of memory'"); cuBLAS, cuDNN and their like; vLLM at its start
# (`v1/worker/utils.py`), and of its cache (`v1/core/kv_cache_utils.py`).
NO_MEMORY = (
    "can't allocate memory",
    "out of memory",
    "_STATUS_ALLOC_FAILED",
    "on startup is less than",
    "No available memory for the cache blocks",
    "larger than the available KV cache memory",
)
# NCCL's processes exchange tensors through files of /dev/shm, whose size a container bounds.
NO_SHARED_MEMORY = "Error while creating shared memory segment"
SHARED_MEMORY = (
    "give the processes more shared memory (/dev/shm): --shm-size of docker run, shm_size of a "
    "Compose file, or shared_memory of the Kubernetes template"
)
COLLECTIVE_LIBRARIES = ("gloo", "NCCL")
# CUDA's words (cudaGetErrorString) for what is the card's fault, the link's or the driver's.
BROKEN_GPU = (
    "uncorrectable ECC error",
    "uncorrectable NVLink error",
    "hardware stack error",
    "hardware error",
    "all CUDA-capable devices are busy or unavailable",
    "CUDA-capable device(s) is/are busy or unavailable",
    "no CUDA-capable device is detected",
    "CUDA error: unknown error",
)


@contextmanager
def phase(name: Phase) -> Iterator[None]:
    """Names what a process was at when memory runs out meanwhile; also a decorator.

    It is left in a file, too, for when the kernel kills the process: see `leave_phases`.

    Raises:
        OutOfMemoryError: Of the GPU or of the host.
    """
    before = _LEFT.enter(name)
    try:
        yield
    except (MemoryError, RuntimeError, ValueError) as error:
        if not is_out_of_memory(error):
            raise
        raise out_of_memory(error, name) from error
    finally:
        _LEFT.enter(before)


class _Left:
    """This process's phase, and the folder in which it is left; nowhere without one."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._phase: Phase | None = None

    def put_into(self, folder: Path) -> None:
        self._folder = folder
        self.enter(None)

    def enter(self, name: Phase | None) -> Phase | None:
        """Notes a phase; returns the one before."""
        before, self._phase = self._phase, name
        if self._folder is not None:
            rank = int(os.environ.get("RANK", "0"))
            fix = HOST_SETTINGS[name or "update"]
            record = PhaseRecord(rank=rank, pid=os.getpid(), phase=name or BETWEEN, fix=fix)
            target = phase_file(self._folder, rank)
            partial = target.with_name(f".{target.name}")
            with suppress(OSError):  # a full disk: what matters there has errors of its own
                partial.write_text(record.model_dump_json(), encoding="utf-8")
                partial.rename(target)  # whoever looks finds all of it
        return before


_LEFT = _Left()


def leave_phases(folder: Path) -> None:
    """From now on this process leaves the phase that it is in in the folder of its job."""
    _LEFT.put_into(folder)


def out_of_memory(error: BaseException, name: Phase | None) -> OutOfMemoryError:
    """What an error says that `is_out_of_memory`, with what was measured and what to change.

    Args:
        error: A library's.
        name: None where it came between the phases.
    """
    asked = " ".join(str(error).split()) or "the system did not say how much was asked for"
    fix = SETTINGS[name or "update"]
    is_hosts = isinstance(error, MemoryError) or NO_MEMORY[0] in asked
    if not is_hosts and (others := others_on_gpu()):
        fix = f"end what else is on this GPU, process {others}; else {fix}"
    if NO_SHARED_MEMORY in asked:
        fix = SHARED_MEMORY
    return OutOfMemoryError(
        f"No memory is left, while {name or BETWEEN}: {asked}; measured: {measured()}",
        where=f"phase {name or 'unknown'}",
        rule="weights, gradients, moments, activations and the sampler's cache fit into memory",
        fix=f"{fix}; the next run goes on from the newest checkpoint all the same",
    )


def measured() -> str:
    """What this process holds of the host and of its GPU, in words."""
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB / GIB
    host = f"{held:.1f} GiB of the host at most in this process"
    if torch.cuda.device_count() == 0:
        return host
    try:
        free, total = torch.cuda.mem_get_info()
    except RuntimeError as error:  # no memory for CUDA's own context, or a GPU that broke
        return f"nothing of the GPU ({' '.join(str(error).split())}), {host}"
    parts = {
        "in torch's tensors": torch.cuda.memory_allocated(),
        "at most": torch.cuda.max_memory_allocated(),
        "reserved by torch": torch.cuda.memory_reserved(),
        f"free of {total / GIB:.1f} on the GPU": free,
    }
    return ", ".join([*(f"{size / GIB:.1f} GiB {what}" for what, size in parts.items()), host])


def others_on_gpu() -> str:
    """The other processes on this process's GPU and what they hold, in words; empty without any."""
    others = held_by_others(_processes_of_gpu(), os.getpid())
    return " and ".join(f"{pid} ({size:.1f} GiB)" for pid, size in others.items())


def held_by_others(listed: str, own: int) -> dict[int, float]:
    """What other processes hold of this process's GPU, which no stage shares, by their ids; GiB.

    Args:
        listed: As `torch.cuda.list_gpu_processes` tells it, in units of 2**20 bytes.
        own: This process. If it is not listed, the ids are those of the machine outside of this
            container, and nobody can be told from it.
    """
    found = re.findall(r"process +(\d+) uses +([\d.]+) MB", listed)
    sizes = {int(pid): float(size) / KIB for pid, size in found}
    return {pid: size for pid, size in sizes.items() if pid != own} if own in sizes else {}


def _processes_of_gpu() -> str:
    """What the driver's library lists; nothing without a GPU, or where it does not answer."""
    if torch.cuda.device_count() == 0:
        return ""
    try:
        return torch.cuda.list_gpu_processes()
    except Exception:  # noqa: BLE001 - NVML's have no name here; it must not cost the message
        return ""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a GPU's or the host's memory ran out, or a container's shared memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError | ValueError) and any(
        words in text for words in (*NO_MEMORY, NO_SHARED_MEMORY)
    )


def is_lost_rank(error: BaseException) -> bool:
    """Whether the machine failed: a rank is gone or cannot be reached in time, or a GPU broke."""
    if isinstance(error, dist.DistError):
        return True
    text = str(error)
    words = (*COLLECTIVE_LIBRARIES, *BROKEN_GPU)
    return isinstance(error, RuntimeError) and any(one in text for one in words)
