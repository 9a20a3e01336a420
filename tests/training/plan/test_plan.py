"""The shipped recipes' plans."""

from dataclasses import replace
from itertools import groupby

import pytest

from contracts.errors import PlanError
from contracts.graces import UPLOAD_SECONDS
from tests.training.plan.shipped import EIGHT, RECIPES, shipped
from training.plan.machine import GIB, Machine
from training.plan.plan import make_plan, require_fits
from training.plan.sleeping import sleeping_bytes
from training.plan.table import plan_lines
from training.recipe.hardware import StageHardware

TO_SPARE = 0.9
FITTING = [
    ("revisual-7b", EIGHT),
    ("revisual-3b", EIGHT),
    ("revisual-3b-1gpu", Machine(1, 80 * GIB)),
    ("revisual-3b-24gb", Machine(1, 24 * GIB)),
]
A10G = Machine(1, int(22.3 * GIB))  # 22.05 GiB of it, and of an L4, are usable


def test_the_recipe_of_24_gb_fits_an_a10g():
    require_fits(make_plan(shipped("revisual-3b-24gb"), A10G))


@pytest.mark.parametrize(("name", "machine"), FITTING[:3])
def test_shipped_recipes_fit_with_a_tenth_to_spare(name, machine):
    plan = make_plan(shipped(name), machine)
    require_fits(plan)
    peaks = {one.stage.name: one.memory.peak for one in plan.stages}
    peaks |= {one.of.name: one.peak for one in plan.sampling}
    assert set(peaks) == {*plan.recipe.stage_names, "curate (grader)"}
    for stage, peak in peaks.items():
        assert peak <= TO_SPARE * machine.usable_gpu_memory, stage


@pytest.mark.parametrize(("name", "machine"), FITTING)
def test_shipped_recipes_save_as_often_as_a_kill_costs_and_have_time_to(name, machine):
    """Young's square root of twice a save's cost times the time between two kills, a day."""
    recipe = shipped(name)
    plan = make_plan(recipe, machine)
    works = [one.work for one in plan.stages]
    for one in plan.stages:
        seconds = one.memory.checkpoint / 1e9
        assert one.memory.checkpoint / 1e8 < UPLOAD_SECONDS  # at 100 MB/s
        assert one.work.save_seconds == pytest.approx(seconds)
        assert (60 * one.work.every_minutes) ** 2 == pytest.approx(2 * seconds * 86_400)
    assert recipe.checkpoints.every_minutes is recipe.checkpoints.every_steps is None
    # Of RL on eight GPUs, too; one takes most of an hour for a step.
    in_time = works if machine.num_gpus == 8 else works[:1]
    slowest = max(work.step_seconds + work.save_seconds for work in in_time)
    assert recipe.checkpoints.grace_seconds >= slowest


def test_a_stage_is_planned_with_its_own_hardware_and_alone_if_asked():
    own = {"text_rl": StageHardware(num_processes=4, zero_stage=3)}
    mixed = make_plan(shipped("revisual-7b", hardware={"stages": own}), EIGHT)
    whole = make_plan(shipped("revisual-7b"), EIGHT)
    other = make_plan(shipped("revisual-7b", hardware={"num_processes": 4, "zero_stage": 3}), EIGHT)
    parts = [(one.memory, one.work) for one in mixed.stages]
    assert parts[:2] == [(one.memory, one.work) for one in whole.stages[:2]]
    assert parts[2] == (other.stages[2].memory, other.stages[2].work)
    assert parts[2] != (whole.stages[2].memory, whole.stages[2].work)
    assert "cold_start: 8 process(es), ZeRO 2; " in plan_lines(mixed)[0]
    assert "text_rl: 4 process(es), ZeRO 3." in plan_lines(mixed)[0]

    alone = make_plan(
        shipped("revisual-7b", hardware={"stages": own}), EIGHT, ["text_rl", "curate"]
    )
    assert [one.stage.name for one in alone.stages] == ["text_rl"]
    assert alone.stages[0] == mixed.stages[2]
    with pytest.raises(PlanError, match="Stage text_rl asks for 4 processes"):
        require_fits(make_plan(alone.recipe, Machine(2, 80 * GIB), ["text_rl"]))


def test_text_rl_at_half_the_memory_for_vllm_is_what_was_worked_out_by_hand():
    """Bytes: weights 2N, reference 2N, 12 of each trained number over 8, half a card, 2 GiB."""
    sampler, on_gpu = {"memory_fraction": 0.5}, {"reference_in_host": False}
    plan = make_plan(shipped("revisual-7b", rollout=sampler, hardware=on_gpu), EIGHT)
    text_rl = plan.stages[2].memory
    trained = 8_292_166_656 - plan.shape.parameters["vision_tower"]
    expected = 4 * 8_292_166_656 + 12 * trained / 8 + 79.1 * GIB / 2 + 2 * GIB
    assert text_rl.rollout == pytest.approx(expected, abs=64)
    with pytest.raises(PlanError, match=r"text_rl needs 83\.1 GiB of GPU memory.* 79\.1") as caught:
        require_fits(plan)
    assert "rollout.memory_fraction" in caught.value.fix
    # The fix that is named first does mend it: 15.4 GiB go to each process's host memory.
    assert caught.value.fix.startswith("set hardware.reference_in_host = true")
    mended = make_plan(shipped("revisual-7b", rollout=sampler), EIGHT)
    require_fits(mended)
    in_host = mended.stages[2].memory
    assert in_host.rollout == text_rl.rollout - 2 * 8_292_166_656
    assert in_host.host == text_rl.host + 8 * 2 * 8_292_166_656
    # While it is at work, its weights come on top of everything that stays.
    assert in_host.update > in_host.held.weights + in_host.held.optimizer + 2 * 8_292_166_656
    assert in_host.update < text_rl.update


@pytest.mark.parametrize("offload", [False, True])
def test_what_zero_3_holds_while_others_work_is_worked_out_by_hand(offload):
    """A bucket of 500 M numbers from the start, and a share of the gradients unless offloaded.

    While the reference scores, weights may still be gathered: 1.05 billion numbers at most.
    """
    hardware = {"zero_stage": 3, "offload_optimizer": offload}
    text_rl = make_plan(shipped("revisual-7b", hardware=hardware), EIGHT).stages[2].memory
    trained = text_rl.checkpoint / 12  # but for a count of each tensor
    gradients = 0 if offload else 2 * trained / 8
    others = text_rl.held.weights + text_rl.held.optimizer + 2 * GIB
    between = others + gradients + 2 * 500e6
    assert text_rl.rollout == pytest.approx(between + int(0.33 * 79.1 * GIB), abs=1000)
    workspace = max(text_rl.activations.head, text_rl.activations.layer)
    scoring = between + 2 * 8_292_166_656 + 2 * 1.05e9 + workspace + 2 * GIB
    assert text_rl.update == pytest.approx(scoring, abs=1000)


def test_gradients_cross_over_by_way_of_a_buffer_that_stays():
    """As large as the largest tensor: 7B's embedding of 152,064 x 3,584 numbers."""
    hardware = {"zero_stage": 2, "offload_optimizer": True}
    one = make_plan(shipped("revisual-7b", hardware=hardware), EIGHT).stages[1].memory
    others = one.held.weights + one.held.optimizer + one.reference + 2 * GIB
    assert one.rollout - others == 2 * 152_064 * 3584 + int(0.33 * 79.1 * GIB)


def test_an_offloaded_optimizer_mends_a_whole_3b_on_one_card():
    """Twelve bytes a trained number leave the card, 16 (float32) and 4 (bfloat16) the host's.

    A buffer for gradients on their way is added, of the embedding's 151,936 x 2,048 numbers.
    """
    one = Machine(1, 80 * GIB, host_memory=256 * GIB)
    whole = {"num_processes": 1, "stages": {"curate": StageHardware(num_processes=8)}}
    names = ["cold_start", "multimodal_rl", "text_rl"]
    plan = make_plan(shipped("revisual-3b", hardware=whole), one, names)
    with pytest.raises(PlanError, match="GPU memory") as caught:
        require_fits(plan)
    assert "set hardware.offload_optimizer = true or" in caught.value.fix
    offloaded = whole | {"offload_optimizer": True}
    mended = make_plan(shipped("revisual-3b", hardware=offloaded), one, names)
    require_fits(mended)
    for before, after in zip(plan.stages, mended.stages, strict=True):
        kept, moved = before.memory, after.memory
        trained = kept.checkpoint // 12  # but for a count of each tensor
        left = 12 * trained - 2 * 151_936 * 2048
        assert kept.rollout - moved.rollout == pytest.approx(left, rel=1e-4) or not kept.rollout
        assert moved.host - kept.host == pytest.approx(20 * trained, rel=0.05)
        assert moved.update < kept.update - 11 * trained
        assert moved.held.weights == kept.held.weights
    assert "1 process(es), ZeRO 2, the optimizer in host memory." in plan_lines(mended)[0]


def test_kv_cache_tokens_by_hand():
    """7B: 28 layers x 2 x 4 heads x 128 numbers x 2 bytes are 57,344 bytes a token."""
    memory = make_plan(shipped("revisual-7b"), EIGHT).stages[1].memory
    # Its MLP's largest batch: 16,384 tokens of three times 18,944 and 3,584 numbers.
    work = 16_384 * 2 * 3 * (18_944 + 3584) + 1024 * 152_064 * 4 + GIB
    cache = int(0.33 * 79.1 * GIB) - 2 * 8_292_166_656 - work
    assert memory.cache_tokens == pytest.approx(cache // 57_344, abs=1)


def test_two_nodes_are_planned_as_the_same_processes_of_one():
    """All but the hosts' share: half of the processes are on each."""
    hourly = {"checkpoints": {"every_minutes": 60.0}}
    one = make_plan(shipped("revisual-7b", **hourly), EIGHT)
    hardware = {"num_processes": 4, "nodes": 2}
    recipe = shipped("revisual-7b", hardware=hardware, **hourly)
    two = make_plan(recipe, Machine(4, 80 * GIB, num_nodes=2))
    require_fits(two)
    for whole, half in zip(one.stages, two.stages, strict=True):
        assert half.memory.held == whole.memory.held
        assert half.memory.peak == whole.memory.peak
        # Each node writes its own share of a checkpoint.
        rhythm = {"save_seconds": 0.0, "every_minutes": 0.0}
        assert replace(half.work, **rhythm) == replace(whole.work, **rhythm)
        assert 2 * half.work.save_seconds == pytest.approx(whole.work.save_seconds)
        assert 2 * half.memory.host == pytest.approx(whole.memory.host, abs=2)


def test_checkpoints_and_updates_by_hand():
    """918 updates are 47,000 rows x 5 epochs / 256; a checkpoint is 12 bytes a parameter."""
    plan = make_plan(shipped("revisual-7b"), EIGHT)
    cold_start, multimodal = plan.stages[0], plan.stages[1]
    assert cold_start.work.num_updates == 918
    # 21.5 hours at the slowest, saved every 69.1 minutes, and at the end.
    assert cold_start.work.num_saves == 18 + 1
    # 45.2 hours, and 20 validations in 200 steps.
    assert multimodal.work.num_saves == 39 + 20
    hourly = shipped("revisual-7b", checkpoints={"every_minutes": 60.0})
    assert make_plan(hourly, EIGHT).stages[0].work.num_saves == 21 + 1
    by_steps = shipped("revisual-7b", checkpoints={"every_steps": 10, "every_minutes": 10_000.0})
    assert make_plan(by_steps, EIGHT).stages[0].work.num_saves == 91 + 1
    assert cold_start.memory.checkpoint == pytest.approx(12 * 8_292_166_656, abs=10_000)


def test_disk_by_hand():
    """The newest checkpoint is stored before one of two goes, and the best stays: four.

    Copies: base, and the 32B grader of 33,452,718,336 numbers. Text RL is the fullest: two models
    and multimodal RL's best checkpoint are there before it.
    """
    plan = make_plan(shipped("revisual-7b"), EIGHT)
    grader = 2 * 33_452_718_336
    model, work = 2 * 8_292_166_656, plan.stages[2].work
    best, checkpoint = (one.memory.checkpoint for one in plan.stages[1:])
    kept = plan.recipe.checkpoints.keep_last + 2
    assert work.stored == kept * checkpoint + model
    assert plan.copies == model + grader
    before = 2 * model + best
    assert plan.disk == plan.copies + before + work.stored + 5 * checkpoint + 2 * model
    assert round(plan.disk / 10**9) == 1093
    assert make_plan(plan.recipe, EIGHT, ["cold_start"]).copies == model


def test_the_host_has_room_for_the_model_while_it_is_written():
    """One card: vLLM sleeps there page-locked, and adapters' checkpoints are smaller."""
    plan = make_plan(shipped("revisual-3b-1gpu"), Machine(1, 80 * GIB))
    one, whole = plan.stages[1].memory, 2 * plan.shape.total
    asleep = sleeping_bytes(plan.recipe.rollout, "bfloat16", plan.shape, int(79.1 * GIB))
    assert one.checkpoint < whole
    assert one.host - one.data == pytest.approx(4 * GIB + asleep + whole, abs=8)


@pytest.mark.parametrize(("name", "machine"), FITTING)
def test_the_tables_of_the_docs_are_the_plans(name, machine):
    lines = [line for line in plan_lines(make_plan(shipped(name), machine)) if line[:1] == "|"]
    told = (RECIPES.parents[1] / "docs/hardware.md").read_text().split(f"`revisual plan {name}")
    own = told[1].split("\n## ")[0].splitlines()
    assert [line for line in own if line.startswith("|")] == lines


def test_the_table_has_a_column_for_each_stage_and_a_price():
    plan = make_plan(shipped("revisual-3b"), EIGHT)
    lines = plan_lines(plan, gpu_hour_price=2.0)
    learning, sampling = [
        list(rows) for is_row, rows in groupby(lines, lambda line: line.startswith("|")) if is_row
    ]
    assert {line.count("|") for line in learning} == {len(plan.stages) + 2}
    assert {line.count("|") for line in sampling} == {len(plan.sampling) + 2}
    seconds = plan.stages[0].work.learner_seconds, plan.sampling[0].seconds
    for rows, of in zip((learning, sampling), seconds, strict=True):
        assert f"{of.low / 3600 * 16:,.1f} to" in next(row for row in rows if "cost" in row)
    assert not any("cost" in line for line in plan_lines(plan))
