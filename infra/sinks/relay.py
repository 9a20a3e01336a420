"""Hands a stage's metrics to its sinks, without ever holding the stage up.

Each sink has a thread of its own. A resumed stage shows the steps before its checkpoint once more
and makes those after it again: a sink gets each step once, from where it ended.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import TypeVar

from contracts.secrets import without_secrets
from infra.launcher import Metrics
from infra.sinks.sink import Sink, figures_of

CLOSE_SECONDS = 60.0
Result = TypeVar("Result")


class Relay:
    """One sink behind a thread. After its first error it gets nothing more, and that is said.

    Args:
        name: The sink's, as the recipe has it.
        open_sink: Opens it; called in the thread.
        say: Tells a person; called from the thread.
    """

    def __init__(
        self, name: str, open_sink: Callable[[], Sink], say: Callable[[str], None]
    ) -> None:
        self._name, self._say = name, say
        self._has_failed = False
        self._last_step = 0
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"sink-{name}")
        self._sink = self._submit(lambda: self._opened(open_sink))

    def write(self, metrics: Metrics) -> None:
        """Queues a step."""
        if not self._has_failed:
            self._submit(lambda: self._write(metrics))

    def close(self, *, succeeded: bool) -> None:
        """Waits until everything is written, for a minute at most.

        What is late then is sent all the same if the stage is done. If it is not, it may be tried
        again at once: the next attempt asks the sink for its last step and hands on what comes
        after it, so that what this one sent meanwhile would be there twice.
        """
        last = self._submit(lambda: self._close(succeeded=succeeded))
        if not wait([last], timeout=CLOSE_SECONDS).not_done:
            self._thread.shutdown()
            return
        what = "are still being sent" if succeeded else "are left to the next attempt"
        self._say(f"The sink {self._name} is slow: its last steps {what}")
        self._thread.shutdown(wait=False, cancel_futures=not succeeded)

    def _opened(self, open_sink: Callable[[], Sink]) -> Sink:
        sink = open_sink()
        self._last_step = sink.last_step
        after = f", after step {sink.last_step}" if sink.last_step else ""
        self._say(without_secrets(f"Metrics go to {self._name}, {sink.place}{after}"))
        return sink

    def _write(self, metrics: Metrics) -> None:
        step = int(metrics["step"])
        if self._has_failed or step <= self._last_step:
            return
        self._sink.result().write(step, figures_of(metrics))
        self._last_step = step

    def _close(self, *, succeeded: bool) -> None:
        if not self._has_failed:
            self._sink.result().close(succeeded=succeeded)

    def _submit(self, work: Callable[[], Result]) -> "Future[Result]":
        future = self._thread.submit(work)
        future.add_done_callback(self._note_failure)
        return future

    def _note_failure(self, future: "Future[Result]") -> None:
        """Called in the thread, before it takes up what was queued next."""
        error = None if future.cancelled() else future.exception()
        if error is not None and not self._has_failed:
            self._has_failed = True
            self._say(
                without_secrets(
                    f"The sink {self._name} failed after step {self._last_step}, and is left out: "
                    f"{type(error).__name__}: {error}. metrics.jsonl has all steps"
                )
            )


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
            relay.close(succeeded=error is None)

    def write(self, metrics: Metrics) -> None:
        """Queues a step for every sink."""
        for relay in self._relays:
            relay.write(metrics)
