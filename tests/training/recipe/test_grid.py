"""Grids: arms as whole recipes, what they share, and what is refused."""

from pathlib import Path

import pytest

from contracts.errors import RecipeError
from training.recipe.effects import result_fields
from training.recipe.grid import Asked, Grid, arm_recipe, load_grid, merged
from training.recipe.recipe import load_recipe, resolved_toml_values

INFRA = Path(__file__).parents[3] / "infra"
# Tables 3 and 4 of the paper (v1 and v2), average of six multimodal benchmarks.
PAPER = {
    "cs": 47.1,
    "cs+mrl": 47.7,
    "cs+trl": 44.9,
    "cs+mrl+trl": 49.6,
    "cs+trl+mrl": 45.5,
    "cs+mixed": 47.6,
    "cs+mrl-random": 46.2,
    "cs+mrl-dapo": 46.1,
    "cs+mrl-filter": 46.0,
    "cs+mrl-grpo": 45.1,
}


@pytest.fixture(scope="module")
def shipped() -> Grid:
    return load_grid(INFRA / "ablations" / "pocket.toml")


@pytest.fixture(scope="module")
def base() -> dict:
    return resolved_toml_values(load_recipe(INFRA / "recipes" / "pocket.toml"))


def recipe_of(grid, base, name, seed=0, **asked):
    return arm_recipe(
        grid, grid.arm(name), base, seed=seed, asked=Asked(**asked), folder=Path("/g")
    )


def small(**changes) -> Grid:
    arm = {"name": "cs", "stages": ["cold_start"]} | changes.pop("arm", {})
    return Grid.model_validate({"name": "g", "recipe": "pocket", "arms": [arm]} | changes)


def test_the_shipped_grid_has_the_papers_arms_and_numbers(shipped, base):
    assert {one.name: one.paper.percent for one in shipped.arms if one.paper} == PAPER
    for arm in shipped.arms:
        recipe = recipe_of(shipped, base, arm.name, seed=5)
        assert recipe.seed == 5
        if arm.stages:
            assert tuple(stage.name for stage in recipe.stages) == arm.stages


def test_arms_differ_in_what_their_names_say_alone(shipped, base):
    strategies = {"cs+mrl-random": "random", "cs+mrl-dapo": "dynamic", "cs+mrl-grpo": "none"}
    pad = recipe_of(shipped, base, "cs+mrl").stages[1]
    for name, strategy in strategies.items():
        stage = recipe_of(shipped, base, name).stages[1]
        assert stage.pad.strategy == strategy
        same = {"strategy": pad.pad.strategy, "refill_rounds": pad.pad.refill_rounds}
        assert stage.model_copy(update={"pad": stage.pad.model_copy(update=same)}) == pad
    without = recipe_of(shipped, base, "cs+mrl-no-length").stages[1]
    assert [reward.kind for reward in pad.rewards] == ["accuracy", "efficient_length"]
    assert [reward.kind for reward in without.rewards] == ["accuracy"]


def test_all_arms_share_the_curation_and_those_of_text_the_cold_start(shipped, base):
    recipes = {arm.name: recipe_of(shipped, base, arm.name) for arm in shipped.arms}
    curations = [result_fields(one, "curate") for one in recipes.values()]
    assert all(one == curations[0] for one in curations)
    starts = [
        result_fields(recipes[arm.name], "cold_start")
        for arm in shipped.arms
        if "cold_start" in arm.stages
    ]
    assert len(starts) == 11 and all(one == starts[0] for one in starts)
    evaluations = [result_fields(one, "evaluate") for one in recipes.values()]
    assert all(one == evaluations[0] for one in evaluations)


def test_mixed_rl_has_as_many_steps_as_both_stages_and_reads_both_sets(shipped, base):
    mixed = recipe_of(shipped, base, "cs+mixed", stretch=4).stages[1]
    both = recipe_of(shipped, base, "cs+mrl+trl", stretch=4).stages[1:]
    assert mixed.num_steps == sum(stage.num_steps for stage in both) == 128
    assert {mixed.data, mixed.mixed_with} == {stage.data for stage in both}


def test_changes_are_made_by_name_and_leave_the_recipe_alone(base):
    before = resolved_toml_values(load_recipe(INFRA / "recipes" / "pocket.toml"))
    grid = small(changes={"stages": {"text_rl": {"num_steps": 3}}, "hardware": {"zero_stage": 1}})
    recipe = recipe_of(grid, base, "cs", changes={"evaluation": {"temperature": 0.5}})
    assert recipe.hardware.zero_stage == 1 and recipe.evaluation.temperature == 0.5
    assert base == before
    values = merged(base, {"stages": {"text_rl": {"kl": {"coefficient": 0.5}}}}, where="here")
    assert values["stages"][2]["kl"] == before["stages"][2]["kl"] | {"coefficient": 0.5}
    assert values["stages"][:2] == before["stages"][:2]


@pytest.mark.parametrize(
    ("grid", "told"),
    [
        ({"changes": {"seeds": 1}}, "There is no field seeds."),
        ({"changes": {"stages": {"rl": {}}}}, "There is no stages.rl."),
        (
            {"arm": {"changes": {"stages": {"cold_start": {"steps": 1}}}}},
            "There is no field stages.cold_start.steps.",
        ),
        ({"arm": {"stages": ["warm_start"]}}, "The arm trains 'warm_start'."),
        ({"stages": {"more_rl": {"like": "rl"}}}, "stages.more_rl.like is 'rl'."),
        ({"arm": {"changes": {"stages": {"cold_start": {"epochs": -1}}}}}, "greater than 0"),
        ({"arm": {"stages": ["cold_start", "cold_start"]}}, "names must be unique"),
    ],
)
def test_an_arm_that_breaks_a_rule_is_refused_by_its_name(base, grid, told):
    with pytest.raises(RecipeError) as refused:
        recipe_of(small(**grid), base, "cs")
    assert told in str(refused.value)
    assert "grid g, arm cs" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('arms = [{ name = "a", over = "b" }]', "`over` is 'b', which is none of ['a']"),
        ('arms = [{ name = "a", over = "a" }]', "`over` must be another arm"),
        ('arms = [{ name = "a" }, { name = "a" }]', "arms must be different ones"),
        ('seeds = [1, 1]\narms = [{ name = "a" }]', "seeds must be different ones"),
        ("seeds = [0]", "arms: Field required"),
        ('arms = [{ name = "a", stage = [] }]', "arms.0.stage: Extra inputs"),
    ],
)
def test_a_grid_that_breaks_a_rule_is_refused(tmp_path, text, told):
    path = tmp_path / "grid.toml"
    path.write_text(f'name = "g"\nrecipe = "pocket"\n{text}\n')
    with pytest.raises(RecipeError) as refused:
        load_grid(path)
    assert told in str(refused.value)
    assert str(path) in str(refused.value)


def test_an_arm_that_there_is_not(shipped):
    with pytest.raises(RecipeError, match="no arm 'cs\\+nothing'"):
        shipped.arm("cs+nothing")
