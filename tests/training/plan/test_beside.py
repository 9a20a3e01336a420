"""What was planned, beside what ran out: the figures that a failed stage is told."""

import json
import sys
from pathlib import Path

import pytest
import torch

from contracts.job import Outcome
from infra.launcher import new_job, write_job
from training import stage
from training.plan.beside import figures, figures_here
from training.plan.machine import GIB, Machine
from training.recipe.recipe import load_recipe, resolved_toml_values

SEVEN_B = load_recipe(Path(__file__).parents[3] / "infra/recipes/revisual-7b.toml")
EIGHT = Machine(8, 80 * GIB)
WAKING = "CUDA Error: out of memory at /workspace/csrc/cumem_allocator.cpp:139"


def test_the_figures_are_those_of_the_plan():
    """7B: 8,292,166,656 numbers of two bytes are 15.4 GiB, and 0.33 of 79.1 are 26.1."""
    told = figures(SEVEN_B, "text_rl", EIGHT)
    assert "of 79.1 GiB a GPU" in told
    for part in ("weights 15.4", "reference 15.4", "sampler awake 26.1", "peak in a rollout 54.2"):
        assert part in told
    told = figures(SEVEN_B, "evaluate", EIGHT)
    assert "in evaluate: weights 15.4, sampler awake 26.1, peak 43.5" in told
    unknown = SEVEN_B.model_copy(
        update={"model": SEVEN_B.model.model_copy(update={"path": "somebody/large"})}
    )
    assert "somebody/large" in figures(unknown, "text_rl", EIGHT)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_there_is_no_plan_without_a_gpu():
    assert "no CUDA GPU" in figures_here(SEVEN_B, "text_rl")


def out_of_memory(job, monkeypatch, machine_here) -> Outcome:
    """A stage's own words; the device is made up: there is none here that could run out."""

    def run(_: object) -> None:
        error = RuntimeError(WAKING)
        error.add_note("lost:  3 finished steps")
        raise error

    monkeypatch.setattr(stage, "run", run)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("training.plan.beside.machine_here", machine_here)
    monkeypatch.setattr(sys, "argv", ["stage", str(write_job(job))])
    assert stage.main() == 2
    return Outcome.model_validate(json.loads(job.outcome.read_text()))


def test_a_stage_whose_memory_ran_out_between_its_phases_is_refused_with_plan_and_measure(
    tmp_path, monkeypatch
):
    job = new_job("text_rl", resolved_toml_values(SEVEN_B), {}, tmp_path)
    outcome = out_of_memory(job, monkeypatch, lambda: EIGHT)
    assert outcome.status == "refused"
    for part in (WAKING, "measured: ", "GiB of the host", "plan:  of 79.1 GiB a GPU weights 15.4"):
        assert part in outcome.message
    assert "\n  lost:  3 finished steps\n" in outcome.message


def test_a_plan_that_cannot_be_made_does_not_cost_the_message(tmp_path, monkeypatch):
    def machine_here() -> Machine:
        raise torch.AcceleratorError("CUDA error: initialization error")

    job = new_job("text_rl", resolved_toml_values(SEVEN_B), {}, tmp_path)
    outcome = out_of_memory(job, monkeypatch, machine_here)
    assert outcome.status == "refused"
    for part in (WAKING, "plan:  none was made: AcceleratorError: CUDA error: initialization"):
        assert part in outcome.message
