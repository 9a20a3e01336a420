"""Whole stages on a real Ray: on two nodes that share only a store, killed, cancelled, gone on."""

import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contracts.errors import PreflightError
from contracts.job import Job
from drills.disturbed import Stage, StageName, Watcher, new_recipe
from infra.names import chunks_key
from infra.settings import Settings
from tasks.keys import shards_key
from tasks.placement import check_clusters
from tests.noisy import LINES_PER_RESPONSE
from tests.ray_cluster import PRIVATE, RayCluster, ray_cluster
from training.recipe.curation import STEPS
from training.recipe.recipe import Recipe, parse_recipe
from training.stage import run

pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
NUM_SFT_STEPS, NUM_RL_STEPS = 40, 12  # a cancellation comes some steps late on a quick machine
NUM_SHARDS = 40  # of rows, of a source each: most are left where a kill comes seconds late
LAUNCHERS = ("infra.supervisor", "infra.torchrun")
HF_TOKEN = "a token that no node needs"


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    # Ray's sockets lie in it: its name must be short.
    with (
        tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder,
        ray_cluster(Path(folder)) as cluster,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in cluster.environment.items():
            patch.setenv(name, value)
        yield cluster


def recipe(name: StageName, **hardware: object) -> Recipe:
    """A small recipe on some hardware; its RL says much, and saves only when it is told to stop."""
    values = new_recipe(name).model_dump(mode="json")
    values["hardware"] |= hardware
    values["stages"][0]["epochs"] = NUM_SFT_STEPS * 4 / 32
    values["stages"][1] |= {
        "num_steps": NUM_RL_STEPS,
        "rewards": [{"kind": "custom", "function": "tests.noisy:reward"}],
    }
    if name == "multimodal_rl":
        values["checkpoints"]["every_steps"] = 1000
    return parse_recipe(values, where="tests")


def on_two_nodes(cluster: RayCluster) -> dict[str, object]:
    return {"executor": "ray", "address": cluster.address, "nodes": 2, "num_processes": 1}


class Display(Watcher):
    """Acts on a step, and on a retry."""

    def __init__(self, on_step: Callable[[int], None], on_retry: Callable[[], None]) -> None:
        super().__init__(on_step)
        self._on_retry = on_retry

    def show_retry(self, title: str, why: str) -> None:
        super().show_retry(title, why)
        self._on_retry()


@pytest.mark.fault(
    "a node of a stage dies",
    "all its processes end; the stage is tried again from its newest checkpoint; same bytes",
)
def test_a_stage_outlives_a_node_and_ends_with_the_bytes_of_two_local_processes(cluster, tmp_path):
    local = recipe("cold_start", num_processes=2)
    here = Stage(tmp_path / "here", str(tmp_path / "store-here"), recipe=local)
    expected = here.weights(here.make())

    asked = recipe("cold_start", **on_two_nodes(cluster), retries=1)
    stage = Stage(tmp_path / "there", str(tmp_path / "store"), recipe=asked)
    assert stage.key == here.key
    killed_after = list[int]()

    def kill_once(step: int) -> None:
        if not killed_after and (steps := stage.store.steps(stage.key)):
            killed_after.append(steps[-1])
            cluster.kill()

    def replace() -> None:
        wait_until(lambda: not cluster.ranks())  # those on the dead node end by themselves
        cluster.add()

    display = Display(kill_once, replace)
    assert stage.weights(stage.make(display)) == expected
    assert len(killed_after) == 1
    (retry,) = [said for said in display.said if said.startswith("Retry 1 of 1 of cold_start")]
    assert "node 1 is lost" in retry or "node 0 is lost" in retry
    (resumed,) = [line for line in display.lines if "Resumed after step" in line]
    assert int(resumed.split("step ")[1].split(",")[0]) >= killed_after[0]
    assert "saved by 2 rank(s)" in resumed
    assert stage.store.steps(stage.key) == []
    # Nodes fetch by themselves, and leave nothing: but for the one that was killed.
    assert not list((tmp_path / "there").glob("home/cache/*"))
    for home in ("home-0", "home-2"):
        assert list((cluster.folder / home).glob("cache/*"))
        assert not list((cluster.folder / home).glob("work/*/*-node-*"))


class Cancelled(BaseException):
    """What ends a task in the middle, as a cancelled flow does."""


@pytest.mark.fault(
    "a run is cancelled whose stage is on two nodes",
    "both nodes save the last step, the checkpoint is stored, every process ends",
)
def test_rl_that_is_cancelled_on_two_nodes_goes_on_to_the_same_bytes(
    cluster, tmp_path, monkeypatch
):
    local = recipe("multimodal_rl", num_processes=2)
    here = Stage(tmp_path / "here", str(tmp_path / "store-here"), "multimodal_rl", recipe=local)
    alone = Watcher()
    expected = here.weights(here.make(alone))

    monkeypatch.setenv("HF_TOKEN", HF_TOKEN)
    asked = recipe("multimodal_rl", **on_two_nodes(cluster))
    stage = Stage(tmp_path / "there", str(tmp_path / "store"), "multimodal_rl", recipe=asked)
    assert stage.key == here.key

    def cancel(step: int) -> None:
        if step == 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        stage.make(Watcher(cancel))
    assert cluster.ranks() == []
    (saved,) = stage.store.steps(stage.key)
    assert 1 <= saved < NUM_RL_STEPS

    display = Watcher()
    assert stage.weights(stage.make(display)) == expected
    assert f"node 0: Resumed after step {saved}, saved by 2 rank(s)" in display.lines
    assert display.steps == alone.steps == list(range(1, NUM_RL_STEPS + 1))
    # No line of any node is lost, nor comes twice: each rank counts its own.
    num_lines = (NUM_RL_STEPS - saved) * 4 * LINES_PER_RESPONSE
    for node in range(2):
        found = [
            re.fullmatch(rf"node {node}: noise of rank {node}: (\d+)", line)
            for line in display.lines
        ]
        assert [int(one[1]) for one in found if one] == list(range(num_lines))
    assert not holding(cluster.folder, PRIVATE) and not holding(cluster.folder, HF_TOKEN)


def in_this_process(job: Job, *_: object, **__: object) -> None:
    """An executor without processes of its own."""
    (job.output.parent / "log.txt").touch()
    run(job)


def many_shards(**hardware: object) -> Recipe:
    """A curation of as many shards as sources, each of which takes a while on several nodes."""
    values = recipe("curate", **hardware).model_dump(mode="json")
    values["curation"] |= {
        "samples_per_problem": 1,
        "max_response_tokens": 16,
        "steps": [STEPS[0], "tests.unhurried:rule", *STEPS[1:]],
    }
    values["sources"] += [
        values["sources"][0] | {"name": f"more-{number}", "num_problems": 4}
        for number in range(NUM_SHARDS - len(values["sources"]))
    ]
    return parse_recipe(values, where="tests")


def shares(display: Watcher) -> list[int]:
    """How many shards were looked through before, and by each of two nodes in this attempt."""
    told = (
        rf"node 0: rows: {NUM_SHARDS} shards, of which (\d+) were looked through before; "
        r"node 0 took (\d+), node 1 took (\d+)"
    )
    (found,) = [one for line in display.lines if (one := re.fullmatch(told, line))]
    return [int(number) for number in found.groups()]


def stored_shards(stage: Stage) -> list[str]:
    """Names of what was found in shards, as often as it is in the store."""
    key = shards_key(stage.recipe, stage.made_of)
    assert key is not None
    stored = stage.store.history(chunks_key(key))
    return [file.path for one in stored for file in stage.store.manifest(one).files]


class Shards(Display):
    """Acts once in each attempt, when both nodes are at their second shard; the last runs through.

    Attributes:
        attempts: The sources whose shards were begun in each.
        num_begun: How many of them in the last one, by node.
    """

    def __init__(self, *acts: Callable[[], None], on_retry: Callable[[], None]) -> None:
        super().__init__(lambda step: None, on_retry)
        self._acts = dict(enumerate(acts))
        self.num_begun = [0, 0]
        self.attempts = [list[str]()]

    def show_line(self, line: str) -> None:
        super().show_line(line)
        if found := re.fullmatch(r"node ([01]): looks at (.+)", line):
            self.attempts[-1].append(found[2])
            self.num_begun[int(found[1])] += 1
            attempt = len(self.attempts) - 1
            if min(self.num_begun) >= 2 and attempt in self._acts:
                self._acts.pop(attempt)()

    def show_retry(self, title: str, why: str) -> None:
        self.num_begun = [0, 0]
        self.attempts.append([])
        super().show_retry(title, why)


@pytest.mark.fault(
    "a worker, and then a node, dies while shards of rows are looked through",
    "the curation is tried again and goes on at the missing shards; same bytes",
)
def test_every_shard_is_done_once_whoever_dies_meanwhile(cluster, tmp_path):
    """The shards lie on the first node's disk: the other has copies of those that it takes."""
    alone = Stage(tmp_path / "here", str(tmp_path / "store-here"), "curate", recipe=many_shards())
    expected = alone.make(execute=in_this_process).sha256

    asked = many_shards(**on_two_nodes(cluster), retries=2)
    stage = Stage(tmp_path / "there", str(tmp_path / "store"), "curate", recipe=asked)

    def kill_worker() -> None:
        """That of the first node, which serves the other."""
        commands = {rank: " ".join(rank.cmdline()) for rank in cluster.ranks()}
        (worker,) = [
            rank
            for rank, command in commands.items()
            if "curate-node-0-" in command and not any(one in command for one in LAUNCHERS)
        ]
        worker.kill()

    def replace() -> None:
        wait_until(lambda: not cluster.ranks())
        if len(display.attempts) == 3:
            cluster.add()

    display = Shards(kill_worker, cluster.kill, on_retry=replace)
    assert stage.make(display).sha256 == expected
    first, second = [said for said in display.said if said.startswith("Retry")]
    assert first.startswith("Retry 1 of 2 of curate") and "SIGKILL" in first
    # The count begins anew where a shard was uploaded between the two.
    again = ("Retry 1 of 2 of curate", "Retry 2 of 2 of curate")
    assert second.startswith(again) and "SIGKILL" in second
    # The end of that log is Ray's own state.
    assert any(re.match("node [01] is lost", line) for line in display.lines)
    told = r"(\d+) shards of rows were looked through before"
    known = [int(found[1]) for said in display.said if (found := re.fullmatch(told, said))]
    num_known, here, there = shares(display)
    assert 2 <= known[0] < known[1] == num_known < NUM_SHARDS == here + there
    assert all(len(begun) == len(set(begun)) for begun in display.attempts)
    assert len(display.attempts[-1]) == NUM_SHARDS - num_known
    stored = stored_shards(stage)
    assert len(stored) == len(set(stored)) == NUM_SHARDS


def holding(folder: Path, secret: str) -> list[Path]:
    """Files that hold a secret, Ray's logs and records among them."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert any("session" in str(path) for path in files)
    return [path for path in files if secret.encode() in path.read_bytes()]


def test_a_cluster_shows_before_a_run_that_it_has_the_nodes_and_the_store(cluster, tmp_path):
    settings = Settings(home=tmp_path, store_uri=str(tmp_path / "store"), port=1)
    asked = recipe("cold_start", **on_two_nodes(cluster))
    check_clusters(asked, asked.stage_names, settings)
    more = recipe("cold_start", **on_two_nodes(cluster) | {"nodes": 3})
    with pytest.raises(PreflightError, match="2 node") as caught:
        check_clusters(more, ["cold_start"], settings)
    assert "hardware.nodes = 3" in caught.value.where


@pytest.mark.fault("a Ray cluster that is not there", "one clear error before the run starts")
def test_a_cluster_that_nobody_serves_is_named(free_port, tmp_path):
    settings = Settings(home=tmp_path, store_uri=str(tmp_path / "store"), port=1)
    address = f"127.0.0.1:{free_port}"
    asked = recipe("cold_start", executor="ray", address=address)
    with pytest.raises(PreflightError, match="cannot be joined") as caught:
        check_clusters(asked, ["cold_start"], settings)
    assert f"hardware.address = {address}" in caught.value.where


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
