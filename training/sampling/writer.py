"""A thread that verifies what an engine has answered, and writes it down every few seconds."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from types import TracebackType

from contracts.errors import Preempted
from training.answers import Outcome
from training.rollout.protocol import Finished
from training.runtime.preemption import Notice
from training.sampling.chunks import Drawn, write_chunk
from training.sampling.progress import Progress
from training.sampling.verdicts import Judge, drawn, judged

# What is lost by a kill, at most; uploading comes on top.
FLUSH_SECONDS = 2.0
# Verified between two looks at the notice, or what came together, if that is more. Comparisons by
# algebra look by themselves (`Verifier.on_wait`).
SLICE_RESPONSES = 128


class Writer:
    """Verifies and writes in the background, so that the engine goes on; a context manager.

    Leaving it writes what is left, also after an error. Once the stage is told to stop nothing more
    is verified: what is left is written as it is.

    Args:
        folder: Where the chunks stay.
        save: Where each of them is left for whoever uploads them, too; None for nowhere.
        name: Tells this writer's chunks from those of others.
        judges: By name; None has nothing verified.
        progress: Told of every chunk.
        notice: Whether the stage is told to stop.
    """

    def __init__(
        self,
        folder: Path,
        save: Path | None,
        name: str,
        judges: Mapping[str, Judge] | None,
        progress: Progress,
        notice: Notice,
    ) -> None:
        self._folder, self._save, self._name = folder, save, name
        self._judges, self._progress, self._notice = judges, progress, notice
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
        # With pauses: a signal that comes just before a long wait would be noticed only after it.
        while wait([self._running], timeout=1.0).not_done:
            pass
        self._executor.shutdown()
        if error is None:
            self._running.result()  # raises what went wrong

    @property
    def num_waiting(self) -> int:
        """How often `put` has been called for what is not looked at yet.

        Raises:
            Exception: Whatever ended the thread.
        """
        self._raise_if_ended()
        return self._queue.qsize()

    def put(self, finished: Sequence[Finished]) -> None:
        """Takes what was answered; all of it goes into one chunk.

        Raises:
            Exception: Whatever ended the thread.
        """
        self._raise_if_ended()
        self._queue.put(finished)

    def _raise_if_ended(self) -> None:
        if self._running.done():
            self._running.result()

    def _run(self) -> None:
        while not self._closing.wait(FLUSH_SECONDS):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        finished: list[Finished] = []
        # What comes meanwhile waits for the next time: many small chunks are slow to read.
        for _ in range(self._queue.qsize()):
            finished += self._queue.get_nowait()
            if sum(len(samples) for _, samples in finished) >= SLICE_RESPONSES:
                self._keep(finished)
                finished = []
        if finished:
            self._keep(finished)

    def _keep(self, finished: Sequence[Finished]) -> None:
        if self._judges is None:
            self._write(drawn(finished), [])
            return
        try:
            self._notice.check()
            answers = judged(finished, self._judges)
        except Preempted:
            self._write(drawn(finished), [])
        else:
            self._write(answers, [one["outcome"] for one in answers])

    def _write(self, answers: Sequence[Drawn], verdicts: Sequence[Outcome]) -> None:
        path = write_chunk(answers, self._folder, f"{self._name}-{self._num_chunks:06d}")
        self._num_chunks += 1
        if self._save is not None:
            os.link(path, self._save / path.name)
        self._progress.add(answers, verdicts)
