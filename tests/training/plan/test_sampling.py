"""Curation and evaluation: what they take and how much they draw, by hand."""

import re
from pathlib import Path

import pytest

from contracts.errors import PlanError
from training.plan.machine import GIB, Machine
from training.plan.plan import make_plan, require_fits
from training.plan.sampling import ITEMS, curation_responses, evaluation_responses
from training.recipe.hardware import StageHardware
from training.recipe.recipe import load_recipe

ROOT = Path(__file__).parents[3]
SEVEN_B = load_recipe(ROOT / "infra/recipes/revisual-7b.toml")
EIGHT = Machine(8, 80 * GIB)
WEIGHTS = 2 * 8_292_166_656


def changed(section, **values):
    part = getattr(SEVEN_B, section).model_copy(update=values)
    return SEVEN_B.model_copy(update={section: part})


def test_what_7b_draws():
    """47,000 + 21,000 + 31,000 problems, eight times; ten benchmarks, AIME 32 times, 4 policies."""
    curate, evaluate = make_plan(SEVEN_B, EIGHT).sampling
    assert curate.responses == 99_000 * 8 == curation_responses(SEVEN_B)
    others = 3940 + 3040 + 1000 + 5010 + 1740 + 448 + 198 + 500
    assert evaluate.responses == (others + 2 * 30 * 32) * 4 == evaluation_responses(SEVEN_B)
    # A quarter to a half of 8,192 tokens, at 10,000 a second and GPU, or half of that.
    assert curate.sampled_tokens.low == 792_000 * 2048
    assert curate.seconds.low == pytest.approx(792_000 * 2048 / 80_000, rel=1e-2)
    assert curate.seconds.high == pytest.approx(792_000 * 4096 / 40_000, rel=1e-2)


def test_a_source_that_says_how_many_it_gives_is_counted():
    pocket = load_recipe(ROOT / "infra/recipes/pocket.toml")
    assert curation_responses(pocket) == (2800 + 1200) * 4
    assert evaluation_responses(pocket) == (600 + 600) * 4


def test_memory_by_hand():
    """The policy, a third of the card for vLLM, 2 GiB; the host holds vLLM's sleeping weights."""
    for one in make_plan(SEVEN_B, EIGHT).sampling:
        assert one.peak == WEIGHTS + int(0.33 * 79.1 * GIB) + 2 * GIB
        assert one.host == 8 * (4 * GIB + WEIGHTS)
        assert one.longest == 16_384


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
        (SEVEN_B, Machine(8, 80 * GIB, host_memory=100 * GIB), "host memory", "curate.num_proc"),
    ],
)
def test_what_cannot_sample_is_refused(recipe, machine, rule, named):
    with pytest.raises(PlanError, match=r"[Ss]tage curate|KV cache") as caught:
        require_fits(make_plan(recipe, machine, ["curate"]))
    assert rule in caught.value.rule and named in caught.value.fix


def test_each_is_planned_with_its_own_processes_and_only_if_asked():
    own = changed("hardware", stages={"evaluate": StageHardware(num_processes=2)})
    curate, evaluate = make_plan(own, EIGHT).sampling
    assert evaluate.host * 4 == curate.host
    assert evaluate.seconds.low / evaluate.responses == pytest.approx(
        4 * curate.seconds.low / curate.responses
    )
    assert make_plan(own, EIGHT, ["text_rl"]).sampling == ()
    assert [one.name for one in make_plan(own, EIGHT, ["evaluate"]).sampling] == ["evaluate"]
