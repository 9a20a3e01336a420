"""What a run asks of this machine before it starts."""

from pathlib import Path

import pytest
import torch

from contracts.errors import PlanError
from tasks.plan import check_machine
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
