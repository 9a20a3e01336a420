"""A worker that is told to stop, without a server: Prefect's own way of starting a process."""

import asyncio
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Pending, Running
from prefect.workers.base import BaseWorker

from infra import worker
from infra.worker import WORKER_LABEL, ProjectWorker, is_left_behind

# Its run is a process that takes SECONDS to save; the loops that ask the server are left out, and
# telling it how the run's process has ended takes as long.
WORKER = """
import os, sys
os.environ["PREFECT_LOGGING_TO_API_ENABLED"] = "0"
from pathlib import Path
from uuid import uuid4
import anyio
from prefect.client.schemas.objects import FlowRun
from prefect.utilities.processutils import run_process
from prefect.workers.process import ProcessWorkerResult
from infra import worker

class Job(worker.ProjectJob):
    @classmethod
    async def resolve_for_flow_run(cls, *_, **__):
        return cls()

class Worker(worker.ProjectWorker):
    job_configuration = Job
    client = work_pool = None
    _emit_flow_run_submitted_event = _release_limit_slot = lambda *_: None

    async def start(self, **_):
        async with anyio.create_task_group() as runs:
            await runs.start(self._submit_run_and_capture_errors, FlowRun(flow_id=uuid4()))
            await anyio.sleep_forever()

    async def run(self, task_status, **_):
        task_status.started(1)
        process = await run_process([sys.executable, *sys.argv[2:]])
        return ProcessWorkerResult(status_code=process.returncode, identifier="")

    async def _give_worker_labels_to_flow_run(self, *_):
        pass

    async def _propose_submitting_state(self, *_):
        pass

    async def _propose_crashed_state(self, *_):
        await anyio.sleep(SECONDS)
        Path(sys.argv[-1], "crashed").touch()

worker.ONE_NOTICE_SECONDS = float(sys.argv[1])
worker.serve(Worker(work_pool_name="local"))
"""
RUN = """
import pathlib, signal, sys, time

def save(*_):
    (folder / "told").touch()
    time.sleep(SECONDS)
    (folder / "saved").touch()
    sys.exit(1)

folder = pathlib.Path(sys.argv[1])
signal.signal(signal.SIGTERM, save)
(folder / "up").touch()
time.sleep(600)
"""
ONCE, TWICE = (signal.SIGTERM,), (signal.SIGINT, signal.SIGTERM)


@pytest.mark.parametrize(
    ("one_notice_seconds", "signals", "seconds", "left"),
    [
        (0.0, ONCE, 1, {"up", "told", "saved", "crashed"}),
        # By the machine and by the supervisor.
        (60.0, TWICE, 1, {"up", "told", "saved", "crashed"}),
        (0.0, TWICE, 600, {"up", "told"}),
    ],
)
def test_a_worker_that_is_told_to_stop_waits_until_its_run_has_saved_and_the_server_knows(
    one_notice_seconds: float,
    signals: tuple[signal.Signals, ...],
    seconds: int,
    left: set[str],
    tmp_path: Path,
) -> None:
    run, served = (text.replace("SECONDS)", f"{seconds})") for text in (RUN, WORKER))
    command = [sys.executable, "-c", served, str(one_notice_seconds), "-c", run, str(tmp_path)]
    with subprocess.Popen(command) as process:
        for number, sign in zip(signals, ("up", "told"), strict=False):
            while not (tmp_path / sign).exists():
                assert process.poll() is None
                time.sleep(0.02)
            process.send_signal(number)
        assert process.wait(timeout=300) == 0
    assert {path.name for path in tmp_path.iterdir()} == left


@pytest.mark.parametrize("kind", [worker.ProjectWorker, worker.StageWorker])
def test_what_is_cancelled_has_saved_before_it_ends(kind, monkeypatch, tmp_path) -> None:
    """Whatever grace Prefect asks for; which runner a worker has is Prefect's affair but here."""

    async def nothing(*_: object) -> None:
        pass

    async def entered(_: object, runner: object) -> object:
        return runner

    monkeypatch.setattr(BaseWorker, "__aenter__", nothing)

    async def cancel() -> int:
        served = kind(work_pool_name="gpu")
        monkeypatch.setattr(served._exit_stack, "enter_async_context", partial(entered, None))
        await served.__aenter__()
        command = [sys.executable, "-c", RUN.replace("SECONDS)", "1)"), str(tmp_path)]
        process = await asyncio.create_subprocess_exec(*command)
        while not (tmp_path / "up").exists():
            await asyncio.sleep(0.02)
        await served._runner._kill_process(process.pid, grace_seconds=0)
        return await process.wait()

    assert asyncio.run(cancel()) == 1
    assert (tmp_path / "saved").exists()


def test_a_worker_that_waits_for_its_runs_is_well_although_it_asks_for_no_more() -> None:
    told = ProjectWorker(work_pool_name="local")
    told._last_polled_time = datetime.now(UTC) - timedelta(minutes=10)
    assert not told.is_worker_still_polling(query_interval_seconds=2)
    asyncio.run(told.end_runs())
    assert told.is_worker_still_polling(query_interval_seconds=2)


@pytest.mark.parametrize(
    ("state", "seconds", "label", "expected"),
    [
        (Running, 5, "mine", True),
        (Pending, 5, "mine", True),
        (Running, 5, "other", False),
        (Pending, 3600, "other", False),
        (Pending, 59, None, None),  # another worker may be taking it now
        (Pending, 61, None, True),  # killed as it took the run
    ],
)
def test_a_run_is_left_behind_by_the_worker_that_took_it(
    state: type, seconds: int, label: str | None, expected: bool | None
) -> None:
    run = FlowRun(flow_id=uuid4(), state=state())
    if label is not None:
        run.labels[WORKER_LABEL] = label
    assert is_left_behind(run, "mine", timedelta(seconds=seconds)) is expected


class Server:
    """One run, taken an hour from now by the server's clock; asked too often it gives up."""

    def __init__(self) -> None:
        state = Pending(timestamp=datetime.now(UTC) + timedelta(hours=1))
        self.run, self.num_asked = FlowRun(flow_id=uuid4(), state=state), 0

    def read_flow_runs(self, **_: object) -> list[FlowRun]:
        self.num_asked += 1
        assert self.num_asked < 4
        return [] if self.run.state.is_crashed() else [self.run]

    def set_flow_run_state(self, _: UUID, state: State, force: bool) -> None:
        self.run.state = state


def test_how_long_a_run_has_no_label_is_measured_by_the_workers_own_clock(monkeypatch) -> None:
    monkeypatch.setattr(worker, "LABELLED_WITHIN", timedelta())
    server = Server()
    worker.end_orphaned_runs(server, "mine")
    assert server.run.state.is_crashed()
