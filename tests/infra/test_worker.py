"""A worker that is told to stop, without a server: Prefect's own way of starting a process."""

import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.states import Pending, Running

from infra.worker import WORKER_LABEL, is_left_behind

# Its run is a process that takes a second to save; the loops that ask the server are left out.
WORKER = """
import sys
import anyio
from prefect.utilities.processutils import run_process
from infra import worker

class Worker(worker.ProjectWorker):
    async def start(self, **_):
        async with anyio.create_task_group() as runs:
            runs.start_soon(self.do)
            await anyio.sleep_forever()

    async def do(self):
        self._num_runs += 1
        await run_process([sys.executable, *sys.argv[2:]])
        self._num_runs -= 1

worker.ONE_NOTICE_SECONDS = float(sys.argv[1])
worker.serve(Worker(work_pool_name="local"))
"""
RUN = """
import pathlib, signal, sys, time

def save(*_):
    (folder / "told").touch()
    time.sleep(1)
    (folder / "saved").touch()
    sys.exit(1)

folder = pathlib.Path(sys.argv[1])
signal.signal(signal.SIGTERM, save)
(folder / "up").touch()
time.sleep(600)
"""
ONCE, TWICE = (signal.SIGTERM,), (signal.SIGINT, signal.SIGTERM)


@pytest.mark.parametrize(
    ("one_notice_seconds", "signals", "left"),
    [
        (0.0, ONCE, {"up", "told", "saved"}),
        (60.0, TWICE, {"up", "told", "saved"}),  # by the machine and by the supervisor
        (0.0, TWICE, {"up", "told"}),
    ],
)
def test_a_worker_that_is_told_to_stop_waits_for_what_its_run_saves(
    one_notice_seconds: float, signals: tuple[signal.Signals, ...], left: set[str], tmp_path: Path
) -> None:
    run = ["-c", RUN, str(tmp_path)]
    with subprocess.Popen([sys.executable, "-c", WORKER, str(one_notice_seconds), *run]) as worker:
        for number, sign in zip(signals, ("up", "told"), strict=False):
            while not (tmp_path / sign).exists():
                assert worker.poll() is None
                time.sleep(0.02)
            worker.send_signal(number)
        assert worker.wait(timeout=300) == 0
    assert {path.name for path in tmp_path.iterdir()} == left


NOW = datetime(2026, 11, 30, tzinfo=UTC)


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
    since = NOW - timedelta(seconds=seconds)
    run = FlowRun(flow_id=uuid4(), state=state(timestamp=since))
    if label is not None:
        run.labels[WORKER_LABEL] = label
    assert is_left_behind(run, "mine", NOW) is expected
