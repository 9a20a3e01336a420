"""Which steps of curation a recipe may name, and in which order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import RecipeError
from drills.disturbed import new_recipe
from training.recipe.curation import STEPS, own_steps
from training.recipe.recipe import Recipe, parse_recipe

OWN = ["my_rules:no_money", "rules.more:short"]
STRAY = ["Duplicates", "rules", "my_rules.no_money", "my rules:no_money", "", ":"]


def with_steps(steps: list[str]) -> Recipe:
    values = new_recipe("curate").model_dump(mode="json")
    values["curation"]["steps"] = steps
    return parse_recipe(values, where="tests")


@given(st.lists(st.sampled_from([*STEPS, *OWN, *STRAY[:2]]), max_size=8) | st.permutations(STEPS))
def test_an_order_is_taken_or_refused_as_the_rules_say(steps):
    """Each at most once; those that are needed; each behind what it needs."""
    needed = {"verifiability", "duplicates", "prompt length"}
    shipped = [step for step in steps if step in STEPS]
    is_sound = (
        len(set(steps)) == len(steps)
        and needed <= set(steps)
        and set(steps) <= {*STEPS, *OWN}
        and shipped[:1] == ["verifiability"]
        and "near duplicates" not in shipped[: shipped.index("duplicates")]
    )
    try:
        found = with_steps(steps).curation.steps
    except RecipeError as error:
        assert not is_sound and "curation.steps" in error.rule
    else:
        assert is_sound and list(found) == steps
        assert own_steps(found) == tuple(step for step in steps if step in OWN)


@pytest.mark.parametrize("stray", STRAY)
def test_a_name_that_is_no_step_is_told_with_those_that_are(stray):
    with pytest.raises(RecipeError) as caught:
        with_steps([*STEPS, stray])
    assert f"curation.steps: Value error, {stray!r} is no step" in caught.value.rule
    assert all(step in caught.value.rule for step in (*STEPS, "package.module:name"))


@pytest.mark.parametrize(
    ("steps", "rule", "fix"),
    [
        ([*STEPS, OWN[0], OWN[0]], "a step is named once", f"of ['{OWN[0]}']"),
        ([*STEPS, "duplicates"], "a step is named once", "of ['duplicates']"),
        (STEPS[1:], "'verifiability' must be named, since no other step can read", "add it"),
        (["verifiability", "prompt length"], "apart by their ids", "add it"),
        (["verifiability", "duplicates"], "without room gets no answer", "add it"),
        (
            ["duplicates", "decontamination", "verifiability", "prompt length"],
            "['duplicates', 'decontamination'] must stand behind 'verifiability', since no other",
            "move them",
        ),
        (
            ["verifiability", "near duplicates", OWN[0], "duplicates", "prompt length"],
            "'near duplicates' must stand behind 'duplicates', since its rejects name",
            "move it",
        ),
    ],
)
def test_a_refusal_says_why_and_what_to_do(steps, rule, fix):
    with pytest.raises(RecipeError) as caught:
        with_steps(list(steps))
    assert rule in caught.value.rule and fix in caught.value.rule
