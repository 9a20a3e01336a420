"""Measures what a computation really holds: the peak of what torch's allocator hands out."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from operator import gt
from unittest import mock

import torch
import torch.distributed as dist
from torch.profiler import ProfilerActivity, profile


@dataclass
class Allocated:
    """Bytes.

    Attributes:
        peak: The most that was held at one time, above what was held before.
    """

    peak: int = 0


@contextmanager
def allocations() -> Iterator[Allocated]:
    """Follows every allocation of host memory inside; `peak` is known after its end."""
    measured = Allocated()
    with (
        mock.patch.object(dist, "all_reduce", _released),
        profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled,
    ):
        yield measured
    events = [e for e in profiled.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        measured.peak = max(measured.peak, held)


_all_reduce = dist.all_reduce


def _released(
    tensor: torch.Tensor,
    op: dist.ReduceOp.RedOpType = dist.ReduceOp.SUM,
    group: dist.ProcessGroup | None = None,
    async_op: bool = False,
) -> dist.Work | None:
    """A sum over all ranks that is over when gloo's threads have let go of the tensor.

    They do so a moment after it is done. Whoever is last frees it, and the profiler does not see
    what they free: it would be held for ever. Less may hold it than before: what an earlier
    operation's thread had then.
    """
    before = _holders(tensor)
    work: dist.Work | None = _all_reduce(tensor, op, group, async_op)
    while work is None and any(map(gt, _holders(tensor), before)):
        time.sleep(0)
    return work


def _holders(tensor: torch.Tensor) -> tuple[int, int]:
    """References to the tensor, and to its Python object, which C++ lets go of after it."""
    return tensor._use_count(), sys.getrefcount(tensor)


@contextmanager
def gpu_allocations() -> Iterator[Allocated]:
    """The same of this process's GPU, by the allocator's own count."""
    measured = Allocated()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    yield measured
    torch.cuda.synchronize()
    measured.peak = torch.cuda.max_memory_allocated() - before
