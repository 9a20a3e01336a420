"""Expectations that a recipe adds: each kind breaks for the rows that it should, and no others."""

import pytest

from data_checks import validate
from data_checks.frames import curated_frame
from data_checks.gate import GateError, check_curation
from training.recipe.recipe import parse_recipe


def of(kind, column=None, **values):
    named = {"column": column} if column else {}
    return {"name": "mine", "table": "cold", "kind": kind, **named, **values}


# cold has the rows 0 to 7; level = 1 + number, answer = number + 1, family sums and clocks in turn.
BROKEN_ROWS = {
    "not_null": (of("not_null", "reading"), [0, 1, 2, 3, 4, 5, 6, 7]),
    "not_null, as ours": (of("not_null", "question"), []),
    "unique": (of("unique", "family"), [0, 1, 2, 3, 4, 5, 6, 7]),
    "between": (of("between", "level", min=2, max=6), [0, 6, 7]),
    "between, one bound": (of("between", "pass_rate", max=0.25), []),
    "length_between": (of("length_between", "question", max=21), []),
    "in_set": (of("in_set", "family", values=["sums"]), [1, 3, 5, 7]),
    "in_set, numbers": (of("in_set", "level", values=[1, 2, 3, 4, 5, 6, 7]), [7]),
    "in_set, flags": (of("in_set", "has_solution", values=[False]), [0, 1, 2, 3, 4, 5, 6, 7]),
    "not_in_set": (of("not_in_set", "answer", values=["3", "8"]), [2, 7]),
    "matches": (of("matches", "question", pattern=r"[0-4] \+ 1\?$"), [5, 6, 7]),
    "not_matches": (of("not_matches", "answer", pattern="^[12]$"), [0, 1]),
    "a share that is met": (of("between", "level", max=6, share=0.75), []),
    "a share that is not": (of("between", "level", max=5, share=0.75), [5, 6, 7]),
}
# What is seen of a whole table; levels are 1 to 8.
WHOLE = {
    "mean_between": (of("mean_between", "level", min=4.5, max=4.5), True, 4.5),
    "mean_between, broken": (of("mean_between", "level", min=4.6), False, 4.5),
    "distinct_between": (of("distinct_between", "family", min=3), False, 2),
    "rows_between": (of("rows_between", min=1, max=7), False, 8),
}


@pytest.fixture(scope="module")
def names():
    """Every expectation above, by the name that a recipe gives it."""
    every = BROKEN_ROWS | {name: seen[:1] for name, seen in WHOLE.items()}
    return {name.replace(",", ""): seen[0] for name, seen in every.items()}


@pytest.fixture(params=["whole", "by its columns"])
def checked(request, names, recipe_values, sound_sets, write_curated, monkeypatch):
    """The sound sets, asked all of it at once; a large table is parted by its columns."""
    if request.param != "whole":
        monkeypatch.setattr(validate, "MAX_WHOLE_ROWS", 0)
    gate = recipe_values["gates"]["curation"]
    gate["expectations"] = [one | {"name": name} for name, one in names.items()]
    with pytest.raises(GateError) as caught:
        check_curation(parse_recipe(recipe_values, where="test"), write_curated(sound_sets))
    return caught.value.checked


def test_a_bound_on_pass_rates_is_compared_with_what_was_measured(write_curated, sound_sets):
    """0.7 and 0.1 are less and more in the single precision in which they are stored."""
    rates = [0.7, 0.1, 0.3, 1 / 3, 0.5, 1.0, 0.0, None]
    rows = [row | {"pass_rate": rate} for row, rate in zip(sound_sets["cold"], rates, strict=True)]
    frame = curated_frame(write_curated({"cold": rows}), ["cold"])
    assert frame["pass_rate"].fillna(-1).tolist() == [0.7, 0.1, 0.3, 0.333333, 0.5, 1.0, 0.0, -1]


def test_each_kind_breaks_for_its_rows_and_no_others(checked):
    checks = {check.name: check for check in checked.record.checks}
    assert {check.name for check in checked.record.failed} <= {
        f"cold: {name.replace(',', '')}" for name in (*BROKEN_ROWS, *WHOLE)
    }
    for name, (_, numbers) in BROKEN_ROWS.items():
        check = checks[f"cold: {name.replace(',', '')}"]
        assert check.passed == (not numbers), name
        assert check.first_ids == tuple(f"cold/{number}" for number in numbers), name
        assert not numbers or check.num_broken == len(numbers), name
        rows = [row for row in checked.rows if row["expectation"] == check.name]
        assert [row["id"] for row in rows] == list(check.first_ids), name
        assert all(row["question"].endswith("+ 1?") for row in rows), name
    for name, (_, passed, observed) in WHOLE.items():
        check = checks[f"cold: {name.replace(',', '')}"]
        assert (check.passed, check.observed, check.first_ids) == (passed, observed, ()), name
    assert checks["cold: a share that is met"].expected == (
        "level between any and 6 in 75% of the rows"
    )


def test_a_warning_among_errors_stops_nothing(recipe_values, sound_sets, write_curated):
    odd = of("in_set", "family", values=["sums"], severity="warning")
    recipe_values["gates"]["curation"]["expectations"] = [odd]
    checked = check_curation(parse_recipe(recipe_values, where="test"), write_curated(sound_sets))
    assert checked.record.verdict == "warned" and len(checked.rows) == 4
