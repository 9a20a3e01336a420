"""TensorBoard: a folder of event files, one record a step.

Written by TensorBoard's own writer; torch's would need torch in the task's process.
"""

import time
from collections.abc import Mapping
from pathlib import Path

from infra.sinks.sink import SinkRun


class TensorBoardFiles:
    """Adds event files to a stage's folder.

    Args:
        run: Whose figures these are.
        folder: Of all of this machine's curves; `tensorboard --logdir` reads it.
    """

    def __init__(self, run: SinkRun, folder: Path) -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        own = folder / run.recipe / f"{run.stage}-{run.key[:12]}"
        own.mkdir(parents=True, exist_ok=True)
        self.place = str(own)
        self.last_step = last_step(own)
        self._writer = EventFileWriter(str(own))

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Appends one record, which a crash cannot cut between two figures."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=name, simple_value=value) for name, value in figures.items()]
        self._writer.add_event(
            Event(step=step, wall_time=time.time(), summary=Summary(value=values))
        )
        self._writer.flush()

    def drop(self) -> None:
        """Closes the file."""
        self._writer.close()

    def close(self, *, succeeded: bool) -> None:
        """Closes the file; TensorBoard knows no end."""
        self._writer.close()


def last_step(folder: Path) -> int:
    """The largest step in a folder's event files, of whole records; 0 without any."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    steps = [
        event.step
        for path in folder.glob("*tfevents*")
        for event in EventFileLoader(str(path)).Load()
    ]
    return max(steps, default=0)
