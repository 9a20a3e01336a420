"""Whole stages in processes of their own: killed, told to stop, and gone on with by another run."""

import json
import signal
import uuid
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from contracts.artifact import Artifact
from contracts.errors import StageError, StageLost, StagePreempted, StoreError
from contracts.job import Job
from data_checks.gate import GateError
from drills.disturbed import (
    NUM_STEPS,
    Stage,
    StageName,
    Watcher,
    new_recipe,
    training_processes,
)
from infra.names import chunks_key
from infra.seaweed import seaweed_server
from infra.store import Store
from tasks.keys import responses_keys
from tasks.make import with_retries
from tests.standstill import stand_still, tell, wait_until
from training.recipe.recipe import Recipe
from training.stage import run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture
def new_stage(tmp_path):
    def new(name: str, uri: str | None = None, stage: StageName = "cold_start") -> Stage:
        return Stage(tmp_path / name, uri or str(tmp_path / name / "store"), stage)

    return new


def signalling(number: signal.Signals, stage: Stage, after: int) -> Watcher:
    """Sends a signal to the stage's processes once a later step than `after` is in the store."""
    sent = Event()

    def is_stored() -> bool:
        return any(stored > after for stored in stage.store.steps(stage.key))

    def on_step(step: int) -> None:
        if step <= after or sent.is_set():
            return
        processes = training_processes()
        if stand_still(processes, is_stored):
            tell(processes, number)
            tell(processes, signal.SIGCONT)
            sent.set()

    return Watcher(on_step)


def in_this_process(job: Job, *_: object, **__: object) -> None:
    """An executor without processes of its own, which nothing disturbs."""
    (job.output.parent / "log.txt").touch()
    run(job)


def overwrite(store: Store, artifact: Artifact, tmp_path: Path) -> None:
    """Damages the first file of an artifact; its size stays."""
    name, prefix = store.manifest(artifact).files[0].path, f"{store.location(artifact)}/files"
    store.backend.download(prefix, [name], tmp_path / "damaged")
    (tmp_path / "damaged" / name).write_bytes(b"\0" * (tmp_path / "damaged" / name).stat().st_size)
    store.backend.remove(f"{prefix}/{name}")
    store.backend.upload(tmp_path / "damaged", [name], prefix)


@pytest.mark.fault(
    "SIGTERM of a stage's processes, after a SIGKILL; then a store that does not take the model",
    "the last step is saved and stored, and gone on from; same bytes in the end",
)
def test_a_stage_that_is_killed_and_preempted_ends_with_the_same_bytes(
    new_stage, seaweed, monkeypatch
):
    undisturbed = new_stage("undisturbed")
    expected = undisturbed.weights(undisturbed.make(execute=in_this_process))

    stage = new_stage("disturbed", f"s3://{seaweed.bucket}/{uuid.uuid4().hex}")
    with pytest.raises(StageError, match="SIGKILL"):
        stage.make(signalling(signal.SIGKILL, stage, after=0))
    killed_at = stage.store.steps(stage.key)[-1]
    num_steps = NUM_STEPS["cold_start"]
    assert killed_at < num_steps

    told = signalling(signal.SIGTERM, stage, after=killed_at)
    with pytest.raises(StagePreempted, match=r"Preempted: step \d+ is in the store") as caught:
        stage.make(told)
    stopped_at = stage.store.steps(stage.key)[-1]
    assert killed_at < stopped_at < num_steps
    assert f"step {stopped_at} is in the store" in str(caught.value)
    assert f"Going on after step {killed_at}:" in told.said[0]
    assert told.steps == list(range(1, stopped_at + 1))  # the history is shown again

    publish, last = stage.store.publish, Watcher()

    def publish_no_model(folder: Path, kind: str, *arguments: Any, **options: Any) -> Artifact:
        if kind == "model":
            raise StoreError("no answer", where="s3://b", rule="it answers", fix="start it")
        return publish(folder, kind, *arguments, **options)

    with monkeypatch.context() as patch, pytest.raises(StoreError, match="no answer"):
        patch.setattr(stage.store, "publish", publish_no_model)
        stage.make(last)
    assert f"Resumed after step {stopped_at}, saved by 1 rank(s)" in last.lines
    assert last.steps == list(range(1, num_steps + 1))
    # What is left is to write the model and to publish it.
    last = Watcher()
    artifact = stage.make(last, execute=in_this_process)
    assert f"Going on after step {num_steps}:" in last.said[0]
    assert stage.weights(artifact) == expected
    assert stage.store.steps(stage.key) == []  # the remains of a finished stage go
    # Only the logs of the attempts that failed stay on this machine.
    assert len(list(stage.folder.glob("home/work/*/*/log.txt"))) == 3
    assert not list(stage.folder.glob("home/work/*/*/*/*.safetensors"))
    assert not list(stage.folder.glob("home/work/*/*/checkpoints"))


def test_rl_that_breaks_its_gate_goes_on_under_another_bound_and_on_more_processes(new_stage):
    """Neither is in the stage's key; the step at which the gate stopped it is saved."""
    values = new_recipe("multimodal_rl").model_dump(mode="json")
    values["gates"]["rollouts"] |= {"every_steps": 2, "min_response_tokens": 17.0}  # 16 at most
    stage, display = new_stage("one", stage="multimodal_rl"), Watcher()
    with pytest.raises(GateError) as caught:
        stage.make(display, recipe=Recipe.model_validate(values))
    assert list(caught.value.broken_rows) == ["steps: response length"]
    assert display.steps[-1] == 2
    saved, num_steps = stage.store.steps(stage.key)[-1], NUM_STEPS["multimodal_rl"]
    assert 2 <= saved < num_steps

    display = Watcher()
    more = new_recipe("multimodal_rl", num_processes=2, zero_stage=2)
    artifact = stage.make(display, more)
    assert f"Resumed after step {saved}, saved by 1 rank(s)" in display.lines
    assert display.steps == list(range(1, num_steps + 1))
    assert stage.store.manifest(artifact).kind == "model"


@pytest.mark.fault(
    "SIGKILL of one of a stage's two processes",
    "the stage is tried again by itself, from its newest checkpoint; same bytes",
)
def test_a_stage_that_loses_a_process_is_tried_again(tmp_path):
    def new(name: str) -> Stage:
        return Stage(tmp_path / name, str(tmp_path / name / "store"), num_processes=2)

    undisturbed = new("undisturbed")
    expected = undisturbed.weights(undisturbed.make())

    stage, killed = new("disturbed"), list[int]()

    def on_step(_: int) -> None:
        processes = training_processes()
        if killed or len(processes) != 2:
            return
        if stand_still(processes, lambda: stage.store.steps(stage.key)):
            killed.append(processes[1].pid)
            tell(processes[1:], signal.SIGKILL)
            tell(processes[:1], signal.SIGCONT)

    display = Watcher(on_step)
    artifact = stage.make(display, new_recipe(num_processes=2, retries=1))
    assert len(killed) == 1
    assert sum(text.startswith("Retry 1 of 1 of cold_start") for text in display.said) == 1
    assert sum(line.startswith("Resumed after step") for line in display.lines) == 1
    assert stage.weights(artifact) == expected


@pytest.mark.parametrize("num_retries", [0, 2])
def test_a_stage_is_tried_again_as_often_as_the_recipe_says(num_retries, new_stage):
    attempts = list[Path]()

    def lost(job: Job, *_: object, **__: object) -> None:
        attempts.append(job.output)
        raise StageLost("killed")

    with pytest.raises(StageLost):
        new_stage("one").make(recipe=new_recipe(retries=num_retries), execute=lost)
    assert len(set(attempts)) == len(attempts) == num_retries + 1

    def refused(job: Job, *_: object, **__: object) -> None:
        attempts.append(job.output)
        raise StageError("a rule is broken")

    attempts.clear()
    with pytest.raises(StageError, match="a rule is broken"):
        new_stage("two").make(recipe=new_recipe(retries=num_retries), execute=refused)
    assert len(attempts) == 1


def test_an_attempt_that_has_saved_more_begins_a_new_count():
    """Ends of a node's time are many in a long stage; one that gets no further is given up."""
    saved, attempts, display = [0, 10, 20, 20, 20, 30], list[int](), Watcher()

    def make() -> Artifact:
        attempts.append(len(attempts))
        raise StageLost("the node's time is over")

    with pytest.raises(StageLost):
        with_retries(1, "rl", display, make, lambda: saved[len(attempts)])
    # Twice more was saved, and each time one vain try is allowed.
    assert len(attempts) == 3
    assert [said[:18] for said in display.said] == ["Retry 1 of 1 of rl"] * 2


def test_a_store_that_cannot_be_asked_does_not_hide_why_an_attempt_was_lost():
    display = Watcher()

    def make() -> Artifact:
        raise StageLost("the node's time is over")

    def saved() -> int:
        raise StoreError("no answer", where="s3://b", rule="it answers", fix="start it")

    with pytest.raises(StageLost, match="the node's time is over"):
        with_retries(1, "rl", display, make, saved)
    assert sum(said.startswith("Retry 1 of 1 of rl") for said in display.said) == 1
    assert sum("no answer" in said for said in display.said) == 2  # after each


@pytest.mark.fault(
    "SIGKILL of the S3 server while a stage uploads, and restart; then of the stage's processes",
    "the upload goes on, then the stage, from a whole checkpoint; same bytes",
)
def test_rl_survives_its_s3_server_and_then_its_own_death(new_stage, tmp_path, monkeypatch):
    undisturbed = new_stage("undisturbed", stage="multimodal_rl")
    expected = undisturbed.weights(undisturbed.make(execute=in_this_process))

    (tmp_path / "server").mkdir()
    with seaweed_server(tmp_path / "server") as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        stage = new_stage("disturbed", f"s3://{server.bucket}/store", "multimodal_rl")

        upload, has_begun, is_killed = stage.store.backend.upload, Event(), Event()

        def upload_in_two(folder: Path, names: list[str], prefix: str) -> None:
            if folder.name.startswith("taken-") and not has_begun.is_set():
                # Else the stage might end before the server is back.
                tell(training_processes(), signal.SIGSTOP)
                upload(folder, names[:1], prefix)
                has_begun.set()
                assert is_killed.wait(300) and names[1:]
                names = names[1:]
            upload(folder, names, prefix)

        def on_step(step: int) -> None:
            if is_killed.is_set():
                return  # not all the steps of the processes were shown yet
            assert has_begun.wait(300) and not stage.store.steps(stage.key)
            server.kill()
            is_killed.set()
            server.start()
            wait_until(lambda: stage.store.steps(stage.key))
            tell(training_processes(), signal.SIGKILL)

        with monkeypatch.context() as patch, pytest.raises(StageError, match="SIGKILL"):
            patch.setattr(stage.store.backend, "upload", upload_in_two)
            stage.make(Watcher(on_step))
        assert is_killed.is_set()
        last = Watcher()
        artifact = stage.make(last)
        assert last.said[0].startswith("Going on after step")
        assert last.steps == list(range(1, NUM_STEPS["multimodal_rl"] + 1))
        assert stage.weights(artifact) == expected


@pytest.mark.fault(
    "SIGKILL of curation and of evaluation while they sample, and a stored chunk is damaged",
    "what was answered is not asked again, but for the damaged; same bytes, on two processes too",
)
@pytest.mark.parametrize("name", ["curate", "evaluate"])
def test_sampling_goes_on_where_it_was_killed(name, new_stage, seaweed, tmp_path):
    expected = new_stage("undisturbed", stage=name).make(execute=in_this_process)
    stage = new_stage("disturbed", f"s3://{seaweed.bucket}/{uuid.uuid4().hex}", name)
    killed = Watcher(lambda step: step and tell(training_processes(), signal.SIGKILL))
    with pytest.raises(StageError, match="SIGKILL"):
        stage.make(killed)
    answered = max(killed.steps)
    assert answered > 0 and "stored" in killed.said[-1]

    responses = chunks_key(responses_keys(stage.recipe, stage.made_of)[0])
    if name == "curate":
        newest = next(stage.store.history(responses))
        overwrite(stage.store, newest, tmp_path)
    resumed = Watcher()
    artifact = stage.make(resumed, new_recipe(name, num_processes=2))
    if name == "curate":
        assert "passed over, and asked for again: " in resumed.said[0]
        assert resumed.steps[0] < answered
        assert "rows: 2 shards, of which 2 were looked through before" in resumed.lines
    else:
        assert resumed.said[0] == f"Going on with {resumed.steps[0]} responses"
        assert resumed.steps[0] >= answered
    assert artifact.sha256 == expected.sha256
    assert stage.store.has_entries(responses) == (name == "curate")  # for other curations


def test_a_curation_with_other_thresholds_asks_nothing_again(tmp_path):
    """What was answered counts, and the sets come out as if it had been asked."""

    def asking(**changes) -> Recipe:
        values = new_recipe("curate").model_dump()
        values["curation"] |= {"samples_per_problem": 2, "max_response_tokens": 16}
        values["evaluation"]["benchmarks"] = [{"name": "pocket_text", "num_problems": 20}]
        values["curation"]["sets"] = [one | changes for one in values["curation"]["sets"]]
        return Recipe.model_validate(values)

    def curation(name: str, recipe: Recipe, store: str) -> Stage:
        return Stage(tmp_path / name, str(tmp_path / store), "curate", recipe=recipe)

    first = curation("one", asking(), "store").make(execute=in_this_process)
    stricter, display = asking(max_level=5), Watcher()
    stage = curation("two", stricter, "store")
    second = stage.make(display, execute=in_this_process)
    alone = curation("three", stricter, "another-store").make(execute=in_this_process)
    assert second.sha256 == alone.sha256 != first.sha256
    figures = (stage.store.fetch(second) / "metrics.jsonl").read_text().splitlines()
    asked = json.loads(figures[0])
    assert asked["step"] == asked["num_steps"] == json.loads(figures[-1])["num_steps"]
    assert display.said[0] == f"Going on with {asked['num_steps']} responses"
