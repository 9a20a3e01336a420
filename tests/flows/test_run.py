"""Whole runs through a real server and a real worker: finished, failed, cancelled and killed."""

import re
import subprocess
import sys
import uuid
from dataclasses import replace
from itertools import pairwise
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
from infra.settings import CURATION, DEPLOYMENT, EVALUATION
from tasks.assets import MATERIALIZED, REFERENCED
from tests.browser import CHROMIUM
from tests.flows.form import answer_in_the_browser
from tests.flows.observed import (
    cancel,
    ended,
    is_paused,
    kill_with_its_tree,
    opened_links,
    retry,
    saved_steps,
    supervisor,
    wait_for_run,
    wait_for_stage,
    wait_for_steps,
    wait_for_the_end_of_processes,
    with_command,
)
from tests.flows.outcomes import (
    ended_steps,
    num_prompts,
    of_run,
    require_assets,
    require_whole_report,
    run_record,
)
from tests.flows.planted import IN_ENVIRONMENT, require_hidden
from training.recipe.curation import STEPS

ROOT = Path(__file__).parents[2]
GATES = [
    *("curation", "checkpoint-cold_start", "checkpoint-multimodal_rl"),
    *("rollouts-multimodal_rl", "evaluation"),
]
CURATION_STEPS = [
    *("sources", *STEPS, "pass rate by the base"),
    *("traces", "embeddings", "topics", "selection", "sets"),
]
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


def test_a_broken_gate_stops_the_run_and_only_a_fresh_one_curates_again(
    services, recipes, tmp_path
):
    text = (recipes / "tiny.toml").read_text()
    strict = tmp_path / "strict.toml"
    strict.write_text(f"{text}\n[gates.curation]\nmin_families = 1000\n")
    datasets = services.settings.home / "store" / "artifacts" / "dataset"

    def num_curated() -> int:
        return len(list(datasets.glob("*/manifest.json")))

    done = services.cli("run", "--recipe", str(strict))
    assert done.returncode == 1
    assert "GateError: The gate 'curation' found" in done.stdout
    assert "train-cold_start" not in done.stdout
    made = num_curated()  # by this run, or found: the gate is no part of the curation's key

    # The same stage by itself, under another gate.
    alone = start_run(services.settings, CURATION, {"recipe": str(recipes / "tiny.toml")})
    assert ended(services, alone).is_completed()
    assert num_curated() == made
    record = run_record(services)
    assert [stage["name"] for stage in record["stages"]] == ["curate"]
    assert [gate["name"] for gate in record["gates"]] == ["curation"]
    assert (services.settings.reports / record["name"] / "datasheet.html").is_file()

    (run_id,) = re.findall(r"/runs/flow-run/([0-9a-f-]{36})", done.stdout)
    state = retry(services, UUID(run_id), lambda run: run.state.is_final())
    assert state.is_failed() or state.is_crashed()
    assert num_curated() == made

    fresh = services.cli("run", "--recipe", str(strict), "--reuse", "none")
    assert fresh.returncode == 1
    assert num_curated() == made + 1

    # Its steps are tasks, in order, and their counts add up; where it was found none ran.
    (run_id,) = re.findall(r"/runs/flow-run/([0-9a-f-]{36})", fresh.stdout)
    steps = ended_steps(services, UUID(run_id))
    assert list(steps) == CURATION_STEPS
    assert all(state.name == "Completed" for state in steps.values())
    told = {name: state.message for name, state in steps.items()}
    assert told["sources"] == "32 rows in, 32 left; none rejected"
    rows = [re.match(r"(\d+) rows in, (\d+|all) left", told[name]) for name in CURATION_STEPS[:-1]]
    for (num_in, left), (num_next, _) in pairwise(row.groups() for row in rows):
        assert num_next == (num_in if left == "all" else left)
    assert re.search(r"cold_start 8, 0 fewer .*; 32 rows came in$", told["sets"])
    (reused,) = ended_steps(services, alone).items()
    assert (reused[0], reused[1].name) == ("reused", "Cached")


def test_a_gate_stops_rl_that_trains_and_the_run_shows_what_it_saw(services, recipes, tmp_path):
    text, live = (recipes / "tiny.toml").read_text(), tmp_path / "live.toml"
    # Of 1,000 steps the first is enough: no response of four tokens has five.
    text = text.replace("num_steps = 2\n", "num_steps = 1000\n")
    live.write_text(f"{text}\n[gates.rollouts]\nevery_steps = 1\nmin_response_tokens = 5.0\n")
    before = saved_steps(services)
    run_id = start_run(services.settings, DEPLOYMENT, {"recipe": str(live)})
    state = ended(services, run_id)
    assert state.is_failed() and "The gate 'rollouts-multimodal_rl' found" in state.message
    assert "response length: expected at least 5" in state.message
    record = run_record(services)
    *passed, gate = record["gates"]
    assert [one["name"] for one in record["gates"]] == [*GATES[:2], "rollouts-multimodal_rl"]
    assert all(one["passed"] for one in passed) and not gate["passed"]
    assert [stage["name"] for stage in record["stages"]] == ["curate", "cold_start"]
    with api_client(services.settings) as client:
        shown = {one.key: one for one in client.read_artifacts(artifact_filter=of_run(run_id))}
    assert "step 1" in str(shown["gate-rollouts-multimodal-rl-rows"].data)
    links = {"report-page", "datasheet-page", "gate-curation-docs"}
    assert links < opened_links(services, shown.values())
    docs = services.settings.reports / record["name"] / "gates" / "rollouts-multimodal_rl.html"
    assert docs.is_file() and (docs.parents[1] / "report.html").is_file()
    # It has saved the step that it was in: a run with other bounds goes on from there.
    (saved,) = {Path(name).name for name in saved_steps(services) - before}
    assert 1 <= int(saved.removeprefix("step-")) < 1000


def test_a_broken_gate_may_ask_a_person(services, recipes, tmp_path):
    text, asking = (recipes / "tiny.toml").read_text(), tmp_path / "asking.toml"
    asking.write_text(f'{text}\n[gates.curation]\nmin_families = 1000\non_failure = "pause"\n')

    def decide(decision: str, reason: str) -> subprocess.CompletedProcess[str]:
        return services.cli("decide", str(run_id), decision, "--reason", reason)

    run_id = start_run(services.settings, DEPLOYMENT, {"recipe": str(asking)})
    assert wait_for_run(services, run_id, is_paused).name == "Suspended"
    wait_for_the_end_of_processes(supervisor(services, "worker"), "prefect.engine")
    assert "reason" in decide("refuse", "").stderr  # it has to be given
    assert decide("refuse", "half of it is wrong").returncode == 0
    state = ended(services, run_id)
    assert state.is_failed() and "was refused: half of it is wrong." in state.message
    record = run_record(services)
    (gate,) = record["gates"]
    assert gate["decision"]["reason"] == "half of it is wrong"
    assert (services.settings.reports / record["name"] / "gates" / "curation.html").is_file()
    assert "waits at no gate" in decide("release", "too late").stderr

    # Whoever has thought again retries the run, and is asked again.
    assert retry(services, run_id, lambda run: run.state.is_paused()).name == "Suspended"
    wait_for_the_end_of_processes(supervisor(services, "worker"), "prefect.engine")
    if CHROMIUM is None:
        assert decide("release", "a small world").returncode == 0
    else:
        said = answer_in_the_browser(services, run_id, "release", "a small world", tmp_path)
        assert "The gate curation found" in said
        assert "cold_start: families: expected at least 1000" in said
    state = ended(services, run_id)
    assert state.is_completed(), state.message
    record = run_record(services)
    assert [gate["name"] for gate in record["gates"]] == GATES
    page = (services.settings.reports / record["name"] / "report.html").read_text()
    lineage = services.cli("lineage", record["name"]).stdout
    assert "a small world" in page
    assert "gate curation: released by a person (a small world)" in lineage


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
        (stuck,) = [run for run in client.read_flow_runs() if not run.state.is_final()]
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
