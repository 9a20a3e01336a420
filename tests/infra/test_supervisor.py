"""Real processes, really killed: nothing may be left of them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]

# A careless tree: a child in a session of its own that ignores TERM, and a grandchild of the same
# kind whose parent has ended. Each writes its process id.
TREE = """
import os, signal, subprocess, sys, time
folder = sys.argv[1]
deaf = (
    "import os, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "open(os.path.join(sys.argv[1], str(os.getpid())), 'w').close(); time.sleep(600)"
)
orphan_maker = (
    "import subprocess, sys;"
    "subprocess.Popen([sys.executable, '-c', sys.argv[2], sys.argv[1]], start_new_session=True)"
)
subprocess.Popen([sys.executable, "-c", deaf, folder], start_new_session=True)
subprocess.run([sys.executable, "-c", orphan_maker, folder, deaf], start_new_session=True)
while len(os.listdir(folder)) < 2:
    time.sleep(0.02)
open(os.path.join(folder, str(os.getpid())), "w").close()
time.sleep(float(sys.argv[2]))
"""


def supervise(
    *command: str, parent: int | None = None, grace: float = 0.5, rest: float | None = None
) -> subprocess.Popen:
    options = ["--grace", str(grace)] + (["--parent", str(parent)] if parent else [])
    options += ["--rest", str(rest)] if rest is not None else []
    return subprocess.Popen(
        [sys.executable, "-m", "infra.supervisor", *options, "--", *command],
        cwd=ROOT,
        start_new_session=True,
    )


def wait_until(condition, seconds: float = 300):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return value


def started(folder: Path, count: int) -> list[int]:
    return wait_until(
        lambda: len(found := [int(p.name) for p in folder.iterdir()]) == count and found
    )


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def pids(tmp_path):
    folder = tmp_path / "pids"
    folder.mkdir()
    yield folder
    for path in folder.iterdir():  # only when a test failed is there anything to end
        if not is_gone(int(path.name)):
            os.kill(int(path.name), signal.SIGKILL)


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("pass", 0),
        ("import sys; sys.exit(3)", 3),
        ("import os; os.kill(os.getpid(), 9)", 137),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", 143),
    ],
)
def test_the_exit_code_is_the_commands(program, code):
    assert supervise(sys.executable, "-c", program).wait(timeout=300) == code


@pytest.mark.parametrize("given", [{"grace": 0.5}, {"grace": 600, "rest": 0.5}])
def test_what_the_command_leaves_behind_is_ended(given, pids):
    supervisor = supervise(sys.executable, "-c", TREE, str(pids), "0", **given)
    children = started(pids, 3)
    assert supervisor.wait(timeout=300) == 0
    assert all(is_gone(pid) for pid in children)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_whole_tree(pids, number):
    supervisor = supervise(sys.executable, "-c", TREE, str(pids), "600")
    children = started(pids, 3)
    supervisor.send_signal(number)
    assert supervisor.wait(timeout=300) == 128 + number
    assert all(is_gone(pid) for pid in children)


def test_a_signal_that_is_sent_many_times_ends_it_once_and_cleanly(pids):
    supervisor = supervise(sys.executable, "-c", TREE, str(pids), "600")
    children = started(pids, 3)
    for _ in range(20):
        supervisor.send_signal(signal.SIGTERM)
        supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(timeout=300) in (128 + signal.SIGTERM, 128 + signal.SIGINT)
    assert all(is_gone(pid) for pid in children)


def test_the_tree_ends_when_the_parent_is_killed(pids):
    program = """
import os, subprocess, sys, time
command = [sys.executable, "-m", "infra.supervisor", "--grace", "0.5", "--parent", str(os.getpid())]
subprocess.Popen([*command, "--", *sys.argv[1:]], start_new_session=True)
time.sleep(600)
"""
    tree = [sys.executable, "-c", TREE, str(pids), "600"]
    parent = subprocess.Popen([sys.executable, "-c", program, *tree], cwd=ROOT)
    children = started(pids, 3)
    parent.kill()
    parent.wait(timeout=300)
    wait_until(lambda: all(is_gone(pid) for pid in children))


def test_orphans_that_end_are_reaped_while_the_command_goes_on(pids):
    program = """
import os, subprocess, sys, time
orphan = "import os, sys; open(f'{sys.argv[1]}/{os.getpid()}', 'w').close()"
maker = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', *sys.argv[1:]])"
subprocess.run([sys.executable, "-c", maker, orphan, sys.argv[1]])
time.sleep(600)
"""
    supervisor = supervise(sys.executable, "-c", program, str(pids))
    (orphan,) = started(pids, 1)
    wait_until(lambda: not psutil.pid_exists(orphan))
    assert supervisor.poll() is None
    supervisor.terminate()
    assert supervisor.wait(timeout=300) == 128 + signal.SIGTERM


def test_it_does_not_start_when_its_parent_is_already_gone(pids):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(timeout=300)
    supervisor = supervise(sys.executable, "-c", TREE, str(pids), "600", parent=gone.pid)
    assert supervisor.wait(timeout=300) == 128 + signal.SIGTERM
    assert list(pids.iterdir()) == []


def test_the_command_hears_of_it_when_the_supervisor_itself_is_killed(pids):
    program = (
        "import os, sys, time; open(f'{sys.argv[1]}/{os.getpid()}', 'w').close(); time.sleep(600)"
    )
    supervisor = supervise(sys.executable, "-c", program, str(pids))
    (child,) = started(pids, 1)
    supervisor.kill()
    supervisor.wait(timeout=300)
    wait_until(lambda: is_gone(child))


def test_a_process_that_heeds_the_signal_has_its_grace(pids, tmp_path):
    program = """
import os, pathlib, signal, sys, time
def save(*_):
    time.sleep(1)
    pathlib.Path(sys.argv[2]).write_text("saved")
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
open(f"{sys.argv[1]}/{os.getpid()}", "w").close()
time.sleep(600)
"""
    saved = tmp_path / "saved"
    supervisor = supervise(sys.executable, "-c", program, str(pids), str(saved), grace=30)
    started(pids, 1)
    supervisor.terminate()
    supervisor.wait(timeout=300)
    assert saved.read_text() == "saved"
