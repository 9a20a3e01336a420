"""What one stage runs on: its own values, and the run's where it has none."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import RecipeError
from training.recipe.hardware import LOCAL, HardwareRecipe, StageHardware
from training.recipe.recipe import load_recipe, parse_recipe

RECIPES = Path(__file__).parents[3] / "infra" / "recipes"
VALUES = {
    "num_processes": st.integers(1, 64),
    "threads_per_process": st.integers(1, 64),
    "zero_stage": st.integers(0, 3),
    "offload_optimizer": st.booleans(),
    "activation_checkpointing": st.booleans(),
    "share_images": st.booleans(),
    "reference_in_host": st.booleans(),
    "pool": st.sampled_from(["local", "gpu", "big-memory"]),
    "executor": st.sampled_from(["torchrun", "ray"]),
    "nodes": st.integers(1, 64),
    "address": st.sampled_from(["127.0.0.1:6379", "head.internal:1"]),
}
CLUSTER = {"executor": "ray", "address": "head:6379"}


@given(
    whole=st.fixed_dictionaries(VALUES),
    own=st.fixed_dictionaries({}, optional=VALUES),
    other=st.fixed_dictionaries({}, optional=VALUES),
)
def test_a_stage_has_its_own_values_and_the_runs_where_it_has_none(whole, own, other):
    hardware = HardwareRecipe(**whole, retries=3, stages={"a": own, "b": other})
    for stage, values in (("a", own), ("b", other), ("c", {})):
        found = hardware.of(stage)
        assert found == HardwareRecipe(**whole | values, retries=3)
        assert found.of(stage) == found


def test_everything_is_local_unless_a_recipe_says_otherwise():
    recipe = load_recipe(RECIPES / "revisual-7b.toml")
    assert {recipe.hardware.of(stage).pool for stage in recipe.stage_names} == {LOCAL}
    assert recipe.for_stage("text_rl") == recipe


def with_hardware(**values):
    recipe = tomllib.loads((RECIPES / "revisual-7b.toml").read_text())
    recipe["hardware"] |= values
    return recipe


def test_a_stages_recipe_has_its_hardware_alone_and_survives_being_written_down():
    own = {"text_rl": {"num_processes": 16, "zero_stage": 3}, "evaluate": {"pool": "gpu"}}
    recipe = parse_recipe(with_hardware(stages=own), where="here")
    assert parse_recipe(recipe.model_dump(mode="json"), where="again") == recipe
    read = recipe.for_stage("text_rl")
    assert (read.hardware.num_processes, read.hardware.zero_stage) == (16, 3)
    assert read.hardware.stages == {}
    assert read.hardware.collective_timeout_minutes == recipe.hardware.collective_timeout_minutes
    assert recipe.for_stage("cold_start").hardware.num_processes == 8
    assert recipe.for_stage("evaluate").hardware.pool == "gpu"


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"stages": {"cold_strat": {"num_processes": 2}}}, "hardware.stages.cold_strat is none of"),
        ({"stages": {"curate": {"zero_stage": 2}}}, "curate: nothing is learned there"),
        ({"stages": {"curate": {"offload_optimizer": True}}}, "remove offload_optimizer"),
        ({"stages": {"text_rl": {"zero_stage": 4}}}, "hardware.stages.text_rl.zero_stage"),
        (
            {"zero_stage": 0, "offload_optimizer": True},
            "hardware.offload_optimizer: zero_stage 0",
        ),
        (
            {"offload_optimizer": True, "stages": {"text_rl": {"zero_stage": 0}}},
            "set zero_stage of stage text_rl to",
        ),
        (
            {"stages": {"text_rl": {"zero_stage": 0, "offload_optimizer": True}}},
            "hardware.stages.text_rl.offload_optimizer: zero_stage 0",
        ),
        ({"stages": {"text_rl": {"retries": 2}}}, "retries: unknown key"),
        ({"stages": {"text_rl": {"pool": "no such/name"}}}, "hardware.stages.text_rl.pool"),
        ({"pool": ""}, "hardware.pool"),
        ({"executor": "slurm"}, "hardware.executor"),
        ({"nodes": 0}, "hardware.nodes"),
        ({"placement_timeout_minutes": 0.0}, "hardware.placement_timeout_minutes"),
        ({"executor": "ray", "address": "head"}, "hardware.address"),
        ({"executor": "ray", "address": "ray://head:1"}, "hardware.address"),
        ({"executor": "ray", "address": "user:password@head:1"}, "hardware.address"),
        ({"executor": "ray", "address": "head:65536"}, "hardware.address"),
        ({"stages": {"text_rl": {"address": "head"}}}, "hardware.stages.text_rl.address"),
        ({"address": "head:6379"}, "hardware.address is that of Ray"),
        (
            {"stages": {"text_rl": {"address": "head:1"}}},
            "hardware.stages.text_rl.address is that of Ray",
        ),
        ({"nodes": 2}, "hardware.nodes (2): torchrun starts stage curate on one machine"),
        ({"stages": {"text_rl": {"nodes": 3}}}, "hardware.stages.text_rl.nodes (3): torchrun"),
        (
            {"stages": {"text_rl": {"nodes": 2, "executor": "ray"}}},
            "hardware.stages.text_rl.nodes (2): stage text_rl needs a Ray cluster",
        ),
        ({"nodes": 2, "executor": "ray"}, "hardware.nodes (2): stage curate needs a Ray cluster"),
    ],
)
def test_hardware_that_no_stage_could_have_is_refused(values, named):
    with pytest.raises(RecipeError) as caught:
        parse_recipe(with_hardware(**values), where="here")
    assert named in caught.value.rule


@pytest.mark.parametrize(
    "values",
    [
        {"executor": "ray"},  # of its own, on the run's machine
        {"nodes": 2, **CLUSTER},
        {"nodes": 2, **CLUSTER, "stages": {"curate": {"nodes": 1, "executor": "torchrun"}}},
        {"stages": {"text_rl": {"nodes": 4, **CLUSTER}}},
        {**CLUSTER, "stages": {"curate": {"executor": "torchrun"}}},
    ],
)
def test_nodes_are_those_of_a_cluster(values):
    recipe = parse_recipe(with_hardware(**values), where="here")
    for stage in recipe.stage_names:
        of = recipe.hardware.of(stage)
        assert of.num_ranks == 8 * of.nodes
        assert of.nodes == 1 or (of.executor == "ray" and of.address == "head:6379")


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (
            {"stages": {"text_rl": {"num_processes": 6}}},
            "hardware.stages.text_rl.num_processes (6)",
        ),
        ({"num_processes": 6}, "hardware.num_processes (6)"),
    ],
)
def test_the_sampler_s_groups_are_whole_in_every_stage(values, named):
    recipe = with_hardware(**values)
    recipe["rollout"]["tensor_parallel"] = 4
    with pytest.raises(RecipeError) as caught:
        parse_recipe(recipe, where="here")
    assert named in caught.value.rule


def test_what_a_stage_may_have_of_its_own_is_a_part_of_what_a_run_has():
    fields = StageHardware.model_fields
    assert set(fields) < set(HardwareRecipe.model_fields)
    assert all(field.default is None for field in fields.values())
