"""Stages that want the same GPUs: real processes with real locks, on GPUs that are only named."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread

import psutil
import pytest

from contracts.errors import PreflightError, StageError, StagePreempted
from contracts.job import Job
from infra import gpus, launcher
from infra.cluster import node as node_module
from infra.cluster.node import Node
from infra.cluster.records import NodesTask, Placement
from infra.cluster.sources import sources_digest
from infra.gpus import GpuLocks, Reminder, gpu_locks, gpus_of, listed, visible
from infra.launcher import Resources, launch, new_job
from infra.requirements import choose
from infra.stopping import stopped_by
from tests.standstill import wait_until

GPU = "GPU-of-nobody"
# A stage that saves, when it is told to stop, until somebody lets it end.
SAVING = """
import os, pathlib, signal, sys, time

def save(*_):
    (folder / "saving").touch()
    while not (folder / "let-go").exists():
        time.sleep(0.05)
    (folder / "saved").touch()
    sys.exit(75)

folder = pathlib.Path(sys.argv[1])
signal.signal(signal.SIGTERM, save)
(folder / "up").write_text(f"{os.getpid()} {os.getppid()}")
time.sleep(600)
"""
# The flow that has it made, for `python -c`.
FLOW = """
import pathlib, sys
from infra import gpus, launcher

folder, program = pathlib.Path(sys.argv[1]), sys.argv[2]
gpus.FOLDERS = (folder,)
launcher.stage_command = lambda *_: [sys.executable, "-c", program, str(folder)]
job = launcher.new_job("cold_start", {}, {}, folder / "work")
resources = launcher.Resources(1, 1, grace_seconds=120.0)
launcher.launch(job, resources, on_line=print, on_metrics=print)
"""


@pytest.fixture(autouse=True)
def _locks_of_this_test(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", GPU)
    monkeypatch.setattr(gpus, "FOLDERS", (tmp_path / "not-there", tmp_path))
    yield
    (tmp_path / "let-go").touch()  # of a test that failed


def job(folder: Path) -> Job:
    return new_job("text_rl", {}, {}, folder)


class Next(Thread):
    """The stage that comes next, as a flow launches it: fails if the one before has not saved."""

    def __init__(self, before: Path, work: Path) -> None:
        super().__init__(daemon=True)
        self.before, self.work = before, work
        self.lines: list[str] = []
        self.error: StageError | None = None
        self.told = Event()

    def run(self) -> None:
        try:
            with stopped_by(self.told):
                launch(job(self.work), Resources(1, 1), on_line=self.lines.append, on_metrics=print)
        except StageError as error:
            self.error = error


@pytest.fixture
def following(tmp_path, monkeypatch) -> Next:
    code = "import pathlib, sys; sys.exit(not pathlib.Path(sys.argv[1], 'saved').exists())"
    command = [sys.executable, "-c", code, str(tmp_path)]
    monkeypatch.setattr(launcher, "stage_command", lambda *_: command)
    return Next(tmp_path, tmp_path / "next")


@pytest.mark.parametrize("killed", ["the flow", "the flow and the supervisor"])
def test_the_next_stage_waits_for_one_that_saves_though_its_flow_is_dead(
    killed, following, tmp_path
):
    flow = subprocess.Popen([sys.executable, "-c", FLOW, str(tmp_path), SAVING])
    wait_until(lambda: (tmp_path / "up").exists() and (tmp_path / "up").read_text())
    stage, supervisor = map(psutil.Process, map(int, (tmp_path / "up").read_text().split()))
    flow.kill()
    flow.wait()
    if killed == "the flow and the supervisor":
        supervisor.kill()
    wait_until((tmp_path / "saving").exists)
    following.start()
    wait_until(lambda: following.lines or not following.is_alive())
    assert following.is_alive(), following.error
    (line,) = following.lines
    by = f"stage cold_start in {tmp_path / 'work'}, process {supervisor.pid};"
    assert f"still held, by {by}" in line
    assert line.endswith(f"{GPU}.lock")
    (tmp_path / "let-go").touch()
    following.join(300)
    assert not following.is_alive() and following.error is None
    assert following.lines == [line]
    psutil.wait_procs([stage, supervisor], timeout=60)


# In torchrun's place: two processes, in sessions of their own, that inherit no descriptor.
AGENT = """
import os, pathlib, subprocess, sys

folder = pathlib.Path(sys.argv[1])
ranks = []
for name in ("0", "1"):
    (folder / name).mkdir()
    rank = [sys.executable, "-m", "infra.rank", "saving", str(folder / name)]
    ranks.append(subprocess.Popen(rank, start_new_session=True))
(folder / "up").write_text(f"{os.getpid()} {os.getppid()}")
for rank in ranks:
    rank.wait()
"""


def test_ranks_whose_launchers_are_killed_save_and_hold_their_gpus_as_long(
    following, tmp_path, monkeypatch
):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    (tmp_path / "saving.py").write_text(SAVING.replace('folder / "let-go"', 'folder / "../let-go"'))
    code = "import pathlib, sys; sys.exit(len([*pathlib.Path(sys.argv[1]).glob('?/saved')]) < 2)"
    command = [sys.executable, "-c", code, str(tmp_path)]
    monkeypatch.setattr(launcher, "stage_command", lambda *_: command)

    def both_have(name: str) -> bool:
        return len(list(tmp_path.glob(f"?/{name}"))) == 2

    flow = subprocess.Popen([sys.executable, "-c", FLOW, str(tmp_path), AGENT])
    wait_until(lambda: both_have("up"))
    launchers = list(map(psutil.Process, map(int, (tmp_path / "up").read_text().split())))
    for process in launchers:
        process.kill()
    flow.kill()
    flow.wait()
    psutil.wait_procs(launchers, timeout=60)
    wait_until(lambda: both_have("saving"))
    following.start()
    wait_until(lambda: following.lines or not following.is_alive())
    assert following.is_alive(), following.error
    ranks = {int(up.read_text().split()[0]) for up in tmp_path.glob("?/up")}
    told = following.lines[0].partition(", process ")[2].partition(";")[0]
    assert set(map(int, told.split(", "))) == ranks  # and none that is gone
    (tmp_path / "let-go").touch()
    following.join(300)
    assert not following.is_alive() and following.error is None


def test_what_is_waited_for_is_said_again_every_ten_minutes():
    said, seconds = list[tuple[float, str]](), 0.0
    remind = Reminder(lambda waits: said.append((seconds, waits)), lambda: seconds)
    for seconds in (0.0, 0.25, 599.0, 600.0, 601.0, 1199.0, 1200.0):
        remind("one" if seconds != 601.0 else "other")
    assert said == [(0, "one"), (600, "one"), (601, "other"), (1200, "one")]


def test_who_is_told_to_stop_waits_no_longer(following, tmp_path):
    with gpu_locks([GPU], job(tmp_path / "work")) as locks:
        assert locks.take() == ""
        following.start()
        wait_until(lambda: following.lines or not following.is_alive())
        following.told.set()
        following.join(300)
        assert isinstance(following.error, StagePreempted)
        assert not (tmp_path / "next/log.txt").exists()  # nothing was started


def test_a_stage_that_needs_no_gpu_waits_for_none_and_sees_none(tmp_path, monkeypatch):
    code = (
        "import os; print(*(os.environ['CUDA_' + n] for n in ('DEVICE_ORDER', 'VISIBLE_DEVICES')))"
    )
    monkeypatch.setattr(launcher, "stage_command", lambda *_: [sys.executable, "-c", code])
    lines, learning = list[str](), job(tmp_path / "learning")
    evaluating = learning.model_copy(update={"needs_gpus": False})

    def hear(line: str) -> None:
        assert "Waits" not in line
        lines.append(line)

    launch(learning, Resources(1, 1), on_line=hear, on_metrics=print)
    with gpu_locks([GPU], job(tmp_path / "work")) as locks:
        assert locks.take() == ""
        launch(evaluating, Resources(1, 1), on_line=hear, on_metrics=print)
    assert lines == [f"PCI_BUS_ID {GPU}", "PCI_BUS_ID "]


@pytest.fixture
def locks(tmp_path) -> Callable[..., GpuLocks]:
    """Locks of stages by their names, which end with the test."""
    jobs: dict[str, Job] = {}
    with ExitStack() as opened:

        def new(stage: str, *gpus: str) -> GpuLocks:
            jobs[stage] = jobs.get(stage) or job(tmp_path / stage)
            return opened.enter_context(gpu_locks(gpus, jobs[stage]))

        yield new


def test_stages_wait_for_one_another_where_their_gpus_meet(locks):
    assert locks("first", "GPU-1", "GPU-0").take() == ""
    assert locks("apart", "GPU-2", "GPU-3").take() == ""
    overlapping = locks("overlapping", "GPU-1", "GPU-4")
    assert "first" in overlapping.take()
    assert locks("behind", "GPU-4").take() == ""  # nothing is held of what comes later
    assert locks("on a CPU").take() == "" and locks("another").take() == ""


def test_what_is_released_others_have_and_it_may_be_taken_again(locks):
    """Two stages on two hosts, each of which has got one first."""
    here, there = locks("one", "GPU-here"), locks("other", "GPU-there")
    assert here.take() == there.take() == ""
    here.release()
    assert locks("other", "GPU-here").take() == ""
    assert "other" in here.take()


def test_a_lock_whose_file_was_removed_is_that_of_the_file_that_is_there(locks, tmp_path):
    first, waiting = locks("first", GPU), locks("waiting", GPU)
    assert first.take() == "" and "first" in waiting.take()
    (path,) = tmp_path.glob("*.lock")
    path.unlink()
    assert locks("second", GPU).take() == ""
    first.release()
    assert "second" in waiting.take()


def test_a_lock_that_is_no_file_of_ones_own_is_named(tmp_path):
    (tmp_path / f"revisual-{os.getuid()}-{GPU}.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PreflightError) as caught, gpu_locks([GPU], job(tmp_path / "work")):
        pass
    assert caught.value.where.endswith(f"{GPU}.lock") and "remove" in caught.value.fix


def test_parts_of_a_stage_share_its_gpus_until_the_last_has_ended(tmp_path):
    """As nodes of one machine, which wait for one another before they begin."""
    of, other = job(tmp_path / "work"), job(tmp_path / "other")
    with gpu_locks([GPU], other) as waiting:
        with gpu_locks([GPU], of) as second:
            with gpu_locks([GPU], of) as first:
                assert [first.take(), second.take(), first.take()] == ["", "", ""]
                assert str(tmp_path / "work") in waiting.take()
            assert str(tmp_path / "work") in waiting.take()
        assert waiting.take() == ""


def test_a_node_says_whom_it_waits_for_and_hands_its_gpus_on(tmp_path, monkeypatch):
    monkeypatch.setenv("REVISUAL_HOME", str(tmp_path / "home"))
    command = [sys.executable, "-c", SAVING, str(tmp_path)]
    monkeypatch.setattr(node_module, "stage_command", lambda *_: command)
    placement = Placement(
        field="hardware",
        address="127.0.0.1:1",
        nodes=1,
        cpus=1,
        gpus=1,
        needs_gpus=True,
        timeout_seconds=1.0,
        store=str(tmp_path / "store"),
    )
    task = NodesTask(
        placement=placement,
        job=new_job("cold_start", {}, {}, tmp_path / "driver"),
        recipe="{}",
        run="able-ant",
        inputs={},
        resume=None,
        code=sources_digest(),
        modules={},
        num_processes=1,
        threads_per_process=1,
        grace_seconds=120.0,
        variables=(),
    )
    node = Node(0, task.model_dump_json())
    assert [node.open(), node.prepare()] == ["", ""]
    with gpu_locks([GPU], job(tmp_path / "before")) as before:
        assert before.take() == ""
        told = node.take_gpus()
        assert told.startswith(f"node 0, {os.uname().nodename}: ")
        assert f"by stage text_rl in {tmp_path / 'before'};" in told
    assert [node.take_gpus(), node.take_gpus(), node.start("127.0.0.1")] == ["", "", ""]
    wait_until(lambda: (tmp_path / "up").exists() and (tmp_path / "up").read_text())
    with gpu_locks([GPU], job(tmp_path / "after")) as after:
        node._remains.close()  # as the end of its process would
        supervisor = (tmp_path / "up").read_text().split()[1]
        by = f"stage cold_start in {tmp_path / 'driver'}, process {supervisor};"
        assert by in after.take()
        (tmp_path / "let-go").touch()
        node.close()
        assert after.take() == ""


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (None, ["GPU-a0", "GPU-b1", "GPU-c2"]),
        ("2,0", ["GPU-c2", "GPU-a0"]),
        ("", []),
        ("-1", []),
        ("1, 9, 2", ["GPU-b1"]),
        ("NoDevFiles", []),
        ("GPU-b,MIG-d3", ["GPU-b1", "MIG-d3"]),
        ("1,²", ["GPU-b1"]),
    ],
)
def test_the_gpus_that_a_process_sees(chosen, expected):
    """As CUDA reads the variable: it stops at the first number that is none of a GPU."""
    assert visible(["GPU-a0", "GPU-b1", "GPU-c2"], chosen) == expected


def test_where_nobody_lists_gpus_only_names_count():
    assert visible([], None) == visible([], "0,1") == []
    assert visible([], "GPU-a0,0") == ["GPU-a0"]


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("echo GPU-a0; echo 'Unable to determine: GPU is lost'; echo GPU-c2; exit 15", "a0 c2"),
        (f"exec '{sys.executable}' -c 'import time; time.sleep(30); print(\"GPU-late\")'", ""),
    ],
)
def test_a_driver_that_is_ill_is_neither_trusted_nor_waited_for(
    program, expected, tmp_path, monkeypatch
):
    """A stand-in for `nvidia-smi`: one GPU is lost, or it hangs."""
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{program}\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    if not expected:
        monkeypatch.setattr(choose, "ANSWERED_WITHIN_SECONDS", 0.1)
    assert listed() == [f"GPU-{name}" for name in expected.split()]


def test_it_is_said_that_nothing_is_locked_where_a_driver_names_no_gpu(tmp_path, monkeypatch):
    monkeypatch.setattr(gpus, "DRIVER", tmp_path)
    monkeypatch.setenv("PATH", "")
    said, asked = list[str](), job(tmp_path / "work")
    assert gpus_of(asked, said.append) == [GPU] and not said
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert gpus_of(asked, said.append) == [] and "No GPU is locked" in said.pop()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus_of(asked, said.append) == [] and not said
