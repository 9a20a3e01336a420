"""What a recipe says of its gates is checked when it is read, against what there is."""

import tomllib
from pathlib import Path

import pytest

from contracts.errors import RecipeError
from training.recipe.gates import CurationGate, EvaluationGate
from training.recipe.recipe import load_recipe, parse_recipe

RECIPES = Path(__file__).parents[3] / "infra" / "recipes"
POCKET = RECIPES / "pocket.toml"
SHORT = {
    "name": "short",
    "table": "text_rl",
    "column": "question",
    "kind": "length_between",
    "max": 99,
}


def with_gate(gate, **values):
    recipe = tomllib.loads(POCKET.read_text())
    recipe["gates"][gate] = recipe["gates"].get(gate, {}) | values
    return recipe


def own(**changes):
    values = SHORT | changes
    return {"expectations": [{name: one for name, one in values.items() if one is not None}]}


def drop(**changes):
    values = {"name": "decay", "stage": "text_rl", "max_points": 1.0}
    return {"drops": [values | changes]}


def test_severities_come_from_the_expectation_then_the_names_then_the_gate():
    values = own(severity="warning")["expectations"] + own(name="other")["expectations"]
    gate = CurationGate.model_validate(
        {"severities": {"rows": "warning", "other": "warning"}, "expectations": values}
    )
    names = ("rows", "families", "short", "other")
    assert [gate.severity_of(name) for name in names] == ["warning", "error", "warning", "warning"]
    lenient = EvaluationGate.model_validate(
        {"severity": "warning", **drop(severity="error"), "severities": {"scores": "error"}}
    )
    names = ("decay", "scores", "value")
    assert [lenient.severity_of(name) for name in names] == ["error", "error", "warning"]


def test_that_a_figure_is_known_is_as_bad_as_its_bound_unless_it_is_said():
    gate = EvaluationGate.model_validate({"severities": {"gain over base": "warning"}})
    assert gate.severity_of("gain over base known") == "warning"
    own = {"gain over base": "warning", "gain over base known": "error"}
    gate = EvaluationGate.model_validate({"severities": own})
    assert gate.severity_of("gain over base known") == "error"


# Beside `max_length_growth`, an upper bound on the length itself says nothing more.
NOT_GIVEN = {"max_response_tokens"}


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_each_shipped_recipe_has_bounds_that_can_be_broken(path):
    gates = load_recipe(path).gates
    for gate in (gates.curation, gates.rollouts, gates.evaluation):
        bounds = {name: one for name, one in gate if name.startswith(("min_", "max_"))}
        assert {name for name, one in bounds.items() if one is None} <= NOT_GIVEN
    shares = (
        *(gates.curation.max_refused, gates.rollouts.max_truncated),
        *(gates.rollouts.max_zero_variance, gates.rollouts.max_idle_steps),
        *(gates.rollouts.max_duplicates, gates.rollouts.max_timeouts),
        *(gates.evaluation.max_unparseable, gates.evaluation.max_drop_points / 100),
    )
    assert all(0.0 < share < 1.0 for share in shares)


BROKEN = {
    "a misspelt expectation": (
        *("curation", {"severities": {"familys": "warning"}}),
        "['familys'] are none of its expectations ['rows', 'families'",
    ),
    "another severity": ("curation", {"severities": {"rows": "stop"}}, "severities.rows"),
    "an unknown table": ("curation", own(table="texts"), "`table` is 'texts', which is none of"),
    "an unknown column": ("curation", own(column="questoin"), "`column` is 'questoin'"),
    "a column of another type": (
        *("curation", own(column="level")),
        "`column` 'level' holds a number, this kind needs a text",
    ),
    "values of another type": (
        *("curation", own(kind="in_set", values=[1, 2], max=None)),
        "`column` 'question' holds a text, this kind needs a number",
    ),
    "values of two types": (
        *("curation", own(kind="in_set", values=["a", 2], max=None)),
        "`values` are all texts, all numbers, or all true and false",
    ),
    "no bound": ("curation", own(max=None), "set `min`, `max` or both"),
    "bounds crossed": ("curation", own(min=100), "`min` (100) is above `max` (99)"),
    "a share above one": ("curation", own(share=1.5), "share"),
    "no pattern": (
        *("curation", own(kind="matches", pattern="(", max=None)),
        "no regular expression of Python's",
    ),
    "a bound that the kind has not": (
        *("curation", own(kind="not_null")),
        "max: unknown key",
    ),
    "an unknown kind": ("curation", own(kind="is_nice"), "is_nice"),
    "a name twice": (
        *("curation", {"expectations": [SHORT, SHORT]}),
        "['short'] name more than one expectation",
    ),
    "a name of ours": ("curation", own(name="rows"), "['rows'] name more than one expectation"),
    "a table of another gate": ("rollouts", own(), "`table` is 'text_rl', which is none of"),
    "a drop of an unknown stage": (
        *("evaluation", drop(stage="text")),
        "`stage` is 'text', which is none of",
    ),
    "a drop on an unknown benchmark": (
        *("evaluation", drop(benchmarks=["pocket_txt"])),
        "['pocket_txt'] are none of the benchmarks",
    ),
    "a drop with a name of ours": (
        *("evaluation", drop(name="scores")),
        "['scores'] name more than one expectation",
    ),
    "no time to decide": ("curation", {"pause_hours": 0}, "pause_hours"),
    "another way to fail": ("curation", {"on_failure": "stop"}, "on_failure"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_fault_names_the_field_and_what_there_is(fault):
    gate, values, expected = BROKEN[fault]
    with pytest.raises(RecipeError) as caught:
        parse_recipe(with_gate(gate, **values), where="test")
    assert expected in str(caught.value)


def test_the_tables_are_the_sets_and_all_of_them():
    for table in ("cold_start", "multimodal_rl", "text_rl", "all sets"):
        parse_recipe(with_gate("curation", **own(table=table)), where="test")
