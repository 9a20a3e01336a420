"""Stages on other machines, without any: what is asked for, refused, and made of how they end.

`tests/flows/test_pools.py` has real ones.
"""

import json
import uuid
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from prefect.states import Cancelled, Completed, Crashed, Failed

from contracts.artifact import Artifact
from contracts.errors import (
    PreflightError,
    ServiceError,
    SettingsError,
    StageError,
    StageLost,
    StagePreempted,
)
from contracts.job import Job
from contracts.request import StageRequest
from contracts.run_record import GateCheck, GateRecord
from data_checks.gate import GateError
from data_checks.validate import Checked
from drills.disturbed import Stage, Watcher, new_recipe
from flows.pools import require_served_here
from flows.stage import stage
from infra.cluster import executor
from infra.cluster.records import NodesTask
from infra.launcher import Resources
from infra.settings import Settings, load_settings
from infra.store import Store
from infra.worker import FLOWS, STAGE_FLOW, STEPS, entrypoint_of
from tasks import requested
from tasks.pools import (
    check_store_is_shared,
    pools_of,
    raise_for,
    raise_what_a_gate_saw,
)
from tasks.requested import make_and_enter
from training.recipe.recipe import parse_recipe

POOLED = new_recipe(stages={"cold_start": {"pool": "gpu"}})


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (Failed(name="StageError", message="why"), StageError),
        (Failed(name="StageLost", message="why"), StageLost),
        (Failed(name="StagePreempted", message="why"), StagePreempted),
        (Failed(message="why"), StageError),
        (Failed(name="KeyError", message="why"), StageError),
        (Crashed(message="why"), StageLost),
        (Cancelled(message="why"), StagePreempted),
    ],
)
def test_a_stage_elsewhere_ends_in_the_kind_of_error_that_it_had(state, kind):
    with pytest.raises(
        StageError, match=r"stage cold_start ended .* in the pool gpu: why"
    ) as caught:
        raise_for(state, "cold_start", "gpu")
    assert type(caught.value) is kind


def test_a_stage_that_completed_elsewhere_raises_nothing():
    raise_for(Completed(), "cold_start", "gpu")


def test_a_folder_that_nobody_shares_is_refused_for_a_pool(tmp_path):
    here = Settings(tmp_path, str(tmp_path / "store"), 4200)
    assert pools_of(POOLED) == {"cold_start": "gpu"}
    assert pools_of(POOLED, ["curate"]) == {}
    check_store_is_shared(POOLED, here, ["curate"])
    with pytest.raises(PreflightError, match="cold_start runs in the pool gpu") as caught:
        check_store_is_shared(POOLED, here)
    assert "REVISUAL_STORE_SHARED=1" in caught.value.fix
    check_store_is_shared(POOLED, replace(here, has_shared_folder=True))
    check_store_is_shared(POOLED, replace(here, store_uri="s3://bucket/store"))
    check_store_is_shared(new_recipe(), here)


def test_whether_a_folder_is_shared_is_yes_or_no(monkeypatch):
    for text, expected in (("1", True), ("0", False), ("", False)):
        monkeypatch.setenv("REVISUAL_STORE_SHARED", text)
        assert load_settings().has_shared_folder is expected
    monkeypatch.setenv("REVISUAL_STORE_SHARED", "true")
    with pytest.raises(SettingsError, match="REVISUAL_STORE_SHARED is 'true'"):
        load_settings()


@pytest.fixture
def request_of_a_run(tmp_path, monkeypatch) -> StageRequest:
    """For the curation of a recipe, in the store of the environment; its key is made up."""
    monkeypatch.setenv("REVISUAL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REVISUAL_STORE", str(tmp_path / "store"))
    base = Artifact(uri=f"{tmp_path}/store/artifacts/input/a", sha256="0" * 64, kind="input")
    return StageRequest(
        run_id=uuid.uuid4(),
        run="able-ant",
        created=datetime.now(UTC),
        reuse="code",
        recipe=POOLED.model_dump(mode="json"),
        stage="curate",
        kind="curate",
        inputs=(("policy", base), ("source:text", base)),
        store=str(tmp_path / "store"),
        key="f" * 64,
    )


def test_what_a_gate_saw_of_a_stage_elsewhere_is_raised_here_with_its_tables(
    request_of_a_run, tmp_path, monkeypatch
):
    check = GateCheck(name="steps: truncated", observed=1.0, expected="0", passed=False)
    record = GateRecord(name="rollouts-rl", severity="error", passed=False, checks=(check,))
    rows = ({"expectation": "steps: truncated", "id": "step 2"},)
    stopped = GateError(Checked(record, rows, "<p>page</p>"), where="step 2", fix="look")
    store, stage_run = Store(str(tmp_path / "store"), tmp_path / "cache"), uuid.uuid4()

    def make(*_: object) -> None:
        raise stopped

    monkeypatch.setattr(requested, "make_and_enter", make)
    monkeypatch.setattr(requested, "_require_same_code", lambda *_: None)
    monkeypatch.setattr(requested, "check_machine", lambda *_: None)
    monkeypatch.setattr(requested, "hold", lambda _: None)
    monkeypatch.setattr(requested, "StageDisplay", lambda _: Watcher())
    monkeypatch.setattr(requested, "ended_with", lambda *_: nullcontext())
    monkeypatch.setattr(
        requested, "runtime", SimpleNamespace(flow_run=SimpleNamespace(id=stage_run))
    )
    ended = stage.fn(request_of_a_run)
    assert (ended.name, ended.is_failed()) == ("GateError", True)
    assert "steps: truncated: expected 0, observed 1.0" in ended.message

    with pytest.raises(GateError) as caught:
        raise_what_a_gate_saw(store, stage_run, Watcher())
    assert caught.value.checked == stopped.checked and str(caught.value) == str(stopped)
    raise_what_a_gate_saw(store, uuid.uuid4(), Watcher())  # of another one nothing is known
    with pytest.raises(StageError, match="ended GateError in the pool gpu"):
        raise_for(ended, "multimodal_rl", "gpu")


def test_a_worker_with_another_store_or_other_code_makes_nothing(request_of_a_run, tmp_path):
    for request, what in [
        (request_of_a_run.model_copy(update={"store": "s3://b/other"}), "store is s3://b/other"),
        (request_of_a_run, "would make something else"),
    ]:
        ended = stage.fn(request)
        assert (ended.name, ended.is_failed()) == ("StageError", True)
        assert ended.message.startswith("PreflightError: ") and what in ended.message
        assert "fix: " in ended.message
    assert not (tmp_path / "home" / "work").exists()


def test_a_request_arrives_as_it_was_sent(request_of_a_run):
    sent = request_of_a_run.model_dump_json()
    arrived = StageRequest.model_validate_json(sent)
    assert arrived == request_of_a_run
    assert [name for name, _ in arrived.inputs] == ["policy", "source:text"]
    with pytest.raises(ValueError, match="run"):
        StageRequest.model_validate(request_of_a_run.model_dump() | {"run": "../elsewhere"})


def test_a_stage_gets_the_processes_that_are_its_own_and_trains_with_them(tmp_path):
    seen = []

    def execute(job: Job, resources: Resources, **_: object) -> None:
        values = json.loads(job.recipe.read_text())
        read = parse_recipe(values, where="the job").for_stage(job.stage)
        seen.append((resources.num_processes, resources.threads_per_process, read.hardware))
        raise StageError("seen enough")

    recipe = new_recipe(stages={"cold_start": {"num_processes": 3, "zero_stage": 2}})
    with pytest.raises(StageError, match="seen enough"):
        Stage(tmp_path, str(tmp_path / "store")).make(recipe=recipe, execute=execute)
    assert seen == [(3, 1, recipe.hardware.of("cold_start"))]
    assert seen[0][2].zero_stage == 2


def test_a_stage_of_a_pool_runs_on_ray_where_the_recipe_says_so(
    request_of_a_run, tmp_path, monkeypatch
):
    started = []

    def watched(job: Job, command: list[str], *_: object, **__: object) -> None:
        task = NodesTask.model_validate_json((job.output.parent / "nodes.json").read_bytes())
        started.append((command[2], task.placement.nodes, set(task.inputs)))
        raise StageError("seen enough")

    monkeypatch.setattr(executor, "run_watched", watched)
    monkeypatch.setattr(executor, "find_spec", lambda _: True)
    there = {"pool": "gpu", "executor": "ray", "address": "127.0.0.1:1", "nodes": 2}
    recipe = new_recipe(stages={"cold_start": there})
    one = Stage(tmp_path, str(tmp_path / "store"), recipe=recipe)
    request = request_of_a_run.model_copy(update={"stage": one.name, "kind": one.kind})
    made = (one.store, request, one.made_of, one.inputs, Watcher())
    with pytest.raises(StageError, match="seen enough"):
        make_and_enter(one.new_run(recipe), *made)
    assert started == [("infra.cluster.on_ray", 2, {"policy", "data"})]


def test_a_worker_of_stages_runs_no_whole_runs_and_the_other_way_round():
    run = SimpleNamespace(name="able-ant", parameters={"request": {}})
    whole = FLOWS["full"]
    for entrypoint, other in ((whole, STAGE_FLOW), (STAGE_FLOW, whole)):
        deployment = SimpleNamespace(
            name="gpu",
            entrypoint=entrypoint,
            pull_steps=STEPS,
            parameter_openapi_schema={"properties": {"request": {}}},
        )
        assert entrypoint_of(deployment, run, [entrypoint]) == entrypoint
        with pytest.raises(ServiceError, match="not one of the project's"):
            entrypoint_of(deployment, run, [other])


def test_a_pool_of_another_kind_is_left_to_its_own_workers():
    with pytest.raises(ServiceError, match="for workers of the type kubernetes") as caught:
        require_served_here(SimpleNamespace(name="gpu", type="kubernetes"))
    assert "prefect worker start --pool gpu" in caught.value.fix
