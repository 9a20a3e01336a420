"""Files of four formats: the same rows, line by line rejects, and bounded memory."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset

from contracts.errors import DataError
from training import tables
from training.curation import lines, sources
from training.curation.rows import read_rows
from training.curation.sources import load_source, source_batches
from training.curation.step import write_rejects
from training.recipe.sources import SourceRecipe

ROWS = [{"question": f"{n} + 1?", "answer": str(n + 1)} for n in range(2500)]


def source(kind, **settings):
    return SourceRecipe(name="s", kind=kind, modality="text", path="/unused", **settings)


def write(kind, rows, folder):
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), folder / "rows.parquet")
    elif kind == "jsonl":
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "rows.jsonl").write_text(text)
    elif kind == "csv":
        text = "".join(f"{row['question']},{row['answer']}\n" for row in rows)
        (folder / "rows.csv").write_text("question,answer\n" + text)
    else:
        Dataset.from_list(rows).save_to_disk(str(folder), num_shards=min(3, len(rows)))


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv", "arrow"])
def test_the_same_rows_come_out_of_every_format_in_batches(kind, tmp_path):
    write(kind, ROWS, tmp_path)
    loaded = load_source(source(kind), tmp_path, 0)
    assert [{f: row[f] for f in ("question", "answer")} for row in loaded.kept] == ROWS
    assert [row["id"] for row in loaded.kept] == [f"s/{n:09d}" for n in range(2500)]
    batches = list(source_batches(source(kind), tmp_path, 0))
    assert len(batches) >= 3 and max(len(batch.kept) for batch in batches) <= 1024
    some = load_source(source(kind, num_problems=1100), tmp_path, 0)
    assert some.kept == loaded.kept[:1100]


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_a_batch_of_large_rows_has_few(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "BATCH_BYTES", 20_000)
    generator = np.random.default_rng(0)
    images = [generator.bytes(3000) for _ in range(20)]
    write(kind, [row | {"images": one} for row, one in zip(ROWS, images, strict=False)], tmp_path)
    few = source(kind).model_copy(update={"modality": "multimodal"})
    batches = [batch.kept for batch in source_batches(few, tmp_path, 0)]
    assert max(map(len, batches)) <= 6
    assert [row["images"][0]["bytes"] for batch in batches for row in batch] == images


def test_a_batch_of_large_files_beside_the_rows_ends_early(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "BATCH_BYTES", 5000)
    for n in range(10):
        (tmp_path / f"{n}.png").write_bytes(bytes([n]) * 2000)
    rows = [row | {"images": f"{n}.png"} for n, row in enumerate(ROWS[:10])]
    write("parquet", rows, tmp_path)
    beside = source("parquet", image_files=True).model_copy(update={"modality": "multimodal"})
    batches = [batch.kept for batch in source_batches(beside, tmp_path, 0)]
    assert [len(batch) for batch in batches] == [3, 3, 3, 1]
    assert [row["id"] for batch in batches for row in batch] == [f"s/{n:09d}" for n in range(10)]
    assert [row["images"][0]["bytes"][0] for batch in batches for row in batch] == list(range(10))


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv", "arrow"])
def test_a_wrong_column_is_named_with_those_found(kind, tmp_path):
    write(kind, [{"question": "?", "gold": "1", "answer": "1"}], tmp_path)
    with pytest.raises(DataError) as caught:
        load_source(source(kind, columns={"answer": "golden"}), tmp_path, 0)
    assert "no column 'golden' for the field `answer`" in caught.value.what
    found = ["answer", "question"] if kind == "csv" else ["answer", "gold", "question"]
    assert f"the file has {found}" in caught.value.where


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv", "arrow"])
def test_a_folder_without_rows_is_one_clear_error(kind, tmp_path):
    with pytest.raises(DataError, match=r"there is no \.\w+"):
        load_source(source(kind), tmp_path, 0)
    (tmp_path / {"jsonl": "a.jsonl", "csv": "a.csv"}.get(kind, f"a.{kind}")).touch()
    with pytest.raises(DataError, match=r"there are no rows|a\.(csv|parquet|arrow)"):
        load_source(source(kind), tmp_path, 0)


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_a_file_cut_short_is_named(kind, tmp_path):
    write(kind, ROWS, tmp_path)
    path = max(tmp_path.rglob(f"*.{kind}"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError) as caught:
        load_source(source(kind), tmp_path, 0)
    assert path.name in caught.value.what


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"question": "?", "ans', "line that is no JSON"),
        (b"[1, 2]", "line that is no JSON object"),
        (b"null", "line that is no JSON object"),
        (b"[" * 100_000, "line that is no JSON"),
        (b'{"answer": ' + b"9" * 5000 + b"}", "line that is no JSON"),
        (b"\x00\xff", "line that is no JSON"),
    ],
)
def test_a_broken_json_line_is_a_reject_with_its_number(line, reason, tmp_path):
    good = b'{"question": "1 + 1?", "answer": 2}\n'
    (tmp_path / "rows.jsonl").write_bytes(good + b"\n" + line + b"\n" + good + good[:-1])
    loaded = load_source(source("jsonl"), tmp_path, 0)
    assert [row["answer"] for row in loaded.kept] == ["2", "2", "2"]
    (reject,) = loaded.rejects
    assert (reject.step, reject.reason) == ("sources", reason)
    assert reject.problem["id"] == "s/rows.jsonl:3"
    write_rejects(loaded.rejects, tmp_path / "rejects.parquet")


def test_a_line_without_end_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 100)
    long = json.dumps({"question": "x" * 1000, "answer": "1"})
    text = "\n".join([long, json.dumps({"question": "?", "answer": "1"}), long])
    (tmp_path / "rows.jsonl").write_text(text)
    loaded = load_source(source("jsonl"), tmp_path, 0)
    assert [row["question"] for row in loaded.kept] == ["?"]
    assert [(one.reason, one.problem["id"]) for one in loaded.rejects] == [
        ("line that is too long", "s/rows.jsonl:1"),
        ("line that is too long", "s/rows.jsonl:3"),
    ]


def test_a_batch_of_long_lines_ends_early(tmp_path):
    rows = ("{}" for _ in range(5))
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    files = [tmp_path / "rows.jsonl"]
    assert [len(b) for b in lines.row_batches(files, lines.json_rows, 4, 100)] == [4, 1]
    assert [len(b) for b in lines.row_batches(files, lines.json_rows, 4, 5)] == [2, 2, 1]


def test_a_json_row_with_other_keys_is_not_lost(tmp_path):
    rows = [{"question": "?", "answer": "1"}, {"other": 1}, {"question": "\ud800", "answer": 1}]
    write("jsonl", rows, tmp_path)
    loaded = load_source(source("jsonl"), tmp_path, 0)
    assert [row["question"] for row in loaded.kept] == ["?", "", "\ufffd"]


def test_broken_csv_lines_are_rejects_and_the_rest_is_read(tmp_path):
    body = 'question,answer\n"1, 1?",2\na,b,c\n"x"y,1\nlast,1\n\n"two\nlines",3\n'
    (tmp_path / "rows.csv").write_bytes(b"\xef\xbb\xbf" + body.encode())
    loaded = load_source(source("csv"), tmp_path, 0)
    kept = [(row["question"], row["answer"]) for row in loaded.kept]
    assert kept == [("1, 1?", "2"), ("last", "1"), ("two\nlines", "3")]
    assert [(one.problem["id"], one.reason) for one in loaded.rejects] == [
        ("s/rows.csv:3", "line with more or fewer fields than columns"),
        ("s/rows.csv:4", "line that is no CSV"),
    ]


@pytest.mark.parametrize("head", ["", "a,a\n1,2\n"])
def test_a_csv_without_usable_column_names_is_named(head, tmp_path):
    (tmp_path / "rows.csv").write_text(head)
    with pytest.raises(DataError, match=r"rows\.csv has"):
        load_source(source("csv"), tmp_path, 0)


def test_only_wanted_columns_are_read(tmp_path):
    write("parquet", [{"a": 1, "b": 2}], tmp_path)
    (batch,) = read_rows(source("parquet"), tmp_path, {"b", "c"})
    assert (batch.columns, batch.rows) == (["a", "b"], [{"b": 2}])
    (batch,) = read_rows(source("parquet"), tmp_path, None)
    assert batch.rows == [{"a": 1, "b": 2}]


LATE = [{"question": f"{n} + 1?", "answer": str(n + 1)} for n in range(1024)]
FULL = {"question": "6?", "answer": "6", "solution": "Six.", "level": 3, "family": "sums"} | {
    "id": "mine",
    "pass_rate": 0.5,
    "reading": "a six",
}


def test_a_field_that_the_first_batch_lacks_is_read_from_later_rows(tmp_path):
    write("jsonl", [*LATE, *[FULL] * 6], tmp_path)
    kept = load_source(source("jsonl"), tmp_path, 0).kept
    again = [f"s/mine#{number:09d}" for number in range(1025, 1030)]  # each has an id of its own
    late = [FULL | {"id": one} for one in ("s/mine", *again)]
    assert [{field: row[field] for field in FULL} for row in kept[1024:]] == late
    assert {row["solution"] for row in kept[:1024]} == {None}


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
@pytest.mark.parametrize("columns", [{}, {"solution": "solution"}])
def test_files_with_other_columns_each_give_what_they_have(kind, columns, tmp_path):
    write(kind, LATE, tmp_path)
    (tmp_path / f"rows.{kind}").rename(tmp_path / f"a.{kind}")
    row = {"question": "6?", "answer": "6", "solution": "Six."}
    text = json.dumps(row) if kind == "jsonl" else ",".join(row) + "\n" + ",".join(row.values())
    (tmp_path / f"b.{kind}").write_text(text)
    kept = load_source(source(kind, columns=columns), tmp_path, 0).kept
    assert [one["solution"] for one in kept] == [*[None] * 1024, "Six."]


def test_a_row_without_an_answer_column_is_read_from_its_own_solution(tmp_path):
    rows = [
        {"question": "a?", "answer": "#### 1", "solution": "#### 2"},
        {"question": "b?", "solution": "#### 3"},
        {"question": "c?"},
    ]
    write("jsonl", rows, tmp_path)
    loaded = load_source(source("jsonl", answer_rule="after_hashes"), tmp_path, 0)
    assert [one["answer"] for one in loaded.kept] == ["1", "3"]
    assert [one.reason for one in loaded.rejects] == ["no answer after `####`"]


def test_a_needed_column_of_later_rows_only_leaves_the_first_ones_for_rejection(tmp_path):
    write("jsonl", [*({"question": f"{n}?"} for n in range(1024)), FULL], tmp_path)
    kept = load_source(source("jsonl"), tmp_path, 0).kept
    assert [row["answer"] for row in kept] == [""] * 1024 + ["6"]


def test_a_mapped_value_inside_a_column_may_come_later(tmp_path):
    rows = [LATE[0] | {"more": {"other": 1}}] * 1024
    path = {"columns": {"solution": "more.solution"}}
    write("jsonl", [*rows, LATE[0] | {"more": {"solution": "Two."}}], tmp_path)
    kept = load_source(source("jsonl", **path), tmp_path, 0).kept
    assert [row["solution"] for row in kept[1023:]] == [None, "Two."]
    write("jsonl", rows, tmp_path)
    with pytest.raises(DataError, match=r"the file has \['other'\]"):
        load_source(source("jsonl", **path), tmp_path, 0)


def test_a_table_without_a_needed_column_is_told_by_its_first_batch(tmp_path):
    write("parquet", [{"question": "?"}] * 2048, tmp_path)
    batches = source_batches(source("parquet"), tmp_path, 0)
    with pytest.raises(DataError, match="no column 'answer'"):
        next(batches)
