"""Stages on another worker: a real server, and two workers whose homes share only the store.

The run's worker is that of `make up`; the pool `gpu` is served by `revisual worker gpu`, started as
on another machine, with the server's address and credential in its environment.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import psutil
import pytest
from prefect import flow, runtime
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterId,
    LogFilter,
    LogFilterFlowRunId,
)
from prefect.client.schemas.objects import FlowRun, State, WorkPoolStatus
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from prefect.states import Crashed, Running

from contracts.errors import PreflightError, StageError, StageLost, StagePreempted
from data_checks.gate import GateError
from drills.disturbed import Stage, Watcher, new_recipe, training_processes
from flows.full import full
from flows.watch import start_run
from infra.access import api_client, credential
from infra.settings import DEPLOYMENT, stage_deployment
from tasks import pools, requested
from tasks.display import StageDisplay
from tasks.pools import check_pools, make_elsewhere, steps_of
from tasks.steps import end_left_behind, last_as_long
from tests.flows.conftest import ROOT, Services
from tests.flows.observed import cancel, ended, saved_steps, wait_for_run, with_command
from tests.standstill import stand_still, tell
from training.recipe.recipe import Recipe

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
fault = pytest.mark.fault
THERE = {"cold_start": {"pool": "gpu"}}
METRICS = "work/*/cold_start-*/output/metrics.jsonl"


class Worker:
    """The other machine's worker, under its supervisor."""

    def __init__(self, services: Services, home: Path) -> None:
        self.home, self._services = home, services
        self._environment = services.environment | {
            "REVISUAL_HOME": str(home),
            "REVISUAL_STORE": services.settings.store_uri,
            "PREFECT_API_URL": services.settings.api_url,
            "PREFECT_API_AUTH_STRING": credential(services.settings),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, unless it runs; returns when it serves its pool."""
        if self._process is None or self._process.poll() is not None:
            command = [sys.executable, "-m", "flows.cli", "worker", "gpu"]
            self._process = subprocess.Popen(command, cwd=ROOT, env=self._environment)
        wait_until(self._is_served)

    def _is_served(self) -> bool:
        with api_client(self._services.settings) as client:
            pools = {pool.name: pool.status for pool in client.read_work_pools()}
        return pools.get("gpu") is WorkPoolStatus.READY

    def below(self) -> tuple[psutil.Process, list[psutil.Process]]:
        """The worker itself, and what runs below it."""
        assert self._process is not None
        tree = psutil.Process(self._process.pid).children(recursive=True)
        (worker,) = with_command(tree, "flows.pools gpu")
        return worker, [process for process in tree if process != worker]

    def stage(self) -> list[psutil.Process]:
        """The processes of the stage that it runs."""
        assert self._process is not None
        return training_processes(self._process.pid)

    def kill(self) -> None:
        """SIGKILL of the worker itself; nothing of it stays."""
        worker, below = self.below()
        worker.kill()
        _, alive = psutil.wait_procs([worker, *below], timeout=300)
        assert alive == []
        assert self._process is not None
        self._process.wait(timeout=300)

    def stop(self) -> None:
        """SIGTERM of its supervisor; what it runs is told, too."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=300)


@pytest.fixture(scope="module")
def services(tmp_path_factory, started_services):
    home = tmp_path_factory.mktemp("run") / "home"
    with started_services(home, REVISUAL_STORE_SHARED="1") as services:
        yield services


@pytest.fixture(scope="module")
def worker(services: Services, tmp_path_factory) -> Iterator[Worker]:
    """Not started yet."""
    worker = Worker(services, tmp_path_factory.mktemp("gpu") / "home")
    yield worker
    worker.stop()


@pytest.fixture
def at_the_server(services: Services) -> Iterator[None]:
    """This process asks the same server as a run's process does."""
    updates = {
        PREFECT_API_URL: services.settings.api_url,
        PREFECT_API_AUTH_STRING: credential(services.settings),
    }
    with temporary_settings(updates=updates):
        yield


@pytest.fixture
def asking(services: Services) -> FlowRun:
    """A flow run that is alive as far as the server knows."""
    with api_client(services.settings) as client:
        return client.create_flow_run(full, state=Running())


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def children(services: Services) -> list[FlowRun]:
    """The stages that were asked for, in order."""
    named = FlowFilter(name=FlowFilterName(any_=["revisual-stage"]))
    with api_client(services.settings) as client:
        runs = client.read_flow_runs(flow_filter=named)
    return sorted(runs, key=lambda run: run.created)


def logged(services: Services, run_id: UUID) -> str:
    of_run = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_id]))
    with api_client(services.settings) as client:
        return "\n".join(line.message for line in client.read_logs(log_filter=of_run))


class Follower(Watcher):
    """Looks on from the run's side, and may act meanwhile."""

    def __init__(self, act: Callable[[], None]) -> None:
        super().__init__()
        self.shown: list[str] = []
        self._act = act

    def show_progress(self, progress: float, description: str) -> None:
        self.shown.append(description)
        self._act()

    def show_steps(self, states: Mapping[str, State]) -> None:
        assert states == {}  # of a training stage


def test_a_pool_that_nobody_has_registered_is_named_before_anything_starts(
    services, worker, at_the_server
):
    recipe = new_recipe(stages=THERE)
    with pytest.raises(PreflightError, match="There is no pool gpu") as caught:
        check_pools(recipe)
    assert "revisual worker gpu" in caught.value.fix
    worker.start()
    assert check_pools(recipe) == []


@fault(
    "SIGKILL of another pool's worker while it runs a stage",
    "the run says so and asks again; another worker goes on from the checkpoint; same bytes",
)
@fault(
    "SIGTERM of another pool's worker while it runs a stage",
    "the last step is saved and stored before the worker ends; the run asks again, and another "
    "worker goes on from there; same bytes",
)
def test_a_stage_moves_on_when_its_worker_ends_and_ends_with_the_same_bytes(
    services, worker, asking, at_the_server, tmp_path, monkeypatch
):
    here = Stage(tmp_path / "here", str(tmp_path / "store"))
    expected = here.make().sha256

    worker.start()
    stage = Stage(tmp_path / "there", services.settings.store_uri)
    recipe = new_recipe(stages=THERE, retries=1)
    run = replace(stage.new_run(recipe), id=str(asking.id), name=asking.name)
    ends, ended_after = [worker.kill, worker.stop], [0]

    def is_stored() -> bool:
        return max(stage.store.steps(stage.key), default=0) > ended_after[-1]

    def end_it() -> None:
        if not ends:
            return
        processes = worker.stage()
        if stand_still(processes, is_stored):
            tell(processes, signal.SIGCONT)
            ends.pop(0)()
            ended_after.append(max(stage.store.steps(stage.key)))
            worker.start()

    monkeypatch.setattr(pools, "POLL_SECONDS", 0.2)  # far more often than a stage of 80 steps ends
    display = Follower(end_it)
    made = make_elsewhere(run, stage.store, stage.kind, stage.made_of, stage.inputs, display)
    assert made.sha256 == expected
    killed, told, asked_again = children(services)
    assert killed.state.is_crashed() and told.state.is_crashed()
    assert asked_again.state.is_completed()
    # What it had done when it was told was in the store before its worker ended.
    _, metrics = sorted(worker.home.glob(METRICS), key=lambda path: path.stat().st_mtime)
    assert json.loads(metrics.read_text().splitlines()[-1])["step"] == ended_after[-1]
    assert any("ended Crashed in the pool gpu" in said for said in display.said)
    assert any(said.startswith("Retry 1 of 1 of cold_start") for said in display.said)
    # Its own page has the log, and ours its address and its progress.
    for child in (killed, told, asked_again):
        assert any(f"/runs/flow-run/{child.id}" in said for said in display.said)
    assert any("step " in shown for shown in display.shown)
    there = logged(services, asked_again.id)
    assert "Going on after step" in there and "Resumed after step" in there
    assert not list((tmp_path / "there" / "home").glob("work"))


def test_a_gate_that_stops_a_stage_elsewhere_is_told_here_with_its_tables(
    services, worker, asking, at_the_server, tmp_path
):
    values = new_recipe("multimodal_rl", stages={"multimodal_rl": {"pool": "gpu"}}).model_dump(
        mode="json"
    )
    # Every step breaks this: the last of 36 is looked at by nobody here.
    values["gates"]["rollouts"] |= {"every_steps": 1, "min_response_tokens": 1000.0}
    recipe = Recipe.model_validate(values)
    stage = Stage(tmp_path, services.settings.store_uri, "multimodal_rl", recipe=recipe)
    run = replace(stage.new_run(recipe), id=str(asking.id), name=asking.name)
    worker.start()
    follower = Follower(lambda: None)
    with pytest.raises(GateError, match="steps: response length") as caught:
        make_elsewhere(run, stage.store, stage.kind, stage.made_of, stage.inputs, follower)
    checked = caught.value.checked
    assert checked.record.name == "rollouts-multimodal_rl"
    assert ("steps: response length", "step 1") in {
        (row["expectation"], row["id"]) for row in checked.rows
    }
    assert "<html" in checked.docs
    *_, child = children(services)
    assert child.state.name == "GateError"
    assert stage.store.find(stage.key) is None and stage.store.steps(stage.key)


def ended_steps(services: Services, run_id: UUID, num_steps: int) -> list[tuple[str, str, str]]:
    """Name, state and message of a flow run's steps, in order, once so many have ended."""
    of_run, deadline = FlowRunFilter(id=FlowRunFilterId(any_=[run_id])), time.monotonic() + 120
    while time.monotonic() < deadline:
        with api_client(services.settings) as client:
            found = client.read_task_runs(flow_run_filter=of_run)
        # One that is being made has no state yet, and one that was not started no time.
        have_ended = [one.state is not None and one.state.is_final() for one in found]
        if sum(have_ended) >= num_steps and all(one.start_time for one in found):
            found.sort(key=lambda one: one.start_time)
            return [(one.name, one.state.name, one.state.message) for one in found]
        time.sleep(0.2)
    raise AssertionError(found)


def test_a_stages_steps_are_tasks_of_the_flow_that_end_as_it_ends(services, at_the_server):
    @flow
    def here() -> str:
        display = StageDisplay("curate")
        for error in (StageLost("killed"), StagePreempted("told"), StageError("wrong"), None):
            with suppress(StageError), display.following():
                display.show_line("step rules: begins")
                display.show_line("step rules: ends, 3 rows in, 2 left; 1 proof")
                display.show_line("step topics: begins")
                if error is not None:
                    raise error
        return str(runtime.flow_run.id)

    @flow
    def there(asked: str) -> str:
        display = StageDisplay("curate")
        with get_client(sync_client=True) as client, display.following():
            for _ in range(2):  # what has ended is shown once
                display.show_steps(steps_of(client, UUID(asked)))
        return str(runtime.flow_run.id)

    @flow
    def killed() -> str:
        own = UUID(str(runtime.flow_run.id))
        with get_client(sync_client=True) as client:
            for name in ("curate: near duplicates", "train-cold_start"):
                client.create_task_run(last_as_long, own, name, name=name, state=Running())
        end_left_behind("curate", own)
        return str(own)

    rules = ("curate: rules", "Completed", "3 rows in, 2 left; 1 proof")
    states = ["Crashed", "Cancelled", "Failed", "Completed"]
    asked = here()
    found = ended_steps(services, UUID(asked), 8)
    assert found[::2] == [rules] * 4
    assert [(name, state) for name, state, _ in found[1::2]] == [
        ("curate: topics", state) for state in states
    ]
    assert [message for *_, message in found[1:6:2]] == [
        "the stage was killed: StageLost: killed",
        "the stage was told to stop: StagePreempted: told",
        "StageError: wrong",
    ]
    one_of_each = ended_steps(services, UUID(there(asked)), 2)
    assert one_of_each == [rules, found[-1]]
    left, train = ended_steps(services, UUID(killed()), 1)
    assert left[:2] == ("curate: near duplicates", "Crashed") and train[1] == "Running"


@fault(
    "a run is cancelled whose stage is in another pool",
    "the stage is cancelled there, and every process of it ends",
)
def test_a_stage_elsewhere_ends_with_its_run(services, worker, recipes, tmp_path):
    recipe, text = tmp_path / "endless.toml", (recipes / "endless.toml").read_text()
    hardware = '{ threads_per_process = 1, stages = { cold_start = { pool = "gpu" } } }'
    assert "{ threads_per_process = 1 }" in text
    text = text.replace("{ threads_per_process = 1 }", hardware)
    recipe.write_text(text.replace("every_steps = 1000000", "every_steps = 1"))
    worker.start()
    before = saved_steps(services)
    run_id = start_run(services.settings, DEPLOYMENT, {"recipe": str(recipe)})
    wait_until(lambda: saved_steps(services) - before)
    process, stage = worker.below()
    assert with_command(stage, "training.stage")
    assert cancel(services, run_id).is_cancelled()
    *_, child = children(services)
    assert ended(services, child.id).is_cancelled()
    _, alive = psutil.wait_procs(stage, timeout=300)
    assert alive == []
    assert process.is_running()
    assert list(worker.home.glob(f"work/*-{str(run_id)[:8]}/cold_start-*"))
    assert not list(services.settings.home.glob("work/*/cold_start-*"))


@fault(
    "a run dies without a word whose stage is in another pool",
    "once the server knows, the stage cancels itself",
)
def test_a_stage_elsewhere_notices_that_its_run_has_ended(services, worker, asking, monkeypatch):
    worker.start()
    monkeypatch.setattr(requested, "WATCH_SECONDS", 0.2)
    # A thread does not see the settings of `at_the_server`, which a run has in its environment.
    monkeypatch.setattr(requested, "get_client", lambda **_: api_client(services.settings))
    with api_client(services.settings) as client:
        deployment = client.read_deployment_by_name(stage_deployment("gpu"))
        own = client.create_flow_run_from_deployment(deployment.id, state=Running())
        with requested.ended_with(asking.id, own.id):
            time.sleep(1.0)  # several looks
            assert client.read_flow_run(own.id).state.is_running()
            client.set_flow_run_state(asking.id, Crashed(), force=True)
            wait_for_run(services, own.id, lambda run: not run.state.is_running())
        assert client.read_flow_run(own.id).state.name in ("Cancelling", "Cancelled")
