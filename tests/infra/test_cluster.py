"""What a driver makes of its nodes' answers; tests/tasks/test_ray.py has real ones."""

import json
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import PreflightError
from contracts.job import Outcome
from infra.cluster import driver as driver_module
from infra.cluster import executor
from infra.cluster.driver import Driver, NodeLost
from infra.cluster.executor import check_cluster, ray_environment, ray_folder
from infra.cluster.node import interface_of
from infra.cluster.reach import reached_store, require_one_store
from infra.cluster.records import (
    End,
    NodesTask,
    Placement,
    Report,
    Upload,
    cause,
    read_uploaded,
)
from infra.digests import FileEntry
from infra.ends import signal_of
from infra.launcher import new_job
from infra.settings import Settings

PLACEMENT = Placement(
    field="hardware",
    address="127.0.0.1:1",
    nodes=2,
    cpus=1,
    gpus=0,
    needs_gpus=False,
    timeout_seconds=1.0,
    store="/nowhere",
)
ENDS = {
    "refused": End(code=2, outcome=Outcome(status="refused", message="a rule")),
    "killed": End(code=137),
    "aborted": End(code=134, outcome=Outcome(status="lost")),
    "crashed": End(code=1, outcome=Outcome(status="crashed")),
    "silent": End(code=1),
    "lost": End(code=1, outcome=Outcome(status="lost")),
    "preempted": End(code=75, outcome=Outcome(status="preempted")),
    "stopped": End(code=143),
    "done": End(code=0, outcome=Outcome(status="done")),
}


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        (["lost", "killed"], "killed"),
        (["lost", "crashed"], "crashed"),  # the one missed the other, which failed by itself
        (["silent", "refused"], "refused"),
        (["killed", "refused"], "refused"),
        (["lost", "stopped"], "lost"),
        (["preempted", "done"], "preempted"),
        (["aborted", "crashed"], "aborted"),
        (["done", "done"], "done"),
        (["stopped", "preempted"], "stopped"),
    ],
)
def test_the_cause_of_several_ends(ends, expected):
    assert cause([ENDS[name] for name in ends]) == ENDS[expected]


@given(st.lists(st.sampled_from(sorted(ENDS)), min_size=1, max_size=6))
def test_a_stage_is_done_only_if_all_its_nodes_are(names):
    ends = [ENDS[name] for name in names]
    found = cause(ends)
    assert (found.code == 0) is (set(names) == {"done"})
    if any(signal_of(end.code) == 9 for end in ends) and "refused" not in names:
        assert signal_of(found.code) in (6, 9)


class Fakes:
    """Nodes that tell a story: in each look, so many bytes of the log and so many steps.

    Real ones cannot be made to lose a share, or to end within a line, at a wanted moment.
    """

    def __init__(self, folder: Path, logs: list[bytes], size: int, steps=((), ())) -> None:
        self.folder, self.logs, self.size, self.steps = folder, logs, size, [list(s) for s in steps]
        self.gone: set[int] = set()
        self.calls: list[tuple] = []
        self.uploads: dict[int, Upload] = {}
        self.problem = self.refusal = self.waits = ""
        self.heard = [Event() for _ in logs]

    def __len__(self) -> int:
        return len(self.logs)

    def start(self):
        self.calls.append(("start",))
        return self.refusal

    def open(self, node):
        return ""

    def ask_all(self, method, *arguments):
        return [self.ask(node, method, *arguments) for node in range(len(self))]

    def ask(self, node, method, *arguments):
        if node in self.gone:
            raise NodeLost("it is gone")
        self.calls.append((node, method, *arguments))
        return getattr(self, method)(node, *arguments)

    def prepare(self, node):
        return ""

    def take_gpus(self, node):
        return self.waits if node == 1 else ""

    def release_gpus(self, node):
        pass

    def report(self, node, log_offset, metrics_offset):
        log = self.logs[node][log_offset : log_offset + self.size]
        is_over = log_offset + len(log) == len(self.logs[node])
        return Report(
            log=log,
            meet="here:1" if node == 0 else "",
            steps=tuple(self.steps[node]),
            upload=self.uploads.get(node),
            end=End(code=0) if is_over else None,
        )

    def hear(self, node):
        self.heard[node].set()

    def meet(self, node, where):
        assert where == "here:1"

    def stop(self, node):
        self.gone.add(node)

    def take(self, node, step):
        if step not in self.steps[node]:
            return False
        self.steps[node].remove(step)
        return True

    def untake(self, node, step):
        pass

    def store_share(self, node, step, location):
        name = f"learner-{node}.safetensors"
        files = (FileEntry(path=name, size=node, sha256=f"{node}" * 64),)
        self.uploads[node] = Upload(step=step, files=files, problem=self.problem)

    def read(self, node, name, offset):
        return json.dumps({"score": 1.0}).encode() if name.endswith("state.json") else b""

    def output(self, node):
        return []


@pytest.fixture
def new_driver(tmp_path, store, monkeypatch) -> Callable[[Fakes], Driver]:
    monkeypatch.setattr(driver_module, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(driver_module, "FAREWELL_SECONDS", 0.0)

    def new(nodes: Fakes) -> Driver:
        job = new_job("cold_start", {}, {}, tmp_path / "work")
        task = NodesTask(
            placement=PLACEMENT,
            job=job,
            recipe="{}",
            run="run",
            inputs={},
            resume=None,
            code="",
            modules={},
            num_processes=1,
            threads_per_process=1,
            grace_seconds=1.0,
            variables=(),
        )
        return Driver(task, nodes, store, lambda: False)

    return new


@settings(max_examples=50, deadline=None)
@given(
    logs=st.lists(st.lists(st.binary(max_size=8), max_size=6), min_size=1, max_size=3),
    size=st.integers(1, 12),
    has_end=st.booleans(),
)
def test_every_line_of_every_node_arrives_once_and_in_order(logs, size, has_end):
    """However the bytes are cut; a last line may lack its end."""
    lines = [[line.replace(b"\n", b"") for line in log] for log in logs]
    for number, whole in enumerate(lines):
        text = b"".join(line + b"\n" for line in whole) + (b"" if has_end else b"rest")
        expected = whole if has_end else [*whole, b"rest"]
        printed: list[bytes] = []
        log = driver_module.Log(number, len(lines), printed.append)
        for start in range(0, len(text), size):
            log.write(text[start : start + size])
        log.close()
        prefix = f"node {number}: ".encode() if len(lines) > 1 else b""
        assert b"".join(printed) == b"".join(prefix + line + b"\n" for line in expected)
        assert log.num_bytes == len(text)


def test_a_checkpoint_is_handed_on_when_every_node_has_stored_its_share(new_driver, tmp_path):
    nodes = Fakes(tmp_path, [b"a\n" * 50, b"b\n" * 50], size=10, steps=([2, 3], [1, 2]))
    driver = new_driver(nodes)
    assert driver.run().code == 0
    (saved,) = (tmp_path / "work/checkpoints").glob("*")
    assert saved.name == "step-00000002"  # the newest that both have
    assert json.loads((saved / "state.json").read_text()) == {"score": 1.0}
    uploaded = read_uploaded(saved)
    assert [file.path for file in uploaded.files] == [
        "learner-0.safetensors",
        "learner-1.safetensors",
    ]
    places = {call[3] for call in nodes.calls if call[1:2] == ("store_share",)}
    assert places == {uploaded.location}
    assert (1, "meet", "here:1") in nodes.calls and (0, "meet", "here:1") not in nodes.calls


def test_a_share_that_cannot_be_stored_leaves_nothing(new_driver, store, tmp_path, capsys):
    nodes = Fakes(tmp_path, [b"a\n" * 50, b"b\n" * 50], size=10, steps=([2], [2]))
    nodes.problem = "no room"
    driver = new_driver(nodes)
    assert driver.run().code == 0
    assert not list((tmp_path / "work/checkpoints").glob("*"))
    assert "The checkpoint of step 2 could not be stored: no room" in capsys.readouterr().out


def test_the_others_are_stopped_when_a_node_is_lost(new_driver, tmp_path, capsys):
    nodes = Fakes(tmp_path, [b"a\n" * 10**6, b"b\n" * 10**6], size=2)
    driver, asked = new_driver(nodes), nodes.report

    def report(node, *offsets):
        if node == 1 and offsets[0] == 20:
            nodes.gone.add(1)
            raise NodeLost("its machine burns")
        return asked(node, *offsets)

    nodes.report = report
    assert driver.run() == End(code=137)
    assert (0, "stop") in nodes.calls
    out = capsys.readouterr().out
    assert "node 1 is lost: its machine burns" in out
    assert out.count("node 1: b\n") == 10


def test_a_rule_that_is_broken_at_the_start_of_a_node_is_told(new_driver, tmp_path):
    nodes = Fakes(tmp_path, [b"", b""], size=1)
    nodes.refusal = "PreflightError: no such interface"
    end = new_driver(nodes).run()
    assert (end.code, end.outcome.status, end.outcome.message) == (2, "refused", nodes.refusal)


@pytest.mark.parametrize("is_told", [False, True])
def test_no_node_starts_before_all_have_their_gpus(is_told, new_driver, tmp_path, capsys):
    """None keeps its own while another waits; who is told to stop meanwhile waits no longer."""
    nodes = Fakes(tmp_path, [b"", b""], size=1)
    nodes.waits = "Waits for a GPU"
    driver, take = new_driver(nodes), nodes.take_gpus

    def take_gpus(node):
        assert ("start",) not in nodes.calls
        rounds = nodes.calls.count((0, "take_gpus"))
        assert nodes.calls.count((0, "release_gpus")) == rounds - 1
        if nodes.calls.count((1, "take_gpus")) == 3:
            nodes.waits = ""
        return take(node)

    nodes.take_gpus, driver._is_told = take_gpus, lambda: is_told
    assert driver.run().code == (143 if is_told else 0)
    assert (("start",) in nodes.calls) is not is_told
    assert capsys.readouterr().out.count("Waits for a GPU") == 1


@pytest.mark.parametrize("busy", ["read", "start"])
def test_all_nodes_hear_of_a_driver_that_is_busy_with_one(busy, new_driver, tmp_path, monkeypatch):
    """However long the output of the first takes, or the start of the others."""
    monkeypatch.setattr(driver_module, "PULSE_SECONDS", 0.01)
    nodes = Fakes(tmp_path, [b"a\n", b"b\n"], size=10)
    nodes.output = lambda node: [("output/model", 1)]
    asked = getattr(nodes, busy)

    def slow(*arguments):
        for heard in nodes.heard:
            heard.clear()
        assert all(heard.wait(60) for heard in nodes.heard)
        return asked(*arguments)

    setattr(nodes, busy, slow)
    assert new_driver(nodes).run() == End(code=0)
    assert all(heard.is_set() for heard in nodes.heard)


def test_a_node_that_sees_another_store_is_named(store, tmp_path):
    """The first node shares the folder or the bucket, the second has a folder of its own."""
    same = Settings(home=tmp_path / "one", store_uri=store.root.removeprefix("file://"), port=1)
    other = Settings(home=tmp_path / "two", store_uri=str(tmp_path / "other"), port=1)

    def probe(*machines: Settings) -> Callable[[str], list[str]]:
        return lambda name: [
            reached_store(machine, name, number) for number, machine in enumerate(machines)
        ]

    require_one_store(store, ["here", "there"], probe(same, same))
    with pytest.raises(PreflightError, match="Node 1, there, does not share") as caught:
        require_one_store(store, ["here", "there"], probe(same, other))
    assert store.root in caught.value.where and "s3://" in caught.value.fix
    assert store.backend.sizes("probes") == {}


def test_the_extra_is_named_where_ray_is_not_installed(monkeypatch):
    monkeypatch.setattr(executor, "find_spec", lambda _: None)
    with pytest.raises(PreflightError, match="Ray is not installed") as caught:
        check_cluster(PLACEMENT)
    assert "revisual[ray]" in caught.value.fix


def test_a_driver_has_the_services_secrets_and_no_other():
    environment = {
        "PATH": "/bin",
        "AWS_SECRET_ACCESS_KEY": "a" * 20,
        "HF_TOKEN": "b" * 20,
        "PREFECT_API_AUTH_STRING": "revisual:something",
        "JUDGE_KEY": "c" * 20,
    }
    local = PLACEMENT.model_copy(update={"address": None})
    with ray_folder() as folder:
        own = ray_environment(local, folder, environment)
        token = Path(own["RAY_AUTH_TOKEN_PATH"])
        assert token.stat().st_mode & 0o777 == 0o600 and len(token.read_text()) == 64
        assert own.keys() >= {"PATH", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN"}
        assert own.keys().isdisjoint({"PREFECT_API_AUTH_STRING", "JUDGE_KEY"})
        assert own["RAY_USAGE_STATS_ENABLED"] == "0"
        assert "JUDGE_KEY" in ray_environment(local, folder, environment, ["JUDGE_KEY"])
        # Ray's own killer ends actors, and says nothing of memory to the stage.
        assert own["RAY_memory_monitor_refresh_ms"] == "0"
        # A cluster's token is its own, and so are its nodes' settings.
        theirs = ray_environment(PLACEMENT, folder, environment)
        assert theirs.keys().isdisjoint({"RAY_AUTH_TOKEN_PATH", "RAY_memory_monitor_refresh_ms"})
    assert not folder.exists()


def test_an_address_is_found_on_its_interface():
    assert interface_of("127.0.0.1") == "lo"
    with pytest.raises(PreflightError, match="No network interface"):
        interface_of("192.0.2.1")  # reserved for documentation
