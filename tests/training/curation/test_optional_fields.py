"""Fields that a row may lack: ids, levels, pass rates, and columns that are left unread."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from training.curation.equal_questions import drop_duplicates
from training.curation.sources import load_source as load
from training.curation.step import write_rejects
from training.recipe.sources import SourceRecipe


def load_source(source):
    return load_all(source).kept


def load_all(source):
    return load(source, Path(source.path), 0)


@pytest.fixture
def parquet(tmp_path):
    """Writes columns to a Parquet file and describes it as a source."""

    def write(table, name="real", **settings):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        pq.write_table(pa.table(table), folder / "rows.parquet")
        values = {"name": name, "kind": "parquet", "modality": "text", "path": str(folder)}
        return SourceRecipe.model_validate(values | settings)

    return write


def test_a_level_counts_only_if_it_is_one_of_ours(parquet):
    source = parquet(
        {"question": list("abcd"), "answer": list("1234"), "level": ["3", "Level 5", "11", None]}
    )
    assert [row["level"] for row in load_source(source)] == [3, None, None, None]


def test_a_level_of_a_column_of_floats_is_one(parquet):
    source = parquet({"question": list("abc"), "answer": list("123"), "level": [3.0, None, 2.5]})
    assert [row["level"] for row in load_source(source)] == [3, None, None]


def test_sources_that_count_their_rows_alike_share_no_id(parquet, tmp_path, verifier):
    loaded = []
    for name in ("a", "b"):
        columns = {"question": [f"{name}{n}?" for n in range(3)], "answer": ["1"] * 3}
        source = parquet(columns | {"id": [0, 1, None]}, name=name)
        loaded += load_source(source)
    assert [row["id"] for row in loaded] == [
        *("a/0", "a/1", "a/000000002"),
        *("b/0", "b/1", "b/000000002"),
    ]
    assert drop_duplicates(loaded, verifier).rejects == []
    again = loaded[0] | {"question": "new?"}
    assert len(drop_duplicates([*loaded, again], verifier).rejects) == 1


def test_a_row_whose_pass_rate_is_no_share_is_a_reject_and_the_others_stay(parquet, tmp_path):
    rates = ["0.5", "n/a", "62.5", "-0.1", "inf", "50 %", "", None, "nan text", "1"]
    questions = [f"{n}?" for n in range(len(rates))]
    table = {"question": questions, "answer": ["1"] * len(rates), "pass_rate": rates}
    loaded = load_all(parquet(table))
    assert [(row["question"], row["pass_rate"]) for row in loaded.kept] == [
        ("0?", 0.5),
        ("6?", None),
        ("7?", None),
        ("9?", 1.0),
    ]
    rejected = [one.problem["question"] for one in loaded.rejects]
    assert rejected == [f"{n}?" for n in (1, 2, 3, 4, 5, 8)]
    (reason,) = {one.reason for one in loaded.rejects}
    assert "no share from 0 to 1 (in percent?)" in reason and "`pass_rate = false`" in reason
    write_rejects(loaded.rejects, tmp_path / "rejects.parquet")
    skipped = load_all(parquet(table, columns={"pass_rate": False}))
    assert skipped.rejects == [] and {row["pass_rate"] for row in skipped.kept} == {None}


def test_a_pass_rate_that_is_nan_is_none(parquet):
    source = parquet({"question": ["?"], "answer": ["1"], "pass_rate": [float("nan")]})
    assert load_source(source)[0]["pass_rate"] is None


NAMED = {"id": "i", "family": "f", "template": "t", "reading": "r"}
WHOLE = NAMED | {"level": "3", "solution": "s", "pass_rate": "1"}


@pytest.mark.parametrize("field", WHOLE)
def test_a_column_of_an_optional_field_may_be_left_unread(field, parquet):
    table = {name: [value] for name, value in ({"question": "?", "answer": "1"} | WHOLE).items()}
    (read,) = load_source(parquet(table))
    (unread,) = load_source(parquet(table, columns={field: False}))
    filled_in = {"id": "real/000000000", "family": "real", "template": "real"}
    assert unread == read | {field: filled_in.get(field)} != read


def test_a_chats_answer_may_be_left_unread(parquet):
    chat = [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": "Two."}]
    columns = {"messages": "chat", "solution": False}
    (row,) = load_source(parquet({"chat": [chat], "answer": ["2"]}, columns=columns))
    assert (row["question"], row["solution"]) == ("1 + 1?", None)


@pytest.mark.parametrize(
    ("rule", "said"), [("last_boxed", "\\boxed{2}"), ("after_hashes", "Two.\n#### 2")]
)
def test_a_chats_answer_that_is_left_unread_may_hold_the_reference(rule, said, parquet):
    chat = [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": said}]
    mapping = {"columns": {"messages": "chat", "solution": False}, "answer_rule": rule}
    (row,) = load_source(parquet({"chat": [chat]}, **mapping))
    assert (row["answer"], row["solution"]) == ("2", None)


@pytest.mark.parametrize("columns", [{"question": False}, {"answer": False}])
def test_what_a_row_needs_cannot_be_left_unread(columns):
    with pytest.raises(ValidationError, match=r"cannot be false; \['id', .*'pass_rate'\] can"):
        SourceRecipe(name="s", kind="csv", modality="text", path="./a.csv", columns=columns)
