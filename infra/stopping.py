"""Telling threads that work for a flow that it has been told to stop.

A signal reaches the main thread alone. What other threads do for a flow, they do until they look
here; those that wait for a stage look whenever they poll.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Event

from contracts.errors import StagePreempted

_TOLD: ContextVar[Event | None] = ContextVar("told_to_stop", default=None)


@contextmanager
def stopped_by(event: Event) -> Iterator[None]:
    """Until the end of a `with`, what waits for a stage here stops when the event is set."""
    token = _TOLD.set(event)
    try:
        yield
    finally:
        _TOLD.reset(token)


def is_told() -> bool:
    """Whether this thread's flow has been told to stop."""
    event = _TOLD.get()
    return event is not None and event.is_set()


def stop_if_told() -> None:
    """Ends what this thread waits for, if its flow has been told to stop.

    Raises:
        StagePreempted: It has been.
    """
    if is_told():
        raise StagePreempted("the flow that needs the stage was told to stop")
