"""Gates of runs in a local Prefect server: one stops its run, one stops RL, one asks a person."""

import re
import subprocess
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest

from flows.watch import start_run
from infra.access import api_client
from infra.settings import CURATION, DEPLOYMENT
from tests.browser import CHROMIUM
from tests.flows.form import answer_in_the_browser
from tests.flows.observed import (
    ended,
    is_paused,
    opened_links,
    retry,
    saved_steps,
    supervisor,
    wait_for_run,
    wait_for_the_end_of_processes,
)
from tests.flows.outcomes import GATES, ended_steps, of_run, run_record
from training.recipe.curation import STEPS

CURATION_STEPS = [
    *("sources", *STEPS, "pass rate by the base"),
    *("traces", "embeddings", "topics", "selection", "sets"),
]
# Generous: a machine that trains beside the tests starts processes slowly.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def services(tmp_path_factory, started_services):
    with started_services(tmp_path_factory.mktemp("gates") / "home") as services:
        yield services


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
    steps = ended_steps(services, UUID(run_id), len(CURATION_STEPS))
    assert list(steps) == CURATION_STEPS
    assert all(state.name == "Completed" for state in steps.values())
    told = {name: state.message for name, state in steps.items()}
    assert told["sources"] == "32 rows in, 32 left; none rejected"
    rows = [re.match(r"(\d+) rows in, (\d+|all) left", told[name]) for name in CURATION_STEPS[:-1]]
    for (num_in, left), (num_next, _) in pairwise(row.groups() for row in rows):
        assert num_next == (num_in if left == "all" else left)
    assert re.search(r"cold_start 8, 0 fewer .*; 32 rows came in$", told["sets"])
    (reused,) = ended_steps(services, alone, 1).items()
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

    def asked_again() -> None:
        """Whoever has thought again retries the run."""
        assert retry(services, run_id, lambda run: run.state.is_paused()).name == "Suspended"
        wait_for_the_end_of_processes(supervisor(services, "worker"), "prefect.engine")

    if CHROMIUM is not None:
        asked_again()
        why = "too few families for us"
        answer_in_the_browser(services, run_id, "refuse", why, tmp_path / "refusing")
        state = ended(services, run_id)
        assert state.is_failed() and f"was refused: {why}." in state.message
        record = run_record(services)
        assert [gate["decision"]["reason"] for gate in record["gates"]] == [why]
        assert why in (services.settings.reports / record["name"] / "report.html").read_text()
        refused = services.cli("lineage", record["name"]).stdout
        assert f"gate curation: refused by a person ({why})" in refused

    asked_again()
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
    if CHROMIUM is None:
        pytest.skip("released by the command line alone: Chromium is not installed")
