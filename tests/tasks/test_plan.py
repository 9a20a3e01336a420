"""What a run asks of this machine before it starts."""

from pathlib import Path

import pytest
import torch

from contracts.errors import PlanError
from tasks.plan import check_machine
from training.plan.machine import GIB, Machine
from training.recipe.recipe import load_recipe

RECIPES = Path(__file__).parents[2] / "infra/recipes"
without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


@without_cuda
def test_a_recipe_for_gpus_is_refused_on_a_cpu():
    with pytest.raises(PlanError, match="no CUDA GPU") as caught:
        check_machine(load_recipe(RECIPES / "revisual-7b.toml"), ["curate"])
    assert "bfloat16" in caught.value.where


@without_cuda
def test_a_float32_recipe_runs_on_a_cpu():
    check_machine(load_recipe(RECIPES / "pocket.toml"), ["curate", "cold_start"])


@without_cuda
def test_what_runs_on_another_machine_is_not_asked_of_this_one():
    check_machine(load_recipe(RECIPES / "revisual-7b.toml"), [])


def test_an_evaluation_that_cannot_fit_is_refused_before_the_run_unless_its_model_is_unknown(
    monkeypatch, caplog
):
    """On a machine that is made up: eight GPUs, which this one has not."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("tasks.plan.machine_here", lambda: Machine(8, 80 * GIB))
    recipe = load_recipe(RECIPES / "revisual-7b.toml")
    check_machine(recipe, recipe.stage_names)
    rollout = recipe.rollout.model_copy(update={"memory_fraction": 0.9})
    too_much = recipe.model_copy(update={"rollout": rollout})
    with pytest.raises(PlanError, match="Stage evaluate needs") as caught:
        check_machine(too_much, ["evaluate"])
    assert "rollout.memory_fraction" in caught.value.fix
    check_machine(too_much, ["evaluate"], is_sized=False)
    assert not caplog.records
    grader = recipe.curation.grader
    model = grader.model.model_copy(update={"path": "somebody/large"})
    changes = {"grader": grader.model_copy(update={"model": model})}
    curation = recipe.curation.model_copy(update=changes)
    check_machine(recipe.model_copy(update={"curation": curation}), ["curate"])
    assert "somebody/large: memory is not planned" in caplog.text
