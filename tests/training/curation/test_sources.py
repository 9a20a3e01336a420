from pathlib import Path

import pytest
from datasets import Dataset, Features, Image, List, Value

from contracts.errors import DataError
from training.curation.sources import load_source as load
from training.recipe.recipe import SourceRecipe


def load_source(source, seed):
    """Reads a source from the folder where its path says that it lies."""
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
            "question": ["<image>How many?", "<image><image>More?"],
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
    assert [row["question"] for row in load(source, tmp_path, seed=0)] == ["a", "b"]


def test_num_problems_takes_the_first_rows(parquet):
    columns = {"question": list("abc"), "answer": list("123")}
    assert len(load_source(parquet(columns, num_problems=2), seed=0)) == 2
    assert len(load_source(parquet(columns, num_problems=9), seed=0)) == 3


def test_a_level_counts_only_if_it_is_one_of_ours(parquet):
    source = parquet(
        {"question": list("abcd"), "answer": list("1234"), "level": ["3", "Level 5", "11", None]}
    )
    assert [row["level"] for row in load_source(source, seed=0)] == [3, None, None, None]


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


def test_pass_rates_are_shares(parquet):
    error = message(parquet({"question": ["?"], "answer": ["1"], "pass_rate": [62.5]}))
    assert "62.5" in error.what


def test_a_file_that_is_no_parquet_is_a_data_error(tmp_path):
    (tmp_path / "broken.parquet").write_text("no parquet")
    source = SourceRecipe(
        name="broken", kind="parquet", modality="text", path=str(tmp_path / "broken.parquet")
    )
    assert "cannot be read" in message(source).what
