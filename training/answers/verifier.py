"""Verifying many answers, the slow ones in processes that are killed and replaced on time-out."""

import json
import math
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import IO, cast

from contracts.errors import RevisualError
from training.answers.boxed import MAX_ANSWER_CHARS, extract_boxed
from training.answers.outcome import Outcome
from training.answers.quick import decide
from training.answers.symbolic import compare, is_reasonable

# A worker keeps the limit by itself; one that is stopped, or has lost its answer, is given up
# after so many more seconds.
_GRACE_SECONDS = 10.0
_PROJECT = Path(__file__).resolve().parents[2]

Pair = tuple[str, str]  # the boxed answer, the reference


def verify_in_process(response: str, reference: str) -> Outcome:
    """Verifies one response in this process; hostile input may hang it: see `verify`.

    Args:
        response: The whole response; its last box counts.
        reference: The reference answer.
    """
    found = _quickly(response, reference)
    return compare(*found) if isinstance(found, tuple) else found


def verify(prediction: str, reference: str, *, timeout_seconds: float = 5.0) -> Outcome:
    """Verifies one response safely; for many, a `Verifier` keeps its processes between calls.

    Args:
        prediction: The whole response; its last box counts.
        reference: The reference answer.
        timeout_seconds: Wall-clock limit of the comparison.

    Raises:
        RevisualError: See `Verifier.verify`.
    """
    with Verifier(num_processes=1, timeout_seconds=timeout_seconds) as verifier:
        return verifier.verify([prediction], [reference])[0]


def _quickly(response: str, reference: str) -> Outcome | Pair:
    """The outcome if it can be told without algebra, else the pair to compare."""
    answer = extract_boxed(response)
    if answer is None:
        return "unparseable"
    if len(reference) > MAX_ANSWER_CHARS:
        return "right" if answer == reference else "wrong"
    equal = decide(answer, reference)
    if equal is None:
        return (answer, reference) if is_reasonable(answer) else "unparseable"
    return "right" if equal else "wrong"


class Verifier:
    """Verifies responses against reference answers; use as a context manager.

    Processes start with the first answer that needs algebra, import math-verify once (seconds)
    and stay. They need neither signals nor the main thread of this process.

    Attributes:
        num_timeouts: Comparisons killed so far.
        num_crashes: Workers that died for another reason, such as memory, so far.
    """

    def __init__(self, num_processes: int = 2, timeout_seconds: float = 5.0) -> None:
        """Starts nothing yet.

        Args:
            num_processes: Comparisons that run at the same time.
            timeout_seconds: Wall-clock limit of one comparison.
        """
        self.num_timeouts = 0
        self.num_crashes = 0
        self._num_processes = num_processes
        self._timeout_seconds = timeout_seconds
        self._workers: list[_Worker] = []
        self._lock = Lock()

    def __enter__(self) -> "Verifier":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the processes; verifying again starts new ones."""
        with self._lock:
            for worker in self._workers:
                worker.kill()
            self._workers = []

    def verify(self, responses: Sequence[str], references: Sequence[str]) -> list[Outcome]:
        """Verifies every response.

        Args:
            responses: Whole responses; the last box of each counts.
            references: The reference answer of each.

        Returns:
            `right`; `wrong` (also for several answers where one is asked for); `unparseable` (no
            answer that can be read); or `timeout` (the comparison was killed).

        Raises:
            RevisualError: The worker processes can't start: math-verify is not installed.
        """
        found = [_quickly(*pair) for pair in zip(responses, references, strict=True)]
        undecided = list(dict.fromkeys(item for item in found if isinstance(item, tuple)))
        with self._lock:
            decided = self._compare(undecided)
        return [decided[item] if isinstance(item, tuple) else item for item in found]

    def _compare(self, pairs: list[Pair]) -> dict[Pair, Outcome]:
        """Hands the pairs to the workers, each as soon as it is free."""
        outcomes: dict[Pair, Outcome] = {}
        waiting = deque(pairs)
        for worker in [worker for worker in self._workers if not worker.alive]:
            worker.kill()
            self._workers.remove(worker)
        while len(outcomes) < len(pairs):
            while len(self._workers) < min(self._num_processes, len(pairs)):
                self._workers.append(_Worker(self._timeout_seconds))
            for worker in [worker for worker in self._workers if worker.idle]:
                if waiting:
                    worker.send(waiting.popleft())
            for worker in _wait(self._workers):
                reply = worker.receive()
                if reply is None:
                    worker.kill()
                    self._workers.remove(worker)
                if worker.pair is not None:
                    outcomes[worker.pair] = self._count(reply)
            for worker in [worker for worker in self._workers if worker.overdue]:
                worker.kill()
                self._workers.remove(worker)
                if worker.pair is not None:
                    outcomes[worker.pair] = self._count("timeout")
        return outcomes

    def _count(self, reply: str | None) -> Outcome:
        """The outcome that a worker's reply, or its death, stands for."""
        if reply is None or reply == "crashed":
            self.num_crashes += 1
            return "unparseable"
        if reply == "timeout":
            self.num_timeouts += 1
        return cast(Outcome, reply)


class _Worker:
    """One process of `training.answers.worker`.

    Not multiprocessing: its spawn would import the caller's main module, torch and all, again.

    Attributes:
        pair: What it is comparing, or has compared last; None while it starts.
        idle: Whether it can be sent a pair.
    """

    def __init__(self, timeout_seconds: float) -> None:
        self.pair: Pair | None = None
        self.idle = False
        self._limit_seconds = timeout_seconds + _GRACE_SECONDS
        self._deadline = math.inf
        self._process = subprocess.Popen(
            [sys.executable, "-m", "training.answers.worker", str(timeout_seconds)],
            cwd=_PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # so that its fork can be killed with it
        )

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    @property
    def overdue(self) -> bool:
        """Whether it should have replied long ago."""
        return not self.idle and time.monotonic() > self._deadline

    @property
    def replies(self) -> IO[str]:
        """Where it answers."""
        assert self._process.stdout is not None
        return self._process.stdout

    def send(self, pair: Pair) -> None:
        """Has it compare a pair. A worker that has died meanwhile shows in `receive`."""
        assert self._process.stdin is not None
        self.pair, self.idle = pair, False
        self._deadline = time.monotonic() + self._limit_seconds
        with suppress(BrokenPipeError):
            print(json.dumps(pair), file=self._process.stdin, flush=True)

    def receive(self) -> str | None:
        """Its reply; None if it has died.

        Raises:
            RevisualError: It died before it could compare anything.
        """
        line = self.replies.readline()
        if not line and self.pair is None:
            self._process.wait()
            assert self._process.stderr is not None
            raise RevisualError(
                f"The answer verifier can't start: {self._process.stderr.read().strip()[-500:]}",
                where="training.answers.worker",
                rule="math-verify and its dependencies import",
                fix="install the project's requirements again (`make install`)",
            )
        self.idle = True
        return str(json.loads(line)) if line else None

    def kill(self) -> None:
        """Ends the process and its fork."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()
        self._process.wait()


def _wait(workers: list[_Worker]) -> list[_Worker]:
    """The busy workers that have something to say; waits for the first, a second at most."""
    with selectors.DefaultSelector() as selector:
        for worker in workers:
            if not worker.idle:
                selector.register(worker.replies, selectors.EVENT_READ, worker)
        return [key.data for key, _ in selector.select(timeout=1.0)]
