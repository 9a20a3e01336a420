"""Hands a stage's metrics to its sinks, without ever holding the stage up.

Each sink has a thread of its own. A resumed stage shows the steps before its checkpoint once more
and makes those after it again: a sink gets each step once, from where it ended.
"""

import atexit
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from queue import SimpleQueue
from threading import Event, Thread
from types import TracebackType

from contracts.graces import SINKS_SECONDS
from contracts.secrets import without_secrets
from infra.launcher import Metrics
from infra.sinks.sink import Sink, figures_of

# From the end of a stage until its process ends without what a sink still has not taken.
LATE_SECONDS = 600.0
# Until a sink that has failed is tried again: each time twice as long, up to the longest.
PAUSE_SECONDS = 15.0
LONGEST_PAUSE_SECONDS = 600.0


class Relay:
    """One sink behind a thread. After an error it is opened anew, later, and gets what has waited.

    Each outage is said once, and its end. At the end of the stage a sink that is out is tried at
    once, for the last time.

    The thread is a daemon: a sink that never answers must not keep its process alive, and with it
    the place that the process has in a work pool.

    Args:
        name: The sink's, as the recipe has it.
        open_sink: Opens it; called in the thread.
        say: Tells a person; called from the thread.
    """

    def __init__(
        self, name: str, open_sink: Callable[[], Sink], say: Callable[[str], None]
    ) -> None:
        self._name, self._open_sink, self._say = name, open_sink, say
        self._is_left, self._is_closing = False, Event()
        self._is_out, self._pause_seconds = False, PAUSE_SECONDS
        self._last_step = 0
        self._told_gap = (0, 0)
        # Steps, and in the end whether the stage has succeeded.
        self._waiting = SimpleQueue[Metrics | bool]()
        self._next: Metrics | bool | None = None  # taken from there, and not handed on yet
        self._thread = Thread(target=self._serve, name=f"sink-{name}", daemon=True)
        self._thread.start()

    def write(self, metrics: Metrics) -> None:
        """Queues a step."""
        if not self._is_left:
            self._waiting.put(metrics)

    def end(self, *, succeeded: bool) -> None:
        """Queues the stage's end."""
        self._waiting.put(succeeded)
        self._is_closing.set()

    def wait(self, deadline: float, *, succeeded: bool) -> None:
        """Waits until everything is written, until a time of the monotonic clock at most.

        What is late then is sent all the same if the stage is done, as long as its process lives,
        which waits some minutes for it. If it is not, it may be tried again at once: the next
        attempt asks the sink for its last step and hands on what comes after it, so that what this
        one sent meanwhile would be there twice.
        """
        self._join(deadline)
        if not self._thread.is_alive():
            return
        what = "are still being sent" if succeeded else "are left to the next attempt"
        self._say(f"The sink {self._name} is slow: its last steps {what}")
        if succeeded:
            atexit.register(self._join, time.monotonic() + LATE_SECONDS)
        else:
            self._is_left = True

    def _join(self, deadline: float) -> None:
        self._thread.join(max(0.0, deadline - time.monotonic()))

    def _serve(self) -> None:
        is_last = False
        while not self._is_left:
            sink = None
            try:
                sink = self._opened()
                self._hand_on(sink)
                return
            except Exception as error:  # noqa: BLE001 - whatever a sink's library raises is told
                if self._is_left:  # which was said; the next attempt may have this sink open
                    return
                self._tell(error, is_last=is_last)
            if sink is not None:
                with suppress(Exception):  # it has failed, and what it said then is told
                    sink.drop()
            if is_last:
                return
            is_last = self._is_closing.wait(self._pause_seconds)
            self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)

    def _tell(self, error: Exception, *, is_last: bool) -> None:
        if self._is_out and not is_last:
            return
        self._is_out = True
        then = "left out from there on" if is_last else "tried again"
        self._say(
            without_secrets(
                f"The sink {self._name} failed after step {self._last_step}, and is {then}: "
                f"{type(error).__name__}: {error}. metrics.jsonl has all steps"
            )
        )

    def _opened(self) -> Sink:
        sink = self._open_sink()
        gap = (sink.last_step + 1, self._last_step)
        if gap[0] <= gap[1] and gap != self._told_gap:
            self._told_gap = gap
            self._say(
                f"The sink {self._name} lacks steps {gap[0]} to {gap[1]}; metrics.jsonl has them"
            )
        self._last_step = max(self._last_step, sink.last_step)
        if not self._is_out:
            after = f", after step {sink.last_step}" if sink.last_step else ""
            self._say(without_secrets(f"Metrics go to {self._name}, {sink.place}{after}"))
        return sink

    def _hand_on(self, sink: Sink) -> None:
        while True:
            told = self._next = self._waiting.get() if self._next is None else self._next
            if self._is_left:
                return
            if isinstance(told, bool):
                sink.close(succeeded=told)
                self._note_success(sink, f"and it has ended after step {self._last_step}")
                return
            if (step := int(told["step"])) > self._last_step:
                sink.write(step, figures_of(told))
                self._last_step = step
                self._note_success(sink, f"from step {step}")
            self._next = None

    def _note_success(self, sink: Sink, since: str) -> None:
        if self._is_out:
            self._say(without_secrets(f"Metrics go to {self._name} again, {sink.place}, {since}"))
        self._is_out, self._pause_seconds = False, PAUSE_SECONDS


class Relays:
    """All sinks of a stage; a context manager.

    Args:
        openers: What opens each, by name.
        say: Tells a person; called from threads.
    """

    def __init__(
        self, openers: Mapping[str, Callable[[], Sink]], say: Callable[[str], None]
    ) -> None:
        self._relays = [Relay(name, open_sink, say) for name, open_sink in openers.items()]

    def __enter__(self) -> "Relays":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for relay in self._relays:
            relay.end(succeeded=error is None)
        deadline = time.monotonic() + SINKS_SECONDS
        for relay in self._relays:
            relay.wait(deadline, succeeded=error is None)

    def write(self, metrics: Metrics) -> None:
        """Queues a step for every sink."""
        for relay in self._relays:
            relay.write(metrics)
