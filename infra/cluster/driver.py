"""Follows a stage's nodes: hands on what they tell, stores their checkpoints, ends them together.

It knows the nodes by what they answer (`Nodes`), and not who found them.
"""

import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import SystemRandom
from signal import SIGTERM
from threading import Event, Thread
from typing import Any, Protocol

from contracts.errors import StoreError
from contracts.job import Outcome
from infra.cluster.records import (
    KILLED_CODE,
    UPLOADED,
    End,
    NodesTask,
    Report,
    Upload,
    Uploaded,
    cause,
)
from infra.gpus import Reminder
from infra.launcher import CHECKPOINTS
from infra.store import Store

POLL_SECONDS = 0.25
PULSE_SECONDS = 10.0  # far below what a node bears of silence
# From one node's failure until the others are told to stop: a rank that misses another says so,
# and one that failed by itself has the word.
FAREWELL_SECONDS = 5.0
REFUSED_CODE = 2
METRICS, STATE = "output/metrics.jsonl", "state.json"


class NodeLost(Exception):
    """A node has ended, or does not answer."""


class Nodes(Protocol):
    """The nodes of a stage, numbered from 0; each answers the methods of `infra.cluster.node`."""

    def __len__(self) -> int:
        """How many there are."""

    def ask(self, node: int, method: str, *arguments: object) -> Any:  # noqa: ANN401 - any method's
        """One node's answer.

        Raises:
            NodeLost: It gives none.
        """
        ...

    def ask_all(self, method: str, *arguments: object) -> list[Any]:
        """All nodes' answers, worked out at the same time; waits as long as they are alive.

        Raises:
            NodeLost: One of them is not.
        """
        ...

    def start(self) -> str:
        """Starts all nodes' processes, up to the first that breaks a rule.

        Returns:
            Nothing, or which rule is broken.

        Raises:
            NodeLost: One of them is gone.
        """
        ...


class Driver:
    """Makes one stage on its nodes.

    Args:
        task: What is asked.
        nodes: Who makes it.
        store: Where all of them store.
        is_told: Whether somebody wants the end.
    """

    def __init__(
        self, task: NodesTask, nodes: Nodes, store: Store, is_told: Callable[[], bool]
    ) -> None:
        self._task, self._nodes, self._store, self._is_told = task, nodes, store, is_told
        self._work = task.job.output.parent
        self._logs = [Log(number, len(nodes), _print) for number in range(len(nodes))]
        self._num_metrics_bytes = 0
        self._ends: dict[int, End] = {}
        self._uploading: tuple[int, str] | None = None
        self._has_met = len(nodes) == 1
        self._failed_seconds: float | None = None
        self._is_stopped = False

    def run(self) -> End:
        """Runs the stage to its end; its output, its log and its metrics are then here.

        Returns:
            What explains how it ended.
        """
        try:
            if problem := self._prepared():
                return _refused(problem)
            if not self._has_gpus():
                return End(code=128 + SIGTERM)
            with self._pulse():
                return self._made()
        except NodeLost as error:
            say(str(error))
            return End(code=KILLED_CODE)

    def _made(self) -> End:
        if problem := self._nodes.start():
            return _refused(problem)
        while not self._is_finished():
            time.sleep(POLL_SECONDS)
        for log in self._logs:
            log.close()
        end = cause([self._ends[node] for node in range(len(self._nodes))])
        if end.code == 0:
            self._fetch_output()
        return end

    @contextmanager
    def _pulse(self) -> Iterator[None]:
        """Lets the nodes hear that the driver lives, also while it fetches from one, or stores."""
        done, lost = Event(), set[int]()

        def beat() -> None:
            while not done.wait(PULSE_SECONDS):
                for node in range(len(self._nodes)):
                    if node in lost or done.is_set():
                        continue
                    try:
                        self._nodes.ask(node, "hear")
                    except NodeLost:  # the driver's next question to it finds that, too
                        lost.add(node)

        thread = Thread(target=beat, name="pulse", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _prepared(self) -> str:
        """Has the nodes fetch what they read; returns which rule is broken, if one is."""
        if problem := next(filter(None, self._nodes.ask_all("open")), ""):
            return problem
        resume = self._task.job.resume
        if resume is not None and not self._task.saves_steps:
            for path in sorted(resume.rglob("*.parquet")):
                self._put(path, path.relative_to(resume).as_posix())
        return next(filter(None, self._nodes.ask_all("prepare")), "")

    def _has_gpus(self) -> bool:
        """Waits until all nodes have their GPUs; whether nobody wants the end before.

        All or none: two stages of which each has one node's would wait for one another for ever.
        """
        remind = Reminder(say)
        while waits := next(filter(None, self._nodes.ask_all("take_gpus")), ""):
            remind(waits)
            self._nodes.ask_all("release_gpus")
            if self._is_told():
                return False
            # Two that release in step must not take in step, too, however `random` was seeded.
            time.sleep(POLL_SECONDS * SystemRandom().uniform(1, 2))
        return True

    def _put(self, path: Path, name: str) -> None:
        data = path.read_bytes()  # of a few seconds' responses
        self._nodes.ask_all("put", name, 0, data)

    def _is_finished(self) -> bool:
        """Looks once after every node; whether all have ended, and all they left is here."""
        reports = {node: report for node in self._living() if (report := self._report(node))}
        self._meet(reports)
        is_idle = self._store_steps(reports)
        self._end_together()
        has_told = any(report.log or report.metrics or report.chunks for report in reports.values())
        return len(self._ends) == len(self._nodes) and is_idle and not has_told

    def _living(self) -> list[int]:
        """The nodes that still answer, ended or not."""
        return [node for node, log in enumerate(self._logs) if not log.is_closed]

    def _report(self, node: int) -> Report | None:
        """Asks a node, and hands on what it tells."""
        offset = self._logs[node].num_bytes
        try:
            report: Report = self._nodes.ask(node, "report", offset, self._num_metrics_bytes)
            self._logs[node].write(report.log)
            if report.metrics:
                self._append_metrics(report.metrics)
            for name in report.chunks:
                self._fetch_chunk(node, name)
        except NodeLost as error:
            self._lose(node, str(error))
            return None
        if report.end is not None and not report.log:
            self._ends.setdefault(node, report.end)
        return report

    def _lose(self, node: int, why: str) -> None:
        self._logs[node].close()
        say(f"node {node} is lost: {why}")
        self._ends[node] = End(code=KILLED_CODE)

    def _append_metrics(self, data: bytes) -> None:
        with (self._work / METRICS).open("ab") as file:
            file.write(data)
        self._num_metrics_bytes += len(data)

    def _fetch_chunk(self, node: int, name: str) -> None:
        """Fetches responses that a node has drawn: whoever uploads them looks here."""
        folder = self._work / CHECKPOINTS
        folder.mkdir(exist_ok=True)
        inner = f"{CHECKPOINTS}/{name}"
        self._fetch(node, inner, folder / f".{name}")
        (folder / f".{name}").rename(folder / name)
        self._nodes.ask(node, "drop", inner)

    def _fetch(self, node: int, name: str, target: Path) -> None:
        """Copies a file from a node's scratch folder, piece by piece."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            while piece := self._nodes.ask(node, "read", name, file.tell()):
                file.write(piece)

    def _fetch_output(self) -> None:
        for name, size in self._nodes.ask(0, "output"):
            if name != METRICS or size != self._num_metrics_bytes:
                self._fetch(0, name, self._work / name)

    def _meet(self, reports: dict[int, Report]) -> None:
        """Tells the others where the first node's agent listens, once it does."""
        if self._has_met or 0 not in reports or not reports[0].meet:
            return
        for node in range(1, len(self._nodes)):
            self._try(node, "meet", reports[0].meet)
        self._has_met = True

    def _try(self, node: int, method: str, *arguments: object) -> Any:  # noqa: ANN401 - see `ask`
        """As `Nodes.ask`; None where the node is lost, or was."""
        if self._logs[node].is_closed:
            return None
        try:
            return self._nodes.ask(node, method, *arguments)
        except NodeLost as error:
            self._lose(node, str(error))
            return None

    def _store_steps(self, reports: dict[int, Report]) -> bool:
        """Has the nodes store their shares of the newest step checkpoint that all of them have.

        Returns:
            Whether nothing is on its way.
        """
        if not self._task.saves_steps:
            return True
        if self._uploading is not None:
            self._finish_upload(*self._uploading, reports)
            return False
        if len(reports) < len(self._nodes):
            return True  # a share is lost
        common = set.intersection(*(set(report.steps) for report in reports.values()))
        if not common:
            return True
        self._begin_upload(max(common))
        return False

    def _begin_upload(self, step: int) -> None:
        everybody = range(len(self._nodes))
        taken = [node for node in everybody if self._try(node, "take", step)]
        if len(taken) < len(everybody):
            for node in taken:
                self._try(node, "untake", step)
            return
        location = f"artifacts/checkpoint/{uuid.uuid4().hex}"
        state = self._try(0, "read", f"{CHECKPOINTS}/taken-{step:08d}/{STATE}", 0)
        if state is None:
            return
        partial = self._partial(step)
        partial.mkdir(parents=True)
        (partial / STATE).write_bytes(state)
        for node in everybody:
            self._try(node, "store_share", step, location)
        self._uploading = step, location

    def _finish_upload(self, step: int, location: str, reports: dict[int, Report]) -> None:
        """Leaves a checkpoint for whoever enters it in the store, once all its shares are there."""
        uploads = [report.upload for report in reports.values()]
        problem = next((one.problem for one in uploads if one and one.problem), "")
        if len(reports) < len(self._nodes):
            problem = "the share of a lost node is missing"
        if not problem and not all(_is_done(one, step) for one in uploads):
            return
        self._uploading = None
        if problem:
            say(f"The checkpoint of step {step} could not be stored: {problem}")
            self._drop_partial(step, location)
            return
        files = [file for one in uploads if one for file in one.files or ()]
        uploaded = Uploaded(
            location=location, files=tuple(sorted(files, key=lambda file: file.path))
        )
        partial = self._partial(step)
        (partial / UPLOADED).write_text(uploaded.model_dump_json(), encoding="utf-8")
        partial.rename(partial.with_name(f"step-{step:08d}"))

    def _partial(self, step: int) -> Path:
        return self._work / CHECKPOINTS / f".step-{step:08d}"

    def _drop_partial(self, step: int, location: str) -> None:
        partial = self._partial(step)
        (partial / STATE).unlink()
        partial.rmdir()
        with suppress(StoreError):  # `revisual gc` finds what nobody enters
            self._store.backend.remove(location)

    def _end_together(self) -> None:
        """Tells all nodes to stop when somebody wants it, or one of them has failed."""
        if self._is_stopped:
            return
        failed = [end for end in self._ends.values() if end.code != 0]
        if failed and self._failed_seconds is None:
            self._failed_seconds = time.monotonic()
        waited = 0.0 if self._failed_seconds is None else time.monotonic() - self._failed_seconds
        if self._is_told() or waited > FAREWELL_SECONDS:
            self._is_stopped = True
            for node in range(len(self._nodes)):
                self._try(node, "stop")


class Log:
    """Prints the complete lines of a node's log, with its number if there are several.

    Args:
        node: Its number.
        num_nodes: How many there are.
        write: Takes what is printed.

    Attributes:
        num_bytes: How many have come.
        is_closed: Whether the node is lost, and no more will come.
    """

    def __init__(self, node: int, num_nodes: int, write: Callable[[bytes], object]) -> None:
        self._prefix = f"node {node}: ".encode() if num_nodes > 1 else b""
        self._write = write
        self._rest = b""
        self.num_bytes = 0
        self.is_closed = False

    def write(self, data: bytes) -> None:
        """Takes the next bytes."""
        self.num_bytes += len(data)
        complete, newline, self._rest = (self._rest + data).rpartition(b"\n")
        if newline:
            self._print(complete.split(b"\n"))

    def close(self) -> None:
        """Prints what has no end, too."""
        self.is_closed = True
        if self._rest:
            self._print([self._rest])
            self._rest = b""

    def _print(self, lines: list[bytes]) -> None:
        self._write(b"".join(self._prefix + line + b"\n" for line in lines))


def say(text: str) -> None:
    """Prints a line of the driver's own."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _print(data: bytes) -> None:
    sys.stdout.flush()  # what `say` has written comes first
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _refused(problem: str) -> End:
    return End(code=REFUSED_CODE, outcome=Outcome(status="refused", message=problem))


def _is_done(upload: Upload | None, step: int) -> bool:
    return upload is not None and upload.step == step and upload.files is not None
