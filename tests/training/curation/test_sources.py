import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, Features, Image, List, Value, load_dataset

from contracts.errors import DataError
from infra.settings import PROJECT_ROOT
from training.answers import Verifier
from training.curation.sources import load_source as load
from training.curation.step import write_rejects
from training.curation.verifiability import keep_verifiable
from training.recipe.sources import SourceRecipe
from training.tables import parquet_batches
from training.texts import MAX_TEXT_CHARACTERS


def load_source(source, seed):
    """The rows of a source from the folder where its path says that it lies."""
    return load_all(source, seed).kept


def load_all(source, seed=0):
    return load(source, Path(source.path or ".").parent, seed)


@pytest.fixture
def parquet(tmp_path):
    """Writes columns to a Parquet file and describes it as a source."""

    def write(table, *, features=None, name="real", modality="text", **settings):
        path = tmp_path / name / f"{name}.parquet"
        path.parent.mkdir(exist_ok=True)
        Dataset.from_dict(table, features=features).to_parquet(str(path))
        settings = {"path": str(path)} | settings
        return SourceRecipe(name=name, kind="parquet", modality=modality, **settings)

    return write


def test_pocket_problems_come_from_the_training_split_and_carry_the_sources_name():
    source = SourceRecipe(name="mine", kind="pocket", modality="multimodal", num_problems=12)
    rows = load_source(source, seed=3)
    assert len(rows) == 12
    assert {row["source"] for row in rows} == {"mine"}
    assert {row["modality"] for row in rows} == {"multimodal"}
    assert all(row["id"].startswith("pocket/train/") for row in rows)
    assert all(row["images"][0]["bytes"].startswith(b"\x89PNG") for row in rows)
    assert rows == load_source(source, seed=3)
    assert rows != load_source(source, seed=4)


def test_columns_are_mapped_and_what_a_file_lacks_is_filled_in(parquet):
    source = parquet(
        {"problem": ["1 + 1?", " 2 + 2? "], "gold": [2, 4], "topic": ["sums", None]},
        columns={"question": "problem", "answer": "gold", "family": "topic"},
    )
    first, second = load_source(source, seed=0)
    assert first == {
        "id": "real/000000000",
        "source": "real",
        "modality": "text",
        "family": "sums",
        "template": "real",
        "level": None,
        "question": "1 + 1?",
        "images": [],
        "answer": "2",
        "solution": None,
        "reading": None,
        "pass_rate": None,
    }
    assert (second["id"], second["question"], second["family"]) == (
        "real/000000001",
        "2 + 2?",
        "real",
    )


def test_every_row_comes_in_even_without_question_or_answer(parquet):
    source = parquet({"question": ["1 + 1?", None, "3?"], "answer": ["2", "1", None]})
    rows = load_source(source, seed=0)
    assert [(row["question"], row["answer"]) for row in rows] == [
        ("1 + 1?", "2"),
        ("", "1"),
        ("3?", ""),
    ]


@pytest.mark.parametrize("many", [True, False])
def test_images_stay_encoded_one_or_several(many, parquet, png):
    picture = {"bytes": png(7), "path": None}
    source = parquet(
        {
            "question": ["<image>How many?", "<image>" * (2 if many else 1) + "More?"],
            "answer": ["1", "2"],
            "picture": [[picture], [picture, picture]] if many else [picture, picture],
        },
        features=Features(
            {
                "question": Value("string"),
                "answer": Value("string"),
                "picture": List(Image()) if many else Image(),
            }
        ),
        modality="multimodal",
        columns={"images": "picture"},
    )
    rows = load_source(source, seed=0)
    assert [row["question"] for row in rows] == ["How many?", "More?"]
    assert [[image["bytes"] for image in row["images"]] for row in rows] == [
        [png(7)],
        [png(7)] * (2 if many else 1),
    ]


def test_images_may_be_bare_bytes(parquet, png):
    source = parquet(
        {"question": ["?", "?"], "answer": ["1", "1"], "images": [png(1), None]},
        modality="multimodal",
    )
    rows = load_source(source, seed=0)
    assert [row["images"] for row in rows] == [[{"bytes": png(1), "path": None}], []]


def test_all_files_of_the_folder_are_read_in_order(parquet, tmp_path):
    for name in ("b", "a"):
        source = parquet({"question": [name], "answer": ["1"]}, name=name)
    assert [row["question"] for row in load(source, tmp_path, seed=0).kept] == ["a", "b"]


def test_num_problems_takes_the_first_rows(parquet):
    columns = {"question": list("abc"), "answer": list("123")}
    assert len(load_source(parquet(columns, num_problems=2), seed=0)) == 2
    assert len(load_source(parquet(columns, num_problems=9), seed=0)) == 3


def message(source):
    with pytest.raises(DataError) as caught:
        load_source(source, seed=0)
    return caught.value


def test_a_missing_column_is_named_with_the_rule_and_the_fix(parquet):
    error = message(parquet({"question": ["?"], "gold": ["1"]}))
    assert "no column 'answer' for the field `answer`" in error.what
    assert "the file has ['gold', 'question']" in error.where
    assert 'answer = "<column>"' in error.fix


def test_a_mapped_column_must_be_there_even_if_the_field_is_optional(parquet):
    error = message(parquet({"question": ["?"], "answer": ["1"]}, columns={"level": "grade"}))
    assert "no column 'grade' for the field `level`" in error.what


def test_a_multimodal_source_needs_images(parquet):
    error = message(parquet({"question": ["?"], "answer": ["1"]}, modality="multimodal"))
    assert "no column 'images'" in error.what


@pytest.mark.parametrize("field", ["quesion", "source"])
def test_only_fields_that_a_file_may_set_can_be_mapped(field, parquet):
    error = message(parquet({"question": ["?"], "answer": ["1"]}, columns={field: "question"}))
    assert f"['{field}']" in error.what


def write(tmp_path, table):
    pq.write_table(table, tmp_path / "odd.parquet")
    return SourceRecipe(
        name="odd", kind="parquet", modality="text", path=str(tmp_path / "odd.parquet")
    )


GOOD = pa.table({"question": ["a"], "answer": ["1"]})


def invalid_utf8(*values):
    """A column of strings whose bytes are none."""
    return pa.array(values, pa.binary()).view(pa.string())


def test_invalid_utf8_is_one_rows_fault(tmp_path):
    table = pa.table({"question": invalid_utf8(b"1 + \xff?", b"2?"), "answer": ["1", "2"]})
    rows = load_source(write(tmp_path, table), 0)
    assert [row["question"] for row in rows] == ["1 + \ufffd?", "2?"]


def test_values_that_python_cannot_hold_are_missing(tmp_path):
    late = pa.array([2**62, None], pa.timestamp("ms"))
    nowhere = pa.array([1, None], pa.timestamp("s", tz="No/Where"))
    source = write(tmp_path, pa.table({"question": late, "answer": nowhere}))
    assert [(row["question"], row["answer"]) for row in load_source(source, 0)] == [("", "")] * 2


@pytest.mark.parametrize(
    "images",
    [
        pa.array(["a.png", "b.png"]),
        pa.array([1, 2]),
        pa.array([1.5, None]),
        pa.nulls(2),
        pa.array([[1], ["2"][:0]], pa.list_(pa.int64())),
        pa.array([["a.png"], [None]]),
        pa.array([{"path": "/etc/passwd"}, {"path": "x"}]),
        pa.array([[[b"x"]], None]),
        pa.array([{"bytes": "text", "path": 3}, None]),
        pa.StructArray.from_arrays(
            [pa.array([None, b""]), invalid_utf8(b"\xff", b"x")], ["bytes", "path"]
        ),
    ],
    ids=lambda column: str(column.type),
)
def test_images_of_any_type_are_rejects_with_a_reason(images, tmp_path):
    table = pa.table({"question": ["?", "?"], "answer": ["1", "1"], "images": images})
    source = write(tmp_path, table).model_copy(update={"modality": "multimodal"})
    loaded = load_all(source)
    with Verifier(timeout_seconds=60, batch_seconds=600) as verifier:
        rejects = [*loaded.rejects, *keep_verifiable(loaded.kept, verifier).rejects]
    assert len(rejects) == 2 and {each.reason for each in rejects} <= {
        "images missing",
        "image that is no PNG, JPEG, WebP or GIF",
        "image file outside the source's folder",
        "image file that is missing",
    }
    write_rejects(rejects, tmp_path / "rejects.parquet")


@pytest.mark.parametrize(
    "table",
    [
        pa.table({}),
        pa.table({"question": pa.array([], pa.string()), "answer": pa.array([], pa.string())}),
        pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["question", "question"]),
        pa.table({"question": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64()))}),
        GOOD.replace_schema_metadata({"huggingface": "[" * 9999}),
        GOOD.replace_schema_metadata({"huggingface": '{"info": 5}'}),
        pa.table({"\x1b[2J\u202e": ["a"]}),
        pa.table({f"c{number}": [1] for number in range(5000)}),
    ],
    ids=[
        "no columns",
        "no rows",
        "twice",
        "map",
        "deep metadata",
        "odd metadata",
        "escapes",
        "wide",
    ],
)
def test_a_table_that_holds_no_problems_is_one_clear_error(table, tmp_path):
    error = message(write(tmp_path, table))
    assert str(error).replace("\n", "").isprintable() and len(str(error)) < 3000


def test_a_file_that_is_no_parquet_is_a_data_error(tmp_path):
    (tmp_path / "broken.parquet").write_text("no parquet")
    source = SourceRecipe(
        name="broken", kind="parquet", modality="text", path=str(tmp_path / "broken.parquet")
    )
    assert "cannot be read" in message(source).what


def bomb(path, text, num_rows, **settings):
    """A file that names one long text as often as it likes."""
    indices = pa.array([0] * num_rows, pa.int32())
    texts = pa.DictionaryArray.from_arrays(indices, pa.array([text]))
    table = pa.table({"question": texts, "answer": pa.array(["2"] * num_rows)})
    settings = {"compression": "zstd", "store_schema": False} | settings
    pq.write_table(table, path / "bomb.parquet", **settings)
    values = {"name": "bomb", "kind": "parquet", "modality": "text"}
    return SourceRecipe(**values, path=str(path / "bomb.parquet"))


def test_a_small_file_that_unfolds_to_gigabytes_takes_little_memory(tmp_path):
    source = bomb(tmp_path, "x" * 2**20, 2000)
    assert (tmp_path / "bomb.parquet").stat().st_size < 1000
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from bench.memory import peak_bytes\n"
        "from training.curation.sources import load_source\n"
        "from training.recipe.sources import SourceRecipe\n"
        "source = SourceRecipe.model_validate_json(sys.argv[1])\n"
        "rows = load_source(source, Path(source.path).parent, 0).kept\n"
        "print(len(rows), peak_bytes())\n"
    )
    command = [sys.executable, "-c", program, source.model_dump_json()]
    done = subprocess.run(command, cwd=PROJECT_ROOT, check=True, capture_output=True, text=True)
    told = done.stdout.split()
    assert int(told[0]) == 2000 and int(told[1]) < 2**31


def test_a_text_over_the_limit_is_a_reject_with_its_reason_and_its_beginning(tmp_path):
    long = "a" * (MAX_TEXT_CHARACTERS + 2)
    rows = load_source(bomb(tmp_path, long, 3), 0)
    assert all(row["question"] is rows[0]["question"] for row in rows)
    with Verifier(timeout_seconds=60, batch_seconds=600) as verifier:
        rejects = keep_verifiable(rows, verifier).rejects
    assert [each.reason for each in rejects] == ["text too long"] * 3
    path = tmp_path.with_name(f"{tmp_path.name}-rejects.parquet")
    write_rejects(rejects, path)
    assert set(pq.read_table(path)["question"].to_pylist()) == {"a" * 1000}
    fits = "a" * MAX_TEXT_CHARACTERS
    (row,) = load_source(bomb(tmp_path, fits, 1), 0)
    assert row["question"] == fits


@pytest.mark.parametrize(
    ("settings", "num_rows"),
    [
        ({}, 64),  # of 2 MiB
        ({"use_dictionary": False, "column_encoding": {"question": "DELTA_BYTE_ARRAY"}}, 64),
        ({"use_dictionary": False}, 1000),  # each text is written
    ],
)
def test_a_batch_has_as_many_rows_as_fit_when_each_is_as_large_as_the_file_allows(
    settings, num_rows, tmp_path
):
    source = bomb(tmp_path, "x" * 2**21, 1000 if not settings else 70, **settings)
    sizes = [len(batch) for batch in parquet_batches([Path(source.path)])]
    assert max(sizes) <= num_rows and sum(sizes) == (1000 if not settings else 70)


def test_batches_files_and_row_groups_leave_no_trace_in_the_rows(tmp_path):
    tables = [
        {"question": [f"{name}{i}" for i in range(3000)], "answer": [str(i) for i in range(3000)]}
        for name in "ab"
    ]
    for name, table in zip("ab", tables, strict=True):
        pq.write_table(pa.table(table), tmp_path / f"{name}.parquet", row_group_size=700)
    values = {"name": "many", "kind": "parquet", "modality": "text"}
    source = SourceRecipe(**values, path=str(tmp_path / "*.parquet"))
    rows = load_source(source, 0)
    expected = load_dataset(
        "parquet", data_dir=str(tmp_path), split="train", cache_dir=str(tmp_path / ".cache")
    )
    assert [(row["question"], row["answer"]) for row in rows] == [
        (row["question"], row["answer"]) for row in expected
    ]
    assert [row["id"] for row in rows] == [f"many/{index:09d}" for index in range(6000)]
    for number in (1, 1023, 1024, 1025, 3001, 9000):
        some = load_source(source.model_copy(update={"num_problems": number}), 0)
        assert some == rows[:number]


def test_a_file_with_other_columns_is_told_though_none_of_its_rows_is_wanted(tmp_path):
    pq.write_table(GOOD, tmp_path / "a.parquet")
    pq.write_table(pa.table({"question": ["a"], "text": ["1"]}), tmp_path / "b.parquet")
    values = {"name": "two", "kind": "parquet", "modality": "text"}
    source = SourceRecipe(**values, path=str(tmp_path / "*.parquet"), num_problems=1)
    assert "cannot be read" in message(source).what
