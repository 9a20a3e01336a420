"""Measures what a computation really holds: the peak of what torch's allocator hands out."""

from contextlib import contextmanager
from dataclasses import dataclass

from torch.profiler import ProfilerActivity, profile


@dataclass
class Allocated:
    """Bytes.

    Attributes:
        peak: The most that was held at one time, above what was held before.
    """

    peak: int = 0


@contextmanager
def allocations():
    """Follows every allocation inside; `peak` is known after its end."""
    measured = Allocated()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        yield measured
    events = [e for e in profiled.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        measured.peak = max(measured.peak, held)
