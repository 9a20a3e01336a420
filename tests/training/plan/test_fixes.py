"""Refusals of the shipped recipes, and the settings that they name."""

from dataclasses import replace

import pytest

from contracts.errors import PlanError
from tests.training.plan.shipped import EIGHT, shipped
from training.plan.machine import GIB, Machine
from training.plan.plan import make_plan, require_fits
from training.recipe.hardware import StageHardware


@pytest.mark.parametrize(
    ("changes", "machine", "named"),
    [
        ({"hardware": {"activation_checkpointing": False}}, EIGHT, "activation_checkpointing"),
        ({"rollout": {"memory_fraction": 0.2}}, EIGHT, "memory_fraction"),
        ({}, Machine(4, 80 * GIB), "num_processes"),
        ({}, Machine(4, 80 * GIB, num_nodes=2), "num_processes"),  # they are those of one node
        ({"hardware": {"num_processes": 4, "nodes": 2}}, Machine(4, 80 * GIB), "hardware.nodes"),
        ({}, Machine(8, 40 * GIB), "zero_stage"),
        ({}, Machine(8, 80 * GIB, host_memory=64 * GIB), "num_processes"),
        ({}, Machine(8, 80 * GIB, disk=600 * GIB), "lower checkpoints.keep_last, set"),
        ({}, Machine(8, 80 * GIB, shared_memory=64 * 2**20), "--shm-size"),
    ],
)
def test_what_cannot_fit_is_refused_with_the_setting(changes, machine, named):
    with pytest.raises(PlanError) as caught:
        require_fits(make_plan(shipped("revisual-7b", **changes), machine))
    assert named in caught.value.fix


def test_fewer_checkpoints_than_one_are_no_fix():
    recipe = shipped("revisual-7b", checkpoints={"keep_last": 1})
    with pytest.raises(PlanError) as caught:
        require_fits(make_plan(recipe, Machine(8, 80 * GIB, disk=400 * GIB)))
    assert caught.value.fix == "set REVISUAL_STORE to a bucket, or take a larger disk"


@pytest.mark.parametrize(
    ("name", "hardware", "fixes"),
    [
        # Reading the weights takes most: a sampler or adapters come later.
        ("cold_start", {}, ["lower hardware.num_processes"]),
        (
            "cold_start",
            {"offload_optimizer": True},
            [
                "raise hardware.zero_stage",  # gradients of ZeRO 2 add up as whole tensors
                "set hardware.offload_optimizer = false",
                "lower hardware.num_processes",
                "train adapters (stages.lora)",
            ],
        ),
        (
            "text_rl",
            {},
            [
                "set hardware.reference_in_host = false",
                "raise rollout.tensor_parallel",
                "lower hardware.num_processes",
                "train adapters (stages.lora)",
            ],
        ),
        (
            "text_rl",
            {"reference_in_host": False},
            [
                "raise rollout.tensor_parallel",
                "lower hardware.num_processes",
                "train adapters (stages.lora)",
            ],
        ),
    ],
)
def test_the_settings_that_are_named_lower_the_hosts_memory_there(name, hardware, fixes):
    recipe = shipped("revisual-7b", hardware=hardware)
    with pytest.raises(PlanError, match="of host memory") as caught:
        require_fits(make_plan(recipe, replace(EIGHT, host_memory=GIB), [name]))
    named = f"{', '.join(fixes)} (not enough alone)"
    assert caught.value.fix == f"{named}, or take a node with more"


@pytest.mark.parametrize(
    ("name", "changes", "machine", "fixes"),
    [
        # ZeRO 3 already shards all there is.
        (
            "multimodal_rl",
            {"rollout": {"memory_fraction": 0.8}, "hardware": {"zero_stage": 3}},
            EIGHT,
            "lower rollout.memory_fraction or set hardware.offload_optimizer = true or "
            "train adapters (stages.lora) or ",
        ),
        # The GPUs would do then, and the host would not.
        (
            "multimodal_rl",
            {"rollout": {"memory_fraction": 0.8}, "hardware": {"zero_stage": 3}},
            replace(EIGHT, host_memory=450 * GIB),
            "lower rollout.memory_fraction or train adapters (stages.lora) or ",
        ),
        # Nobody lends a sampler of 7B the third of a small card beside the policy, or less of it.
        (
            "evaluate",
            {},
            Machine(8, 24 * GIB),
            "lower rollout.memory_fraction (not enough alone), or ",
        ),
        (
            "evaluate",
            {"rollout": {"memory_fraction": 0.2}},
            Machine(8, 24 * GIB),
            "raise rollout.memory_fraction (not enough alone), or ",
        ),
    ],
)
def test_the_settings_that_are_named_let_the_stage_fit(name, changes, machine, fixes):
    with pytest.raises(PlanError) as caught:
        require_fits(make_plan(shipped("revisual-7b", **changes), machine, [name]))
    assert caught.value.fix == f"{fixes}take a GPU with more memory, or a smaller model"


def test_what_a_stage_has_already_is_not_named():
    """One process with adapters at ZeRO 0: nothing could be sharded, and adapters are there."""
    with pytest.raises(PlanError, match=r"cold_start .* GPU memory") as caught:
        require_fits(make_plan(shipped("revisual-3b-24gb"), Machine(1, 16 * GIB)))
    offloaded = "set hardware.zero_stage = 2 and hardware.offload_optimizer = true"
    larger = "take a GPU with more memory, or a smaller model"
    assert caught.value.fix == f"{offloaded} (not enough alone), or {larger}"


def test_a_setting_that_the_recipe_refuses_is_not_named():
    """Eight processes form no group of 16, and fewer none of 8."""
    recipe = shipped("revisual-7b", rollout={"tensor_parallel": 8})
    with pytest.raises(PlanError, match="of host memory") as caught:
        require_fits(make_plan(recipe, replace(EIGHT, host_memory=GIB), ["text_rl"]))
    lora = "train adapters (stages.lora) (not enough alone), or take a node with more"
    assert caught.value.fix == f"set hardware.reference_in_host = false, {lora}"
    with pytest.raises(PlanError, match="of host memory") as caught:
        require_fits(make_plan(recipe, replace(EIGHT, host_memory=GIB), ["evaluate"]))
    assert caught.value.fix == "take a node with more"
    recipe = shipped("revisual-7b", rollout={"tensor_parallel": 8, "memory_fraction": 0.05})
    with pytest.raises(PlanError, match="KV cache") as caught:
        require_fits(make_plan(recipe, EIGHT, ["text_rl"]))
    assert caught.value.fix.startswith("raise rollout.memory_fraction or take a GPU")


def test_a_stages_own_setting_is_the_one_that_is_named():
    own = {"text_rl": StageHardware(num_processes=8, zero_stage=2, activation_checkpointing=False)}
    recipe = shipped("revisual-7b", hardware={"stages": own})

    def fix(machine):
        with pytest.raises(PlanError) as caught:
            require_fits(make_plan(recipe, machine, ["text_rl"]))
        return caught.value.fix

    large = Machine(8, 400 * GIB, host_memory=400 * GIB)
    assert "lower hardware.stages.text_rl.num_processes or" in fix(large)
    assert "lower hardware.stages.text_rl.num_processes," in fix(Machine(4, 80 * GIB))
    assert "set hardware.stages.text_rl.activation_checkpointing = true" in fix(EIGHT)
