"""Whole runs through a real server and a real worker: finished, failed, cancelled and killed."""

import re
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import psutil
import pytest

from flows.watch import start_run
from infra.access import api_client
from infra.automations import (
    CRASH_SILENT_RUNS,
    RESTART_CRASHED_RUNS,
    SETTLED_SECONDS,
    crash_silent_runs,
    restart_crashed_runs,
)
from infra.services import HEARTBEAT_SECONDS
from infra.settings import DEPLOYMENT, EVALUATION
from tasks.assets import MATERIALIZED, REFERENCED
from tests.flows.observed import (
    cancel,
    ended,
    kill_with_its_tree,
    saved_steps,
    supervisor,
    wait_for_run,
    wait_for_stage,
    wait_for_steps,
    with_command,
)
from tests.flows.outcomes import (
    GATES,
    num_prompts,
    require_assets,
    require_whole_report,
    run_record,
)
from tests.flows.planted import IN_ENVIRONMENT, require_hidden

ROOT = Path(__file__).parents[2]
FLOW = "import sys; from flows.full import full; full(recipe=sys.argv[1])"
# Generous: a machine that trains beside the tests starts processes slowly.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
fault = pytest.mark.fault
LEASES = "concurrency_leases/*-*.json"
CRASHED = "its stage ends too, the run is marked as crashed"


@pytest.fixture(scope="module")
def services(tmp_path_factory, started_services):
    with started_services(tmp_path_factory.mktemp("run") / "home", **IN_ENVIRONMENT) as services:
        yield services


@fault(
    "SIGKILL of the Prefect server in the middle of a run, and restart",
    "the run goes on and completes",
)
def test_a_run_outlives_its_server_and_the_next_one_reuses_its_stages(services, recipes):
    """The test on S3 compares the weights with those of a run that was left alone."""
    parameters = {"recipe": str(recipes / "tiny.toml")}
    run_id = start_run(services.settings, DEPLOYMENT, parameters)
    wait_for_steps(services, run_id)
    # The run renews its lease every few minutes; a server that had lost it would end the run.
    assert len(list(services.settings.prefect_home.glob(LEASES))) == 1
    killed = supervisor(services, "server")
    (server,) = with_command(killed.children(), "-m infra.server")
    server.kill()
    psutil.wait_procs([killed], timeout=300)
    assert services.cli("up").returncode == 0
    state = ended(services, run_id)
    assert state.is_completed(), state.message
    record = run_record(services)
    stages = ["curate", "cold_start", "multimodal_rl", "evaluate"]
    assert [stage["name"] for stage in record["stages"]] == stages
    assert not any(stage["reused"] for stage in record["stages"])
    assert [gate["name"] for gate in record["gates"]] == GATES
    report = services.settings.reports / record["name"] / "report.html"
    require_whole_report(report.read_text(), record)

    # Each stage read what the one before it wrote.
    outputs = {stage["name"]: stage["artifact"] for stage in record["stages"]}
    inputs = {stage["name"]: stage["inputs"] for stage in record["stages"]}
    base = inputs["curate"][0]
    assert inputs["cold_start"] == [base, outputs["curate"]]
    assert inputs["multimodal_rl"] == [outputs["cold_start"], outputs["curate"]]
    *policies, benchmark = inputs["evaluate"]
    assert policies == [base, outputs["cold_start"], outputs["multimodal_rl"]]
    assert len(inputs["curate"]) == 4 and inputs["curate"][-1] == benchmark  # after two sources

    # As a person would type it, in the recipe's folder.
    again = services.cli("run", "--recipe", "tiny.toml", cwd=recipes)
    assert again.returncode == 0, again.stdout + again.stderr
    require_hidden(services, [again.stdout, again.stderr])
    second = run_record(services)
    assert second["name"] != record["name"]
    written = services.settings.reports / second["name"] / "report.html"
    assert f"Report: {written}" in again.stdout
    assert f"{services.settings.ui_url}/runs/flow-run/" in again.stdout
    assert all(policy in again.stdout for policy in ("base", "cold_start", "multimodal_rl"))
    assert all(stage["reused"] for stage in second["stages"])
    assert [s["artifact"] for s in second["stages"]] == [s["artifact"] for s in record["stages"]]

    require_assets(services, MATERIALIZED, record)
    require_assets(services, REFERENCED, second)

    # The last policy by itself: the run has asked it everything already.
    tiny = str(recipes / "tiny.toml")
    alone = services.cli("evaluate", record["name"], "--recipe", tiny)
    assert alone.returncode == 0, alone.stdout + alone.stderr
    (evaluation,) = run_record(services)["stages"]
    assert evaluation["inputs"] == [outputs["multimodal_rl"], benchmark]
    # Equal answers are one artifact, whether they were asked once or twice: the logs tell.
    assert num_prompts(services, record["stages"][-1]) == 4 * len(policies)
    assert num_prompts(services, evaluation) == 0

    # From the run back to the rows of its sources.
    lineage = services.cli("lineage", record["name"])
    assert lineage.returncode == 0, lineage.stderr
    for uri in [record["stages"][-1]["artifact"]["uri"], base["uri"]]:
        assert uri in lineage.stdout
    assert "pocket_multimodal, accuracy of multimodal_rl: " in lineage.stdout
    assert re.search(r"cold_start\.parquet: 8 of words; rows \S+, ", lineage.stdout)
    assert re.search(r"rl\.parquet: \d+ of images; rows \S+, ", lineage.stdout)

    # The report comes back from the store alone.
    report.unlink()
    rendered = services.cli("report", record["name"])
    assert rendered.stdout.strip() == str(report), rendered.stderr
    assert report.is_file()
    assert services.cli("report", "no-such-run").returncode == 1


def test_on_s3_a_run_makes_the_same_weights_and_outlives_prefects_database(
    services, recipes, seaweed, tmp_path
):
    recipe = str(recipes / "tiny.toml")
    assert services.cli("run", "--recipe", recipe).returncode == 0
    local = run_record(services)

    # Another machine of the team: all they share is the store, and the server's address.
    home, uri = tmp_path / "home", f"s3://{seaweed.bucket}/{uuid.uuid4().hex}"
    team = services.environment | seaweed.environment | {"NO_PROXY": "127.0.0.1"}
    team |= {"REVISUAL_HOME": str(home), "REVISUAL_STORE": uri, "PREFECT_HOME": str(home)}
    settings = replace(services.settings, home=home, store_uri=uri)
    on_s3 = replace(
        services,
        settings=settings,
        environment=team | {"PREFECT_API_URL": services.settings.api_url},
    )
    done = on_s3.run("-c", FLOW, recipe)
    assert done.returncode == 0, done.stdout + done.stderr
    first = run_record(on_s3)
    assert not any(stage["reused"] for stage in first["stages"])
    assert all(stage["artifact"]["uri"].startswith(f"{uri}/") for stage in first["stages"])
    assert on_s3.weights(first) == services.weights(local)
    assert len(services.weights(local)) == 2
    require_assets(services, MATERIALIZED, first)

    # The server's database is lost: Prefect starts a server of its own, with an empty one.
    lost = {
        "PREFECT_HOME": str(tmp_path / "new"),
        "PREFECT_PROFILES_PATH": str(tmp_path / "new" / "profiles.toml"),
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300",
    }
    again = replace(on_s3, environment=team | lost).run("-c", FLOW, recipe)
    assert again.returncode == 0, again.stdout + again.stderr
    second = run_record(on_s3)
    assert second["name"] != first["name"]
    assert all(stage["reused"] for stage in second["stages"])
    assert [s["artifact"] for s in second["stages"]] == [s["artifact"] for s in first["stages"]]


def test_bad_input_given_by_hand_fails_the_run_with_the_message(services):
    typed = services.prefect("deployment", "run", "revisual/full", "-p", "recipe=nowhere")
    assert typed.returncode == 0, typed.stderr
    (line,) = [line for line in typed.stdout.splitlines() if "UUID" in line]
    state = ended(services, UUID(line.split()[-1]))
    assert state.name == "Failed"
    assert "RecipeError: There is no recipe nowhere." in state.message
    assert "fix:" in state.message


@fault("SIGKILL of the worker", CRASHED)
def test_killing_the_worker_ends_its_stage_and_crashes_the_run(services, recipes):
    run_id = start_run(services.settings, DEPLOYMENT, {"recipe": str(recipes / "endless.toml")})
    processes = wait_for_stage(services)
    require_hidden(services, [])
    (worker,) = with_command(processes, "-m infra.worker")
    kill_with_its_tree(worker)
    assert ended(services, run_id).is_crashed()
    assert services.cli("up").returncode == 0


@pytest.fixture
def short_automations(services):
    """Silence counts sooner, and crashed runs are started again, as long as a test lasts."""
    with api_client(services.settings) as client:
        (silent,) = client.read_automations_by_name(CRASH_SILENT_RUNS)
        (restart,) = client.read_automations_by_name(RESTART_CRASHED_RUNS)
        assert silent.trigger.within.total_seconds() == 3 * HEARTBEAT_SECONDS
        assert (silent.enabled, restart.enabled) == (True, False)
        client.update_automation(silent.id, crash_silent_runs(1.5 * HEARTBEAT_SECONDS))
        client.update_automation(restart.id, restart_crashed_runs(SETTLED_SECONDS / 2))
        client.resume_automation(restart.id)
        yield
        client.pause_automation(restart.id)


@fault("SIGKILL of the flow's process", CRASHED)
@fault(
    "the run is cancelled",
    "its stage saves its last step, or the one that has begun to update; the checkpoint is "
    "stored, every process ends",
)
@fault(
    "SIGKILL of supervisor, worker and flow at once, then of the flow alone",
    "everything ends; without heartbeats the server marks the run as crashed and, if that "
    "automation is switched on, starts it again, both times",
)
def test_killing_everything_at_once_is_noticed_and_the_run_starts_again(
    services, recipes, short_automations
):
    command = [sys.executable, "-m", "flows.cli", "run", "--recipe", str(recipes / "endless.toml")]
    typed = subprocess.Popen(
        command, cwd=ROOT, env=services.environment, stderr=subprocess.PIPE, text=True
    )
    processes = wait_for_stage(services)
    (worker,) = with_command(processes, "-m infra.worker")
    (flow,) = with_command(processes, "prefect.engine")
    # In this order nobody is left to tell the server how the run ended.
    for process in (supervisor(services, "worker"), worker, flow):
        process.kill()
    _, errors = typed.communicate(timeout=900)
    assert typed.returncode == 1
    assert "The Prefect worker died during the run." in errors
    _, alive = psutil.wait_procs(processes, timeout=300)
    assert alive == []

    with api_client(services.settings) as client:
        # The automation may have started an earlier one again, that a test before has crashed.
        stuck = max(client.read_flow_runs(), key=lambda run: run.created)
    assert not stuck.state.is_final()
    assert "No heartbeat" in ended(services, stuck.id).message
    assert services.cli("up").returncode == 0
    wait_for_run(services, stuck.id, lambda run: run.state.is_running() and run.run_count == 2)
    # Once more, and now the worker lives and says that the run has crashed.
    (flow,) = with_command(wait_for_stage(services), "prefect.engine")
    kill_with_its_tree(flow)
    wait_for_run(services, stuck.id, lambda run: run.state.is_running() and run.run_count == 3)
    before = saved_steps(services)
    processes = wait_for_steps(services, stuck.id)
    parameters = {"model": "nobody", "recipe": str(recipes / "tiny.toml")}
    waiting = start_run(services.settings, EVALUATION, parameters)
    wait_for_run(services, waiting, lambda run: run.state.name == "Late")
    worker = with_command(processes, "-m infra.worker")
    assert cancel(services, stuck.id).is_cancelled()
    _, alive = psutil.wait_procs([one for one in processes if one not in worker], timeout=300)
    assert alive == []
    assert saved_steps(services) > before
    # The next run, of another deployment, had to wait for the machine, and not for the dead one.
    assert ended(services, waiting).name == "Failed"
