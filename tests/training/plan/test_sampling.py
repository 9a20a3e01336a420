"""Curation and evaluation: what they take and how much they draw, by hand."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import PlanError
from training.plan.machine import GIB, Machine
from training.plan.plan import make_plan, require_fits
from training.plan.sampling import curation_responses, evaluation_responses
from training.plan.shape import shape_at
from training.plan.sleeping import MIB, page_locked, sleeping_bytes, weight_matrices
from training.plan.table import plan_lines
from training.recipe.curation import TopicNamesRecipe
from training.recipe.hardware import StageHardware
from training.recipe.known_benchmarks import ITEMS
from training.recipe.model import TransformersRollout
from training.recipe.recipe import load_recipe

ROOT = Path(__file__).parents[3]
SEVEN_B = load_recipe(ROOT / "infra/recipes/revisual-7b.toml")
SEVEN_B_SHAPE = shape_at(SEVEN_B.model.path)
EIGHT = Machine(8, 80 * GIB)
WEIGHTS, GRADER = 2 * 8_292_166_656, 33_452_718_336
TOWER = 636_401_664 + 52_440_320  # of the grader, with its projector


def changed(section, **values):
    part = getattr(SEVEN_B, section).model_copy(update=values)
    return SEVEN_B.model_copy(update={section: part})


def graded(recipe=SEVEN_B, *, model=None, **rollout):
    """The recipe with another grader, or an engine of other settings."""
    grader = recipe.curation.grader
    values = {"rollout": grader.rollout.model_copy(update=rollout)}
    if model is not None:
        values["model"] = grader.model.model_copy(update={"path": model})
    curation = recipe.curation.model_copy(update={"grader": grader.model_copy(update=values)})
    return recipe.model_copy(update={"curation": curation})


def test_what_7b_draws():
    """47,000 + 21,000 + 31,000 problems, eight times; ten benchmarks, AIME 32 times, 4 policies."""
    curate, grader, evaluate = make_plan(SEVEN_B, EIGHT).sampling
    assert curate.of.responses == 99_000 * 8 == curation_responses(SEVEN_B)
    others = 3940 + 3040 + 1000 + 5010 + 1740 + 448 + 198 + 500
    assert evaluate.of.responses == (others + 2 * 30 * 32) * 4 == evaluation_responses(SEVEN_B)
    # A quarter to a half of 8,192 tokens, at 10,000 a second and GPU, or half of that.
    assert curate.sampled_tokens.low == 792_000 * 2048
    assert curate.seconds.low == pytest.approx(792_000 * 2048 / 80_000, rel=1e-2)
    assert curate.seconds.high == pytest.approx(792_000 * 4096 / 40_000, rel=1e-2)
    # The grader: half as many answers of a model of four times the parameters.
    assert grader.of.responses == 99_000 * 4
    hours = curate.seconds.low / 2 * GRADER / 8_292_166_656
    assert grader.seconds.low == pytest.approx(hours)


def test_a_source_that_says_how_many_it_gives_is_counted():
    pocket = load_recipe(ROOT / "infra/recipes/pocket.toml")
    assert curation_responses(pocket) == (2800 + 1200) * 4
    # Four policies, each of which answers each problem four times.
    assert evaluation_responses(pocket) == (600 + 600) * 4 * 4


def test_weights_asleep_by_hand():
    """7B in MiB, each block the next power of two; what is below 10 MiB shares segments of 20.

    A layer: 31.5 (qkv), 24.5 (o), 259 (gate and up), 129.5 (down) become 32, 32, 512 and 256.
    Embedding and head: 1039.5 becomes 2048. A block of the tower: two of 9.4 and two of 8.4 share
    32, as six of 3.1 do, and 16.7 becomes 32. The projector's 50 and 35 become 64 each.
    """
    shared = 32 / 6
    by_hand = 28 * (32 + 32 + 512 + 256) + 2 * 2048 + 32 * (16 + shared + 32 + 16) + 128 + shared
    by_hand += 1024  # 594 of counts of sampled tokens: 1024 sequences, 152,064 ids, 32 bits
    asleep = sleeping_bytes(SEVEN_B.rollout, "bfloat16", SEVEN_B_SHAPE, 79 * GIB)
    assert asleep / MIB == pytest.approx(by_hand, rel=1e-4) and asleep > 1.8 * WEIGHTS


@pytest.mark.parametrize("name", ["3B", "7B", "32B"])
def test_the_matrices_are_all_but_biases_and_norms(name):
    shape = shape_at(f"Qwen/Qwen2.5-VL-{name}-Instruct")
    found = sum(count * elements for count, elements in weight_matrices(shape))
    assert 0.9995 * shape.total < found < shape.total


@given(num_bytes=st.integers(1, 2**34))
def test_a_block_is_less_than_four_times_its_tensor(num_bytes):
    """Half of a segment of 20 MiB may be empty, and its block has 32."""
    assert num_bytes <= page_locked(num_bytes) < 4 * num_bytes
    if num_bytes >= 10 * MIB:
        block = page_locked(num_bytes)
        assert block & (block - 1) == 0 and block < 2 * (num_bytes + 2 * MIB)


def test_memory_by_hand():
    """The policy, a third of the card for vLLM, 2 GiB; the host holds vLLM's sleeping weights.

    An evaluation reads the next policy beside them; the engine keeps none of those before.
    """
    asleep = sleeping_bytes(SEVEN_B.rollout, "bfloat16", SEVEN_B_SHAPE, 79 * GIB)
    curate, _, evaluate = make_plan(SEVEN_B, EIGHT).sampling
    for one in (curate, evaluate):
        assert one.peak == WEIGHTS + int(0.33 * 79.1 * GIB) + 2 * GIB
        assert one.longest == 16_384
    assert curate.host == 8 * (4 * GIB + asleep)
    assert evaluate.host == 8 * (4 * GIB + asleep + WEIGHTS)


def test_a_graders_memory_by_hand():
    """Its tower and a quarter of the rest on each GPU; 256 KiB a token: 64 layers, 8 heads of 128,
    twice.

    Asleep, in MiB: a quarter of 70, 50, 540 and 270 a layer, of 1485 of embedding and head.
    """
    grader = make_plan(SEVEN_B, EIGHT, ["curate"]).sampling[1]
    quarter = 2 * ((GRADER - TOWER) // 4 + TOWER)
    assert grader.weights == 0
    assert grader.peak == int(0.85 * 79.1 * GIB) + 2 * GIB < 0.9 * EIGHT.usable_gpu_memory
    # Logits of 1024 sequences thrice, which are more than the MLP of 16,384 tokens on a quarter of
    # the GPUs; as large once more the counts of sampled tokens; and a GiB of graphs.
    assert 3 * 1024 * 152_064 * 4 > 16_384 * 2 * (3 * 27_648 // 4 + 3 * 5120)
    work = 4 * 1024 * 152_064 * 4 + GIB
    cache = int(0.85 * 79.1 * GIB) - quarter - work
    assert grader.sampler.cache_tokens == 4 * cache // (2 * 64 * 8 * 128 * 2)
    shared = 32 / 6
    tower = 32 * (16 + shared + 32 + 16) + 64 + 64 + shared
    asleep = 64 * (32 + 16 + 256 + 128) + 2 * 512 + tower + 1024
    assert grader.host / MIB == pytest.approx(8 * (4096 + asleep), rel=1e-3)
    assert grader.longest == 16_384
    one = load_recipe(ROOT / "infra/recipes/revisual-3b-1gpu.toml")
    alone = make_plan(one, Machine(1, 80 * GIB)).sampling[1]
    assert alone.of.responses == 2 * 99_000
    assert alone.of.shape == SEVEN_B_SHAPE
    in_place = graded().curation.grader.model_copy(update={"rollout": TransformersRollout()})
    curation = SEVEN_B.curation.model_copy(update={"grader": in_place})
    grader = make_plan(SEVEN_B.model_copy(update={"curation": curation}), EIGHT).sampling[1]
    assert grader.weights == 2 * GRADER
    assert grader.peak == 2 * GRADER + EIGHT.usable_gpu_memory // 4 + 2 * GIB


def test_the_next_policy_is_loaded_beside_the_one_that_transformers_samples_from():
    """On a card of 40 GiB a quarter, its KV cache, is less than 15.4 GiB of weights."""
    small = Machine(8, 40 * GIB)
    in_place = SEVEN_B.model_copy(update={"rollout": TransformersRollout()})
    (evaluate,) = make_plan(in_place, small, ["evaluate"]).sampling
    assert evaluate.peak == 2 * WEIGHTS + 2 * GIB
    curate, _ = make_plan(in_place, small, ["curate"]).sampling
    assert curate.peak == WEIGHTS + small.usable_gpu_memory // 4 + 2 * GIB


def test_a_grader_of_unknown_sizes_is_named_and_not_counted():
    plan = make_plan(graded(model="somebody/large"), EIGHT)
    assert [one.of.name for one in plan.sampling] == ["curate", "evaluate"]
    assert any("curation's somebody/large, whose sizes" in line for line in plan_lines(plan))
    lines = plan_lines(make_plan(SEVEN_B, EIGHT))
    assert any("Not counted: benchmarks of files" in line for line in lines)
    assert any("curate (grader) |" in line for line in lines)


def test_a_model_that_names_topics_is_asked_once_for_each_and_counted():
    """Of 50,000 clustered problems 30 are a topic at least: 1,666 of them."""
    names = TopicNamesRecipe(model=SEVEN_B.model)
    topics = SEVEN_B.curation.topics.model_copy(update={"names": names})
    curation = SEVEN_B.curation.model_copy(update={"topics": topics})
    plan = make_plan(SEVEN_B.model_copy(update={"curation": curation}), EIGHT, ["curate"])
    base, _, named = plan.sampling
    assert (named.of.name, named.of.responses) == ("curate (names)", 1666)
    assert named.sampler.awake == base.sampler.awake and named.weights == 0


def test_items_are_those_of_the_documentation():
    text = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w-]+)` \|[^|]+\|[^|]+\| ([\d,]+) \|", text, flags=re.M)
    assert {name: int(items.replace(",", "")) for name, items in rows} == dict(ITEMS)


@pytest.mark.parametrize(
    ("recipe", "machine", "rule", "named"),
    [
        (changed("rollout", memory_fraction=0.9), EIGHT, "GPU memory", "memory_fraction"),
        (changed("rollout", memory_fraction=0.2), EIGHT, "KV cache", "memory_fraction"),
        (SEVEN_B, Machine(4, 80 * GIB), "GPU of its own", "num_processes"),
        (SEVEN_B, Machine(8, 80 * GIB, host_memory=200 * GIB), "host memory", "curate.num_proc"),
        (SEVEN_B, Machine(8, 80 * GIB, host_memory=200 * GIB), "host memory", "raise rollout.tens"),
        (graded(memory_fraction=0.99), EIGHT, "GPU memory", "grader.rollout.memory_fraction"),
        (graded(tensor_parallel=1), EIGHT, "KV cache", "grader.rollout.tensor_parallel"),
        (
            graded(tensor_parallel=1, memory_fraction=0.9),
            Machine(8, 80 * GIB, host_memory=800 * GIB),
            "host memory",
            "raise curation.grader.rollout.tensor_parallel or lower hardware.stages.curate.num_",
        ),
    ],
)
def test_what_cannot_sample_is_refused(recipe, machine, rule, named):
    with pytest.raises(PlanError, match=r"[Ss]tage curate|KV cache") as caught:
        require_fits(make_plan(recipe, machine, ["curate"]))
    assert rule in caught.value.rule and named in caught.value.fix


def test_each_is_planned_with_its_own_processes_and_only_if_asked():
    own = changed("hardware", stages={"evaluate": StageHardware(num_processes=2)})
    curate, _, evaluate = make_plan(own, EIGHT).sampling
    assert evaluate.host * 4 == make_plan(SEVEN_B, EIGHT, ["evaluate"]).sampling[0].host
    assert evaluate.seconds.low / evaluate.of.responses == pytest.approx(
        4 * curate.seconds.low / curate.of.responses
    )
    assert make_plan(own, EIGHT, ["text_rl"]).sampling == ()
    assert [one.of.name for one in make_plan(own, EIGHT, ["evaluate"]).sampling] == ["evaluate"]
