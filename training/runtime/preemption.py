"""SIGTERM as a notice: the machine is wanted back, finish the step, save, and go."""

import signal
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
