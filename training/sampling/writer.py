"""A thread that verifies what an engine has answered, and writes it down every few seconds."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event
from types import TracebackType

from training.rollout.protocol import Finished
from training.sampling.chunks import Answer, write_chunk
from training.sampling.progress import Progress
from training.sampling.verdicts import Judge, judged

# What is lost by a kill, at most; uploading comes on top.
FLUSH_SECONDS = 2.0


class Writer:
    """Verifies and writes in the background, so that the engine goes on; a context manager.

    Leaving it writes what is left, also after an error.

    Args:
        folder: Where the chunks stay.
        save: Where each of them is left for whoever uploads them, too; None for nowhere.
        name: Tells this writer's chunks from those of others.
        judges: By name.
        progress: Told of every chunk.
    """

    def __init__(
        self,
        folder: Path,
        save: Path | None,
        name: str,
        judges: Mapping[str, Judge],
        progress: Progress,
    ) -> None:
        self._folder, self._save, self._name = folder, save, name
        self._judges, self._progress = judges, progress
        self._queue: SimpleQueue[Sequence[Finished]] = SimpleQueue()
        self._num_chunks = 0
        self._closing = Event()
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="writer")

    def __enter__(self) -> "Writer":
        self._running = self._executor.submit(self._run)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._executor.shutdown()
        if error is None:
            self._running.result()  # raises what went wrong

    def put(self, finished: Sequence[Finished]) -> None:
        """Takes what was answered; all of it goes into one chunk.

        Raises:
            Exception: Whatever ended the thread.
        """
        if self._running.done():
            self._running.result()
        self._queue.put(finished)

    def _run(self) -> None:
        while not self._closing.wait(FLUSH_SECONDS):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        finished: list[Finished] = []
        try:
            while True:
                finished += self._queue.get_nowait()
        except Empty:
            pass
        if finished:
            answers = judged(finished, self._judges)
            self._write(answers)
            self._progress.add(answers)

    def _write(self, answers: Sequence[Answer]) -> None:
        path = write_chunk(answers, self._folder, f"{self._name}-{self._num_chunks:06d}")
        self._num_chunks += 1
        if self._save is not None:
            os.link(path, self._save / path.name)
