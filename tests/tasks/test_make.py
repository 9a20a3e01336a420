"""Whole stages in processes of their own: killed, told to stop, and gone on with by another run."""

import json
import signal
import uuid

import psutil
import pytest

import training.stage
from benchmarks.disturbed import Stage, Watcher, new_recipe, training_processes
from infra.errors import StageError, StagePreempted
from infra.launcher import PREEMPTED_CODES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture
def new_stage(tmp_path):
    def new(name: str, uri: str | None = None) -> Stage:
        return Stage(tmp_path / name, uri or str(tmp_path / name / "store"))

    return new


def signalling(number: signal.Signals, at_step: int):
    """Sends a signal to the stage's processes once a step has been measured."""

    def on_step(step: int) -> None:
        if step == at_step:
            for process in training_processes():
                process.send_signal(number)

    return Watcher(on_step)


def test_a_stage_that_is_killed_and_preempted_ends_with_the_same_bytes(new_stage, seaweed):
    undisturbed = new_stage("undisturbed")
    expected = undisturbed.weights(undisturbed.make())

    stage = new_stage("disturbed", f"s3://{seaweed.bucket}/{uuid.uuid4().hex}")
    killed = signalling(signal.SIGKILL, at_step=3)
    with pytest.raises(StageError, match="SIGKILL"):
        stage.make(killed)
    assert stage.store.steps(stage.key) == [2]

    told = signalling(signal.SIGTERM, at_step=5)
    with pytest.raises(StagePreempted, match=r"Preempted: step \d is in the store") as caught:
        stage.make(told)
    (newest, *_) = reversed(stage.store.steps(stage.key))
    assert newest >= 5
    assert f"step {newest} is in the store" in str(caught.value)
    assert "Going on after step 2" in told.said[0]
    assert told.steps[:3] == [1, 2, 3]  # the history is shown again
    assert psutil.Process().children(recursive=True) == []

    last = Watcher()
    artifact = stage.make(last)
    assert f"Going on after step {newest}" in last.said[0]
    assert f"Resumed after step {newest}, saved by 1 rank(s)" in last.lines
    assert stage.weights(artifact) == expected
    folder = stage.store.fetch(artifact)
    steps = [json.loads(line)["step"] for line in (folder / "metrics.jsonl").open()]
    assert steps == list(range(1, 9))
    assert stage.store.steps(stage.key)[-1] == 8  # uploaded before the stage was finished


def test_a_stage_goes_on_with_another_number_of_processes(new_stage):
    stage = new_stage("one")
    with pytest.raises(StageError, match="SIGKILL"):
        stage.make(signalling(signal.SIGKILL, at_step=5))
    display = Watcher()
    artifact = stage.make(display, new_recipe(num_processes=2, zero_stage=2))
    assert any("saved by 1 rank(s)" in line for line in display.lines)
    assert stage.store.manifest(artifact).kind == "model"


def test_the_launcher_knows_the_exit_code_of_a_stage_that_has_saved():
    assert training.stage.PREEMPTED_EXIT_CODE in PREEMPTED_CODES
