"""Stages on another worker: two real ones, whose homes share nothing but the store.

The run's worker is that of `make up`; the pool `gpu` is served by `revisual worker gpu`, started as
on another machine, with the server's address and credential in its environment.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import psutil
import pytest
from prefect.client.schemas.filters import FlowFilter, FlowFilterName, LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import FlowRun, WorkPoolStatus
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from contracts.errors import PreflightError
from contracts.run_record import StageRecord
from drills.disturbed import Watcher
from flows.watch import start_run
from infra.access import api_client, credential
from tasks.keys import ingredients, input_digests
from tasks.make import make_artifact
from tasks.pools import check_pools
from tasks.run import Run
from tests.flows.conftest import ROOT, Services
from tests.flows.observed import cancel, ended, saved_steps, supervisor, with_command
from training.recipe.recipe import load_recipe

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
fault = pytest.mark.fault
HERE = "{ threads_per_process = 1 }"
THERE = '{ threads_per_process = 1, stages = { cold_start = { pool = "gpu" } } }'


@pytest.fixture(scope="module")
def services(tmp_path_factory, started_services):
    home = tmp_path_factory.mktemp("run") / "home"
    with started_services(home, REVISUAL_STORE_SHARED="1") as services:
        yield services


@pytest.fixture(scope="module")
def other_home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("gpu") / "home"


def is_served(services: Services) -> bool:
    with api_client(services.settings) as client:
        pools = {pool.name: pool.status for pool in client.read_work_pools()}
    return pools.get("gpu") is WorkPoolStatus.READY


@contextmanager
def worker(services: Services, home: Path) -> Iterator[psutil.Process]:
    """The other machine's worker, under its supervisor."""
    environment = services.environment | {
        "REVISUAL_HOME": str(home),
        "REVISUAL_STORE": services.settings.store_uri,
        "PREFECT_API_URL": services.settings.api_url,
        "PREFECT_API_AUTH_STRING": credential(services.settings),
    }
    command = [sys.executable, "-m", "flows.cli", "worker", "gpu"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True) as process:
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


def pooled(recipes: Path, folder: Path, name: str) -> str:
    """A recipe whose cold start runs in the pool, and saves every step."""
    text = (recipes / name).read_text()
    assert HERE in text
    path = folder / name
    path.write_text(text.replace(HERE, THERE).replace("every_steps = 1000000", "every_steps = 1"))
    return str(path)


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def wait_for_steps(services: Services, home: Path) -> None:
    """Until the stage's own process on the other side has had a step stored."""
    before = saved_steps(services)
    wait_until(lambda: saved_steps(services) - before)
    assert list(home.glob("work/*/cold_start-*"))


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


def made_here(services: Services, recipe_path: str, made: StageRecord, folder: Path) -> str:
    """Digest of what this machine makes of the same inputs."""
    recipe, store = load_recipe(Path(recipe_path)), services.settings.store()
    inputs = dict(zip(("policy", "data"), made.inputs, strict=True))
    digests = input_digests(store, recipe, made.name, inputs)
    made_of = ingredients(recipe, made.name, made.kind, digests, salt="here")
    settings = type(services.settings)(folder, services.settings.store_uri, 1)
    run = Run("0" * 8, "here", recipe, "none", settings, datetime.now(UTC))
    return make_artifact(run, store, made.kind, made_of, inputs, Watcher()).sha256


def test_a_pool_that_nobody_has_registered_is_named_before_anything_starts(
    services, recipes, tmp_path
):
    recipe = load_recipe(Path(pooled(recipes, tmp_path, "tiny.toml")))
    server = {
        PREFECT_API_URL: services.settings.api_url,
        PREFECT_API_AUTH_STRING: credential(services.settings),
    }
    with (
        temporary_settings(updates=server),
        pytest.raises(PreflightError, match="There is no pool gpu") as caught,
    ):
        check_pools(recipe)
    assert "revisual worker gpu" in caught.value.fix


@fault(
    "SIGKILL of another pool's worker while it runs a stage",
    "the run says so and asks again; another worker goes on from the checkpoint; same bytes",
)
def test_a_stage_moves_on_when_its_worker_is_killed_and_ends_with_the_same_bytes(
    services, recipes, other_home, tmp_path
):
    recipe = tmp_path / "tiny.toml"
    text = Path(pooled(recipes, tmp_path, "tiny.toml")).read_text()
    recipe.write_text(text.replace("epochs = 1\n", "epochs = 80\n"))
    with worker(services, other_home) as first:
        wait_until(lambda: is_served(services))
        run_id = start_run(services.settings, {"recipe": str(recipe)})
        wait_for_steps(services, other_home)
        tree = first.children(recursive=True)
        (killed,) = with_command(tree, "flows.pools gpu")
        killed.kill()
        _, alive = psutil.wait_procs(tree, timeout=300)
        assert alive == []
    wait_until(lambda: len(children(services)) == 2)
    lost, asked_again = children(services)
    assert lost.state.is_crashed()
    with worker(services, other_home):
        state = ended(services, asked_again.id)
    assert state.is_completed(), state.message
    diary = f"work/*-{str(run_id)[:8]}/diary/stages/cold_start.json"
    wait_until(lambda: list(services.settings.home.glob(diary)))
    cancel(services, run_id)  # what comes after is no concern of the pool

    (path,) = services.settings.home.glob(diary)
    record = StageRecord.model_validate_json(path.read_bytes())
    assert not record.reused
    assert record.artifact.sha256 == made_here(services, str(recipe), record, tmp_path / "home")
    said, there = logged(services, run_id), logged(services, asked_again.id)
    assert f"/runs/flow-run/{lost.id}" in said and f"/runs/flow-run/{asked_again.id}" in said
    assert "Retry 1 of 1 of cold_start: stage cold_start ended Crashed in the pool gpu" in said
    assert "Going on after step" in there and "Resumed after step" in there
    # The run's machine has done none of it.
    assert not list(services.settings.home.glob("work/*/cold_start-*"))


def end_by_cancelling(services: Services, run_id: UUID) -> None:
    assert cancel(services, run_id).is_cancelled()


def end_by_killing(services: Services, run_id: UUID) -> None:
    """Its process ends without a word to the other side."""
    below = supervisor(services, "worker").children(recursive=True)
    (flow,) = with_command(below, "prefect.engine")
    flow.kill()
    assert ended(services, run_id).is_crashed()


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(
            end_by_cancelling,
            marks=fault(
                "a run is cancelled whose stage is in another pool",
                "the stage is cancelled there, and every process of it ends",
            ),
        ),
        pytest.param(
            end_by_killing,
            marks=fault(
                "SIGKILL of a run's process whose stage is in another pool",
                "the stage notices within seconds, and every process of it ends",
            ),
        ),
    ],
)
def test_a_stage_elsewhere_ends_with_its_run(end, services, recipes, other_home, tmp_path):
    recipe = pooled(recipes, tmp_path, "endless.toml")
    num_before = len(children(services))
    with worker(services, other_home) as serving:
        run_id = start_run(services.settings, {"recipe": recipe})
        wait_for_steps(services, other_home)
        stage = serving.children(recursive=True)
        (worker_process,) = with_command(stage, "flows.pools gpu")
        end(services, run_id)
        *_, child = children(services)
        assert len(children(services)) == num_before + 1
        assert ended(services, child.id).is_cancelled()
        gone = [process for process in stage if process != worker_process]
        _, alive = psutil.wait_procs(gone, timeout=300)
        assert alive == []
        assert worker_process.is_running()
