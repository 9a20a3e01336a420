"""Telling threads that work for a flow that it has been told to stop, and doing so once.

A signal reaches the main thread alone. What other threads do for a flow, they do until they look
here; those that wait for a stage look whenever they poll.
"""

import signal
import threading
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


def hear_no_more() -> None:
    """Once a flow has been told to stop, another SIGTERM must not cut its stage's save short.

    Both come where a machine goes down: it tells every process, and the worker tells its runs. The
    flow's handler is Prefect's, which takes it away when the flow ends.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
