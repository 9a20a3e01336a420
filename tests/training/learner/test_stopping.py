"""A stage that is told to stop in the middle of a step saves the step before, and loses no more."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from contracts.errors import Preempted
from tests.training.learner.test_checkpoints import (
    STAGES,
    assert_equal_outputs,
    complete,
    names,
    new_recipe,
    train,
)
from training.grpo.train import Grpo
from training.learner.checkpoints import Places
from training.learner.learner import Learner
from training.model.forward import ForwardPass
from training.rollout import transformers_engine
from training.runtime.metrics import MetricsLog

ROOT = Path(__file__).parents[3]
# One sequence a micro-batch, of which there are several in each pass.
CUT = {name: one.model_copy(update={"tokens_per_micro_batch": 64}) for name, one in STAGES.items()}
# What a step does before its first update ends.
SAMPLING, SCORING, UPDATING = "draw_tokens", "without gradient", "with gradient"


class Told:
    """Has this process told to stop by what a step does; counts how often it does.

    Attributes:
        num_calls: How often the step did it, and any later one.
    """

    def __init__(self, patch, what, *, step, tells=True):
        self.num_calls, self._tells = 0, tells
        self._is_now, self._step, self._what = step == 1, step, what
        write, draw, forward = (
            MetricsLog.write,
            transformers_engine.draw_tokens,
            ForwardPass.forward,
        )
        begin = Grpo.step

        def writing(log, **values):
            write(log, **values)
            self._is_now |= values["step"] == step - 1

        def beginning(stage, *arguments):
            self.num_calls = 0  # the samples that are shown first are no step's
            return begin(stage, *arguments)

        def drawing(*arguments):
            self._see(SAMPLING)
            return draw(*arguments)

        def computing(*arguments):
            self._see(UPDATING if torch.is_grad_enabled() else SCORING)
            return forward(*arguments)

        patch.setattr(MetricsLog, "write", writing)
        patch.setattr(Grpo, "step", beginning)
        patch.setattr(transformers_engine, "draw_tokens", drawing)
        patch.setattr(ForwardPass, "forward", computing)

    def _see(self, what):
        if not self._is_now or what != self._what:
            return
        self.num_calls += 1
        if self.num_calls == 1 and self._tells:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def run(tiny_recipe, tiny_model_folder, problem_sets, tmp_path):
    """Trains to the end, or as far as it comes."""

    def trained(stage, name, *, every_steps=100, zero_stage=0, **places):
        recipe = new_recipe(tiny_recipe, zero_stage, every_steps)
        return train(
            stage, recipe, tiny_model_folder, problem_sets, tmp_path / name, Places(**places)
        )

    return trained


@pytest.mark.parametrize("zero_stage", [0, 3])
@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("sft", UPDATING),
        ("multimodal_rl", SAMPLING),
        ("multimodal_rl", SCORING),
        ("multimodal_rl", UPDATING),
        ("text_rl", SCORING),
        ("text_rl", UPDATING),
    ],
)
def test_a_stop_before_the_first_update_saves_the_step_before(
    kind, what, zero_stage, run, tmp_path, monkeypatch
):
    saved, stage = tmp_path / "saved", CUT[kind]
    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch, pytest.raises(Preempted, match="step 2 is saved"):
        told = Told(patch, what, step=3)
        run(stage, "told", save=saved, zero_stage=zero_stage)
    assert told.num_calls == 1, "it went on after the token, or the micro-batch"
    assert signal.getsignal(signal.SIGTERM) is before
    assert names(saved) == ["step-00000002"]
    torch.manual_seed(99)
    resumed = run(stage, "resumed", resume=saved / "step-00000002", zero_stage=zero_stage)
    assert_equal_outputs(resumed, run(stage, "whole", zero_stage=zero_stage))


def test_a_stop_after_the_first_update_saves_this_step(run, tmp_path, monkeypatch):
    saved, stage = tmp_path / "saved", CUT["multimodal_rl"]
    update = Learner.update

    def told_in_the_second_of_step_3(learner, *arguments):
        if learner.state.num_updates == 2 * 2 + 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return update(learner, *arguments)

    with monkeypatch.context() as patch, pytest.raises(Preempted, match="step 3 is saved"):
        patch.setattr(Learner, "update", told_in_the_second_of_step_3)
        run(stage, "told", save=saved)
    assert names(saved) == ["step-00000003"]
    resumed = run(stage, "resumed", resume=saved / "step-00000003")
    assert_equal_outputs(resumed, run(stage, "whole"))


def test_what_is_saved_is_not_saved_again(run, tmp_path, monkeypatch):
    stage, exported = CUT["sft"], []
    export = Learner.export_state

    def counted(learner):
        exported.append(learner.state.num_updates)
        return export(learner)

    monkeypatch.setattr(Learner, "export_state", counted)

    def told(step, name, message, **places):
        with monkeypatch.context() as patch, pytest.raises(Preempted, match=message):
            Told(patch, UPDATING, step=step)
            run(stage, name, **places)

    # In the first step there is nothing but the model that the stage was given.
    told(1, "first", "no step is finished", save=tmp_path / "first-saved")
    assert not exported and not (tmp_path / "first-saved").exists()
    # After the second a checkpoint was due; another one is being made when the third is stopped.
    saved = tmp_path / "saved"
    told(3, "third", "step 2 is saved", save=saved, every_steps=1)
    assert exported == [1, 2]
    newest = complete(saved / "step-00000002")
    # The next attempt is told at once.
    told(1, "again", "step 2 is saved", save=tmp_path / "again-saved", resume=newest)
    assert exported == [1, 2] and not (tmp_path / "again-saved").exists()


def test_a_stop_after_the_last_step_saves_it(run, tmp_path, monkeypatch):
    """While answers are sampled for a reader: a stage's end must not cost what came before."""
    saved, stage = tmp_path / "saved", STAGES["text_rl"]
    with monkeypatch.context() as patch, pytest.raises(Preempted, match="step 5 is saved"):
        Told(patch, SAMPLING, step=6)
        run(stage, "told", save=saved)
    resumed = run(stage, "resumed", resume=saved / "step-00000005")
    whole = run(stage, "whole")
    assert_equal_outputs(resumed, whole)
    assert (resumed / "samples.jsonl").read_bytes() == (whole / "samples.jsonl").read_bytes()


@pytest.mark.parametrize("kind", ["sft", "text_rl"])
def test_what_fails_after_the_last_step_costs_no_step(kind, run, tmp_path, monkeypatch):
    """Memory that runs out, or a full disk: the next run has but the model to write."""
    saved, stage = tmp_path / "saved", STAGES[kind]

    def fail(*_):
        raise MemoryError

    with monkeypatch.context() as patch, pytest.raises(MemoryError) as caught:
        patch.setattr(Learner, "save_model", fail)
        run(stage, "failed", save=saved)
    assert "lost:  0 finished steps" in caught.value.__notes__[0]
    with monkeypatch.context() as patch:
        patch.setattr(Learner, "update", fail)  # no step is done again
        (newest,) = names(saved)
        resumed = run(stage, "resumed", resume=complete(saved / newest))
    whole = run(stage, "whole")
    assert_equal_outputs(resumed, whole)
    assert names(resumed) == names(whole)
    if kind != "sft":
        assert (resumed / "samples.jsonl").read_bytes() == (whole / "samples.jsonl").read_bytes()


def test_a_stop_while_the_last_step_is_saved_leaves_the_model_to_the_next_run(
    run, tmp_path, monkeypatch
):
    saved, export = tmp_path / "saved", Learner.export_state

    def told(learner):
        os.kill(os.getpid(), signal.SIGTERM)
        return export(learner)

    monkeypatch.setattr(Learner, "export_state", told)
    with pytest.raises(Preempted, match="step 7 is saved"):
        run(STAGES["sft"], "told", save=saved)
    assert names(saved) == ["step-00000007"]
    assert not (tmp_path / "told" / "model").exists()


@pytest.mark.slow
def test_two_ranks_stop_together_where_one_is_told(tiny_model_folder, problem_sets, tmp_path):
    """`two_ranks_stop.py`: wherever it is, at every ZeRO stage."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", str(Path(__file__).with_name("two_ranks_stop.py"))),
            *map(str, (tiny_model_folder, problem_sets, tmp_path)),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
