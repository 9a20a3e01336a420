"""SIGTERM as a notice: the machine is wanted back, save what is finished, and go."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from contracts.errors import Preempted


class Notice:
    """Catches SIGTERM while it lasts; a context manager, for the main thread."""

    def __init__(self) -> None:
        self._came = False

    def __enter__(self) -> "Notice":
        self._before = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self._before)

    @property
    def came_here(self) -> bool:
        """Whether this process has been told."""
        return self._came

    def check(self) -> None:
        """For whatever takes long.

        Raises:
            Preempted: This process has been told.
        """
        if self._came:
            raise Preempted("what is finished is saved")

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._came = True


@dataclass(frozen=True)
class Stop:
    """What a step looks at where it takes long.

    Attributes:
        is_told: Whether this process has been told to stop. Once it has, it stays told.
        agree: Called by all ranks, each as often as the others. Raises `Preempted` on all of them
            if one has been told.
    """

    is_told: Callable[[], bool]
    agree: Callable[[], None]

    @contextmanager
    def agreed(self) -> Iterator[None]:
        """Around what each rank does by itself, which ends with `Preempted` where it is told.

        Raises:
            Preempted: On all ranks, if one has been told.
        """
        try:
            yield
        except Preempted:
            self.agree()
            raise
        self.agree()


# Of what nobody stops.
NEVER = Stop(lambda: False, lambda: None)
