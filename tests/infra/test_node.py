"""One node's part of a stage, in a process of its own; tests/tasks/test_ray.py has whole stages."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from contracts.job import Outcome
from infra import killed
from infra.alive import is_held
from infra.cluster import node as node_module
from infra.cluster.node import Node
from infra.cluster.reach import reached_from_here
from infra.cluster.records import End, NodesTask, Placement
from infra.cluster.sources import module_digests, sources_digest
from infra.killed import Ranks
from infra.launcher import new_job

# What would be the stage sleeps; the driver is heard until it says so.
PROGRAM = """
import math, sys, time
from infra.cluster import node as module

module.SILENCE_SECONDS, module.WATCH_SECONDS = math.inf, 0.05
module.stage_command = lambda *_: [sys.executable, "-c", "import time; time.sleep(600)"]
node = module.Node(0, sys.stdin.readline())
assert [node.open(), node.prepare(), node.start("127.0.0.1")] == ["", "", ""]
print("at work", flush=True)
sys.stdin.readline()
module.SILENCE_SECONDS = 0.0
time.sleep(600)
"""


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("REVISUAL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def asked(tmp_path: Path, nodes: int = 1, **code: object) -> str:
    placement = Placement(
        field="hardware",
        address="127.0.0.1:1",
        nodes=nodes,
        cpus=1,
        gpus=0,
        needs_gpus=False,
        timeout_seconds=1.0,
        store=str(tmp_path / "store"),
    )
    return NodesTask(
        placement=placement,
        job=new_job("cold_start", {}, {}, tmp_path / "driver", verdict_code="c" * 64),
        recipe="{}",
        run="able-ant",
        inputs={},
        resume=None,
        **{"code": sources_digest(), "modules": {}, **code},
        num_processes=1,
        threads_per_process=1,
        grace_seconds=5.0,
        variables=(),
    ).model_dump_json()


def test_a_node_whose_driver_falls_silent_leaves_nothing(home, tmp_path):
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        process.stdin.write(asked(tmp_path) + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "at work\n"
        work = home / "work" / "able-ant"
        assert is_held(work)
        assert len(list(work.glob("cold_start-node-0-*"))) == 1
        below = psutil.Process(process.pid).children(recursive=True)
        assert any("time.sleep(600)" in " ".join(child.cmdline()) for child in below)
        process.stdin.write("silence\n")
        process.stdin.flush()
        assert process.wait(timeout=120) == 137
    assert psutil.wait_procs(below, timeout=120)[1] == []
    assert not list(work.glob("*-node-*")) and not is_held(work)


def test_a_node_that_is_closed_leaves_nothing_however_often(home, tmp_path):
    node = Node(0, asked(tmp_path))
    assert [node.open(), node.prepare()] == ["", ""]
    assert list(home.glob("work/able-ant/cold_start-node-0-*/recipe.json"))
    assert node._job.verdict_code == "c" * 64  # an evaluation there names its code, too
    for _ in range(2):
        node.close()
        assert not list(home.glob("work/able-ant/*-node-*"))
    Node(1, asked(tmp_path / "other")).close()  # of a stage whose first node broke a rule


def test_a_node_that_was_done_when_it_was_told_to_stop_is_done(home, tmp_path, monkeypatch):
    program = """
import os, pathlib, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
os.kill(os.getppid(), signal.SIGTERM)
signal.sigwait([signal.SIGTERM])
pathlib.Path(sys.argv[1]).with_name("outcome.json").write_text('{"status": "done"}')
"""
    command = [sys.executable, "-c", program]
    monkeypatch.setattr(node_module, "stage_command", lambda job, *_: [*command, str(job)])
    node = Node(0, asked(tmp_path))
    assert [node.open(), node.prepare(), node.start("127.0.0.1")] == ["", "", ""]
    deadline = time.monotonic() + 120
    while (end := node.report(0, 0).end) is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    node.close()
    assert end == End(code=0, outcome=Outcome(status="done"))


def test_a_node_answers_while_it_makes_the_plan_beside_a_kill_and_makes_one(
    home, tmp_path, monkeypatch
):
    asked_for, goes_on = tmp_path / "asked", tmp_path / "goes-on"
    (tmp_path / "slow_plan.py").write_text(f"""
import pathlib, time
with open({str(asked_for)!r}, "a") as file:
    print("once", file=file)
while not pathlib.Path({str(goes_on)!r}).exists():
    time.sleep(0.05)
print("its figures")
""")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    monkeypatch.setattr(killed, "PLAN_MODULE", "slow_plan")
    vmstat = tmp_path / "proc/vmstat"
    vmstat.parent.mkdir()
    vmstat.write_text("oom_kill 0\n")
    program = f"import os; open({str(vmstat)!r}, 'w').write('oom_kill 1'); os.kill(os.getpid(), 9)"
    monkeypatch.setattr(node_module, "stage_command", lambda *_: [sys.executable, "-c", program])
    monkeypatch.setattr(node_module, "Ranks", lambda job: Ranks(job, tmp_path))
    node = Node(0, asked(tmp_path))
    assert [node.open(), node.prepare(), node.start("127.0.0.1")] == ["", "", ""]
    while not asked_for.exists():
        assert node.report(0, 0).end is None
        time.sleep(0.05)
    assert node.report(0, 0).end is None
    goes_on.touch()
    while (end := node.report(0, 0).end) is None:
        time.sleep(0.05)
    assert node.report(0, 0).end == end
    node.close()
    assert end.code == 137 and end.outcome.status == "refused"
    assert "OOM killer" in end.outcome.message and "planned: its figures" in end.outcome.message
    assert asked_for.read_text() == "once\n"


def test_what_is_wrong_on_a_node_is_told_as_a_rule_and_not_as_its_death(
    home, tmp_path, monkeypatch
):
    """Its interface, its disk and its environment: who is killed is tried again, in vain."""
    node = Node(0, asked(tmp_path, nodes=2))
    assert [node.open(), node.prepare()] == ["", ""]
    told = node.start("192.0.2.1")  # reserved for documentation
    assert told.startswith("PreflightError: No network interface") and "--node-ip-address" in told
    assert "FileExistsError" in node.prepare()
    node.close()

    monkeypatch.setenv("REVISUAL_HOME", str(tmp_path / "file"))
    (tmp_path / "file").touch()
    assert "node 0, " in Node(0, asked(tmp_path / "other")).open()
    monkeypatch.setenv("REVISUAL_PORT", "no port")
    told = Node(0, asked(tmp_path / "third")).open()
    assert told.startswith("SettingsError: REVISUAL_PORT is 'no port'")
    assert "REVISUAL_PORT" in reached_from_here(str(tmp_path / "store"), "probes/x", 0)


@pytest.fixture
def own(tmp_path, monkeypatch) -> Path:
    """A package beside the project."""
    folder = tmp_path / "beside" / "own_of_node"
    folder.mkdir(parents=True)
    monkeypatch.syspath_prepend(folder.parent)
    (folder / "__init__.py").touch()
    (folder / "words.py").write_text("SHORT = 3")
    (folder / "rules.py").write_text("from own_of_node import words")
    return folder


def test_a_node_with_another_copy_of_a_users_module_is_named(home, own, tmp_path):
    digests = module_digests(["own_of_node", "own_of_node.rules", "own_of_node.words"])
    assert digests["own_of_node.words"] == hashlib.sha256(b"SHORT = 3").hexdigest()

    def told(name: str, **code: object) -> str:
        node = Node(1, asked(tmp_path / name, nodes=2, **code))
        assert node.open() == ""
        said = node.prepare()
        node.close()
        return said

    assert told("same", modules=digests) == ""
    (own / "words.py").write_text("SHORT = 4")
    said = told("other", modules=digests)
    assert said.startswith("PreflightError: This node has another module own_of_node.words than")
    assert f"node 1, {os.uname().nodename}: its digest is " in said
    assert f"the run's is {digests['own_of_node.words'][:12]}" in said
    assert "install the run's own_of_node on this machine" in said
    (own / "words.py").unlink()
    assert f"node 1, {os.uname().nodename}: there is none" in told("none", modules=digests)
    said = told("older", code="0" * 64, modules=digests)
    assert "This node has other code than the run." in said and "the run's 000000000000" in said
    assert "own_of_node" not in sys.modules  # nobody's code runs for that
