import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from training.curation import outlines
from training.curation.curate import Graded, all_rejects
from training.curation.outlines import Questions, numbered, outlined, rows_at, traces_at, whole
from training.curation.selection import Selection
from training.curation.shards import PROBLEM_COLUMNS, SHARD_SCHEMA, write_shard
from training.curation.sift import Sifted


@pytest.fixture(scope="module")
def rows(make, make_seen):
    """Ids in no order, and each row with something of its own."""
    return [
        (make_seen if n % 3 == 0 else make)(
            n, id=f"p{37 * n % 100:02d}", solution=None if n % 2 else "é" * n, reading=str(n)
        )
        for n in range(40)
    ]


@pytest.fixture(scope="module")
def files(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("usable")
    schema = pa.schema([SHARD_SCHEMA.field(name) for name in PROBLEM_COLUMNS])
    return [
        write_shard(pa.Table.from_pylist(rows[start : start + 9], schema), folder, number)
        for number, start in enumerate(range(0, 40, 9))
    ]


def test_outlines_have_what_is_small(rows, files):
    found = outlined(files).to_pylist()
    kept = ("id", "source", "modality", "family", "level", "pass_rate")
    for number, (outline, row) in enumerate(zip(found, rows, strict=True)):
        texts = [value for value in row.values() if isinstance(value, str)]
        sizes = [len(one["bytes"]) for one in row["images"]]
        assert outline == {name: row[name] for name in kept} | {
            "row": number,
            "question_characters": len(row["question"]),
            "solution_characters": None if row["solution"] is None else len(row["solution"]),
            "num_bytes": sum(len(text.encode()) for text in texts) + sum(sizes),
        }


def test_rows_without_a_level_are_rejects_for_what_is_known_of_them(rows, files):
    none = np.zeros(0, dtype=np.int64)
    found, places = outlined(files), [n for n in range(40) if n not in (3, 17, 20)]
    graded = Graded(found.take(pa.array(places)), {3: "too long", 20: "not verified"}, {})
    sifted = Sifted(num_rows=40, num_usable=40, usable=files, rejects=[], variants={})
    rejects = list(all_rejects(sifted, graded, Selection({}, {}, none, [])))
    assert [(one.problem["id"], one.step, one.reason) for one in rejects] == [
        (rows[3]["id"], "difficulty", "too long"),
        (rows[17]["id"], "difficulty", "no answer was verified"),
        (rows[20]["id"], "difficulty", "not verified"),
    ]


def test_of_no_files_there_are_no_outlines():
    assert len(outlined([])) == 0 and list(whole(outlined([]), [])) == []


def test_names_are_numbered_in_order_whatever_chunks_they_come_in():
    chunks = pa.chunked_array([["b", "é", "b"], ["a", "\U0001f600", "é"], []])
    numbers, names = numbered(chunks.dictionary_encode())
    assert names == ["a", "b", "é", "\U0001f600"]
    assert [names[number] for number in numbers] == chunks.to_pylist()
    assert numbered(pa.array([], pa.string()))[1] == []


@settings(deadline=None)
@given(st.sets(st.integers(0, 39)), st.data())
def test_rows_and_questions_are_read_by_their_numbers(rows, files, asked, data):
    numbers = np.array(sorted(asked), dtype=np.int64)
    assert list(rows_at(files, numbers)) == [rows[number] for number in sorted(asked)]
    traces = [(rows[number]["question"], rows[number]["solution"]) for number in sorted(asked)]
    assert list(traces_at(files, numbers)) == traces
    questions = Questions(files, numbers)
    wanted = [rows[number]["question"] for number in sorted(asked)]
    assert len(questions) == len(asked)
    assert list(questions) == list(questions) == wanted
    places = sorted(data.draw(st.sets(st.sampled_from(range(len(asked)))))) if asked else []
    assert questions.at(np.array(places, dtype=np.int64)) == [wanted[place] for place in places]


def spoil(path, columns):
    """Makes some columns unreadable; the file still says how many rows it has."""
    data, metadata = bytearray(path.read_bytes()), pq.read_metadata(path)
    for number in range(metadata.num_columns):
        column = metadata.row_group(0).column(number)
        if column.path_in_schema.split(".")[0] in columns:
            start = column.dictionary_page_offset or column.data_page_offset
            data[start : start + column.total_compressed_size] = b"\xff" * (
                column.total_compressed_size
            )
    path.write_bytes(data)


def test_what_is_not_asked_for_is_not_read(rows, files, tmp_path):
    """A pass for a few rows, or for texts, would read gigabytes of pictures."""
    copies = [tmp_path / path.name for path in files]
    for path, copy in zip(files, copies, strict=True):
        copy.write_bytes(path.read_bytes())
        spoil(copy, ["images"])
    numbers = np.arange(40)
    assert list(Questions(copies, numbers)) == [row["question"] for row in rows]
    assert [trace for _, trace in traces_at(copies, numbers)] == [row["solution"] for row in rows]
    with pytest.raises(OSError):
        list(rows_at(copies, numbers))
    copies[1].write_bytes(files[1].read_bytes())
    some = np.array([9, 11, 17])  # all that are asked for are in this file
    assert list(rows_at(copies, some)) == [rows[number] for number in some]
    asked = outlined(files).take(pa.array(some[::-1]))
    found = list(whole(asked, copies))
    assert found == [rows[number] for number in some[::-1]]


def test_parts_are_cut_by_bytes_and_not_by_rows(monkeypatch):
    """Rows with pictures stand together in the order of ids."""
    monkeypatch.setattr(outlines, "GROUP_BYTES", 100)
    sizes = np.array([1] * 250 + [90, 90, 300, 5])
    assert outlines._starts(sizes) == [0, 100, 200, 250, 251, 252, 253]
    monkeypatch.setattr(outlines, "MAX_PARTS", 4)
    assert outlines._starts(np.full(8, 100)) == [0, 4]


# Fixtures and the bound are the same for all examples.
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.integers(0, 39), unique=True), st.sampled_from([1, 500, 2**26]))
def test_rows_come_back_whole_in_any_order_with_their_levels(
    rows, files, monkeypatch, order, part_bytes
):
    monkeypatch.setattr(outlines, "GROUP_BYTES", part_bytes)
    levels = pa.array([place % 10 for place in order], pa.int32())
    asked = outlined(files).take(pa.array(order, pa.int64()))
    for name, values in (("level", levels), ("pass_rate", pa.array([0.3] * len(order)))):
        asked = asked.set_column(asked.column_names.index(name), name, values)
    assert list(whole(asked, files)) == [
        rows[place] | {"level": place % 10, "pass_rate": 0.3} for place in order
    ]
    assert {path.name for path in files[0].parent.iterdir()} == {path.name for path in files}


def test_an_outline_takes_as_much_whatever_its_row_does(make, outlines_of):
    small = [make(n, level=3, pass_rate=0.5) for n in range(100)]
    large = [row | {"question": "q" * 10_000, "solution": "s" * 10_000} for row in small]
    sizes = [outlines_of(rows).nbytes for rows in (small, large)]
    assert sizes[0] == sizes[1] < 100 * 100
