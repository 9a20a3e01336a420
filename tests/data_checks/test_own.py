"""Expectations that a recipe adds: each kind breaks for the rows that it should, and no others."""

import pytest

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


@pytest.fixture
def look(recipe_values, sound_sets, write_curated):
    """Checks the sound sets with one more expectation; returns its check and the broken rows."""

    def looked(expectation):
        recipe_values["gates"]["curation"]["expectations"] = [expectation]
        try:
            checked = check_curation(
                parse_recipe(recipe_values, where="test"), write_curated(sound_sets)
            )
        except GateError as error:
            checked = error.checked
        assert {one.name for one in checked.record.failed} <= {"cold: mine"}
        (check,) = [one for one in checked.record.checks if one.name == "cold: mine"]
        return check, checked.rows

    return looked


@pytest.mark.parametrize("name", BROKEN_ROWS)
def test_the_rows_that_break_it_are_counted_named_and_shown(name, look):
    expectation, numbers = BROKEN_ROWS[name]
    check, rows = look(expectation)
    assert check.passed == (not numbers)
    assert check.first_ids == tuple(f"cold/{number}" for number in numbers)
    if numbers:
        assert check.num_broken == len(numbers)
    assert [row["id"] for row in rows] == list(check.first_ids)
    assert all(row["expectation"] == "cold: mine" for row in rows)


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_table_is_measured(name, look):
    expectation, passed, observed = WHOLE[name]
    check, rows = look(expectation)
    assert (check.passed, check.observed, rows) == (passed, observed, ())


def test_a_warning_among_errors_stops_nothing(look):
    check, rows = look(of("in_set", "family", values=["sums"], severity="warning"))
    assert not check.passed and check.severity == "warning" and len(rows) == 4


def test_what_is_asked_for_is_said_in_words(look):
    check, _ = look(of("between", "level", min=2, share=0.5))
    assert check.expected == "level between 2 and any in 50% of the rows"
