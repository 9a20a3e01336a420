"""Measures what a computation really holds: the peak of what torch's allocator hands out."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
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
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        yield measured
    events = [e for e in profiled.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        measured.peak = max(measured.peak, held)


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
