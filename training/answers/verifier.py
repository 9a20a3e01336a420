"""Verifying many answers, the slow ones in processes that are killed and replaced on time-out."""

import json
import logging
import math
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from threading import Lock
from typing import IO, cast

from contracts.errors import RevisualError
from training.answers.boxed import MAX_ANSWER_CHARS, extract_labelled, extract_listed
from training.answers.comparison import RELATIVE_TOLERANCE
from training.answers.outcome import Outcome, Verdict
from training.answers.quick import judge
from training.answers.symbolic import compare, too_large

# A worker keeps the limit by itself; one that is stopped, or has lost its answer, is given up
# after so many more seconds.
_GRACE_SECONDS = 10.0
_PROJECT = Path(__file__).resolve().parents[2]

Pair = tuple[str, str]  # the boxed answer, the reference

_LOGGER = logging.getLogger(__name__)


def verify_in_process(response: str, reference: str, question: str = "") -> Outcome:
    """Verifies one response in this process; hostile input may hang it: see `verify`.

    Args:
        response: The whole response; its last box counts.
        reference: The reference answer.
        question: What was asked, if known: it may name the variable to solve for.
    """
    found = _by_rule(response, reference, question)
    return compare(*found) if isinstance(found, tuple) else found.outcome


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


def _by_rule(
    response: str,
    reference: str,
    question: str,
    *,
    tolerance: Fraction = RELATIVE_TOLERANCE,
    accept_rounded: bool = False,
) -> Verdict | Pair:
    """The verdict if it can be told without algebra, else the pair to compare."""
    answer = extract_labelled(response)
    if answer is None:
        return Verdict("unparseable", "no boxed answer")
    if len(reference) > MAX_ANSWER_CHARS:
        return Verdict("right" if answer == reference else "wrong")

    def by_rule(one: str) -> Verdict | None:
        return judge(one, reference, question, accept_rounded=accept_rounded, tolerance=tolerance)

    verdict, parts = by_rule(answer), extract_listed(response)
    # The same value in two writings is one answer.
    if len(parts) > 1 and all(found == Verdict("right") for found in map(by_rule, parts)):
        return Verdict("right")
    if verdict is not None:
        return verdict
    what = too_large(answer)
    return Verdict("unparseable", f"unverifiable: {what}") if what else (answer, reference)


class Verifier:
    """Verifies responses against reference answers; use as a context manager.

    Processes start with the first answer that needs algebra, import math-verify once (seconds)
    and stay. They need neither signals nor the main thread of this process.

    Attributes:
        num_timeouts: Comparisons killed so far.
        num_crashes: Workers that died for another reason, such as memory, so far.
    """

    def __init__(
        self,
        num_processes: int = 2,
        timeout_seconds: float = 5.0,
        *,
        batch_seconds: float = 10.0,
        accept_rounded: bool = False,
        tolerance: Fraction = RELATIVE_TOLERANCE,
        on_wait: Callable[[], None] | None = None,
    ) -> None:
        """Starts nothing yet.

        Args:
            num_processes: Comparisons by algebra that run at the same time.
            timeout_seconds: Wall-clock limit of one of them.
            batch_seconds: Wall-clock limit of all of one call, but for the time when processes
                start and none compares; infinite for none.
            accept_rounded: Whether `0.67` is right for `2/3`; `2/3` for `0.67` always is.
            tolerance: By which share a decimal may be off a fraction if not; 0 for not at all.
            on_wait: Called at least once a second while comparisons run. What it raises ends the
                call, and the comparisons with it.
        """
        self._on_wait = on_wait
        self._batch_seconds = batch_seconds
        self._accept_rounded = accept_rounded
        self._tolerance = tolerance
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

    def verify(
        self,
        responses: Sequence[str],
        references: Sequence[str],
        questions: Sequence[str] | None = None,
    ) -> list[Outcome]:
        """The outcome of `judge` for every response."""
        return [verdict.outcome for verdict in self.judge(responses, references, questions)]

    def judge(
        self,
        responses: Sequence[str],
        references: Sequence[str],
        questions: Sequence[str] | None = None,
    ) -> list[Verdict]:
        """Verifies every response.

        Args:
            responses: Whole responses; the last box of each counts.
            references: The reference answer of each.
            questions: What was asked, if known: a question may name the variable to solve for.

        Returns:
            `right`; `wrong` (also for several answers where one is asked for); `unparseable` (no
            answer that can be read within the limits of size); `timeout` (the comparison was
            killed); or `crashed` (it died). Reasons that begin with `unverifiable` are limits that
            were met; each call logs how many there were.

        Raises:
            RevisualError: The worker processes can't start: math-verify is not installed.
        """
        found = [
            _by_rule(
                response,
                reference,
                question,
                tolerance=self._tolerance,
                accept_rounded=self._accept_rounded,
            )
            for response, reference, question in zip(
                responses, references, questions or [""] * len(responses), strict=True
            )
        ]
        undecided = list(dict.fromkeys(item for item in found if isinstance(item, tuple)))
        with self._lock:
            decided = self._compare(undecided)
        verdicts = [decided[item] if isinstance(item, tuple) else item for item in found]
        reasons = Counter(one.reason for one in verdicts if one.is_limit)
        for reason, count in reasons.most_common():
            _LOGGER.warning("%d of %d answers are %s", count, len(verdicts), reason)
        return verdicts

    def _compare(self, pairs: list[Pair]) -> dict[Pair, Verdict]:
        """Hands the pairs to the workers, each as soon as it is free."""
        verdicts: dict[Pair, Verdict] = {}
        waiting = deque(pairs)
        seconds_left = self._batch_seconds
        for worker in [each for each in self._workers if each.is_comparing or not each.alive]:
            self._drop(worker)  # it has died, or is at a pair of a call that `on_wait` ended
        while len(verdicts) < len(pairs):
            busy = sum(not worker.idle for worker in self._workers)
            while len(self._workers) < min(self._num_processes, len(waiting) + busy):
                self._workers.append(_Worker(self._timeout_seconds))
            for worker in [worker for worker in self._workers if worker.idle]:
                if waiting:
                    worker.send(waiting.popleft())
            # The clock stands still where all start: at first, and in the place of one that died.
            is_comparing = any(worker.is_comparing for worker in self._workers)
            since = time.monotonic()
            for worker in _wait(self._workers):
                reply = worker.receive()
                if reply is None:
                    self._drop(worker)
                if worker.pair is not None:
                    verdicts[worker.pair] = self._verdict(reply)
            if self._on_wait is not None:
                self._on_wait()
            seconds_left -= is_comparing * (time.monotonic() - since)
            is_late = seconds_left < 0
            for worker in [each for each in self._workers if each.overdue or is_late]:
                if worker.pair is not None and not worker.idle:
                    self._drop(worker)
                    verdicts[worker.pair] = self._verdict("timeout")
            if is_late:
                verdicts |= {pair: self._verdict("late") for pair in waiting}
                waiting.clear()
        return verdicts

    def _drop(self, worker: "_Worker") -> None:
        worker.kill()
        self._workers.remove(worker)

    def _verdict(self, reply: str | None) -> Verdict:
        """What a worker's reply, its death or its absence stands for."""
        if reply is None or reply == "crashed":
            self.num_crashes += 1
            return Verdict("crashed", "unverifiable: the comparison's process died")
        if reply == "late":
            self.num_timeouts += 1
            return Verdict("timeout", f"unverifiable: {self._batch_seconds:g} s a batch are spent")
        if reply == "timeout":
            self.num_timeouts += 1
            return Verdict("timeout", f"unverifiable: not within {self._timeout_seconds:g} s")
        return Verdict(cast(Outcome, reply))


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
    def is_comparing(self) -> bool:
        """Whether it has a pair, and has not replied."""
        return self.pair is not None and not self.idle

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
