"""Rows that a source takes by a column's values; every other row is a reject that says why."""

import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.errors import DataError
from training.curation.kept import check_kept
from training.curation.refused import Refused
from training.curation.sift import SourceCounts, source_rows
from training.curation.sources import load_source
from training.recipe.sources import SourceRecipe

REASON = re.compile(r"`grade` is ([^\n]{1,100}), which `keep` does not name")
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=60)
    | st.sampled_from(["Yes", " Yes\n", "yes", "true", "1", "null", 1, 1.0, 2**200])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=4,
)
NAMED = ("Yes", True, 1)
KINDS = {str: "text", bool: "truth", int: "number", float: "number"}


def source(folder, **changes):
    values = {"name": "s", "kind": "jsonl", "modality": "text", "path": str(folder)}
    return SourceRecipe.model_validate({**values, **changes})


def kind_and_value(value):
    return KINDS.get(type(value)), value.strip() if isinstance(value, str) else value


@settings(deadline=None)
@given(VALUES)
def test_a_row_is_taken_by_kind_and_value_and_refused_with_a_short_reason_otherwise(value):
    is_named = kind_and_value(value) in [kind_and_value(one) for one in NAMED]
    row = {"question": "1 + 1?", "grade": value}
    if is_named:
        check_kept(row, {"grade": NAMED})
        return
    with pytest.raises(Refused) as caught:
        check_kept(row, {"grade": NAMED})
    assert REASON.fullmatch(str(caught.value)) and str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("No", "'No'"),
        (None, "null"),
        (False, "false"),
        (0, "0"),
        (10**6, "another number"),
        (0.5, "another number"),
        ("x" * 41, "another text"),
        ("a\u202eb", "another text"),
        (["Yes"], "a list"),
        ({"Yes": 1}, "a struct"),
    ],
)
def test_reasons_are_the_same_for_rows_with_that_fault(value, shown):
    with pytest.raises(Refused, match=f"is {re.escape(shown)}, "):
        check_kept({"grade": value}, {"grade": NAMED})


def test_every_row_is_there_and_each_column_has_its_say(tmp_path):
    grades = [("Yes", True), ("Yes", False), ("No", True), ("Yes", None)]
    rows = [{"question": "?", "answer": "2", "a": {"b": b}, "c": c} for b, c in grades]
    text = "\n".join(json.dumps(row) for row in [*rows, {"question": "?", "answer": "2"}])
    (tmp_path / "rows.jsonl").write_text(text)
    loaded = load_source(source(tmp_path, keep={"a.b": ["Yes"], "c": [True]}), tmp_path, 0)
    assert [row["id"] for row in loaded.kept] == ["s/000000000"]
    assert [(one.problem["id"], one.step, one.reason) for one in loaded.rejects] == [
        ("s/000000001", "sources", "`c` is false, which `keep` does not name"),
        ("s/000000002", "sources", "`a.b` is 'No', which `keep` does not name"),
        ("s/000000003", "sources", "`c` is null, which `keep` does not name"),
        ("s/000000004", "sources", "`a.b` is null, which `keep` does not name"),
    ]
    assert all(one.problem["question"] == "?" for one in loaded.rejects)


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
def test_a_column_that_is_in_no_row_is_named_with_those_there_are(kind, tmp_path):
    table = pa.Table.from_pylist([{"question": "1 + 1?", "answer": "2", "grades": "Yes"}])
    if kind == "parquet":
        pq.write_table(table, tmp_path / "rows.parquet")
    elif kind == "jsonl":
        (tmp_path / "rows.jsonl").write_text(json.dumps(table.to_pylist()[0]))
    else:
        (tmp_path / "rows.csv").write_text("question,answer,grades\n1 + 1?,2,Yes\n")
    with pytest.raises(DataError) as caught:
        load_source(source(tmp_path, kind=kind, keep={"grade": ["Yes"]}), tmp_path, 0)
    assert "has no column 'grade', by which it takes its rows" in caught.value.what
    assert "['answer', 'grades', 'question']" in caught.value.where


@pytest.mark.parametrize(
    "keep", [{"grade": []}, {"grade": "Yes"}, {"grade": [0.5]}, {"grade": [None]}, {"": ["Yes"]}]
)
def test_a_filter_names_values_that_a_column_can_have(keep):
    with pytest.raises(ValidationError, match="keep"):
        source("rows", keep=keep)


def test_a_filter_keeps_the_types_of_its_values_and_generated_problems_have_none():
    kept = source("rows", keep={"grade": ["1", 1, True]})
    again = SourceRecipe.model_validate(kept.model_dump(mode="json"))
    assert list(map(type, again.keep["grade"])) == [str, int, bool]
    with pytest.raises(ValidationError, match="generated"):
        SourceRecipe(name="p", kind="pocket", modality="text", num_problems=1, keep={"a": ("b",)})


def read_all(folder, *rows, keep):
    (folder / "rows.jsonl").write_text("\n".join(rows))
    one = source(folder, keep=keep)
    counts = SourceCounts()
    for batches in source_rows([one], {one.input_name: folder}, 0, counts):
        list(batches)
    return counts


GRADED = [json.dumps({"question": "1 + 1?", "answer": "2", "grade": one}) for one in ("Yes", "No")]


@pytest.mark.parametrize("rows", [GRADED, [*GRADED, "no JSON"]])
def test_a_misspelt_value_that_takes_no_row_stops_the_stage(rows, tmp_path):
    with pytest.raises(DataError) as caught:
        read_all(tmp_path, *rows, keep={"grade": ["yes"]})
    assert f"`keep` leaves out 2 of {len(rows)}" in caught.value.what
    assert "`grade` is 'Yes'" in caught.value.where


def test_a_source_with_some_rows_left_or_without_a_filter_is_read(tmp_path):
    assert read_all(tmp_path, *GRADED, keep={"grade": ["Yes", "yes"]}).refused.total() == 1
    assert read_all(tmp_path, "no JSON", keep={}).refused.total() == 1
