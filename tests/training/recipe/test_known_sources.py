"""The table of known data sets: each is read from a file with its published columns."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pydantic import ValidationError

from contracts.errors import DataError
from contracts.places import place_kind
from training.answers import Verifier
from training.curation.sources import load_source
from training.curation.verifiability import keep_verifiable
from training.recipe.known_sources import KNOWN_SOURCES
from training.recipe.sources import SourceRecipe


def png():
    buffer = io.BytesIO()
    Image.new("RGB", (28, 28)).save(buffer, format="PNG")
    return buffer.getvalue()


PNG = png()
IMAGE = {"bytes": PNG, "path": None}
ONE_VISION = {
    "id": "1",
    "image": IMAGE,
    "conversations": [
        {"from": "human", "value": "<image>\nHow many?"},
        {"from": "gpt", "value": "4"},
    ],
    "data_source": "part",
}
MATH = {"problem": "2 + 2?", "answer": "4"}
# Rows of our own under the columns that cards and pages state, or that are assumed.
ROWS = dict.fromkeys(
    ("figureqa", "super-clevr", "tabmwp", "geoqa", "unigeo", "iconqa"), ONE_VISION
) | {
    "mavis": {
        "image_text_dominant": IMAGE,
        "image_text_lite": IMAGE,
        "answer_index": 1,
        "choices": ["3", "4"],
        "text_en": {"text_dominant_question": "How many?", "CoT_reasoning": "Count."},
    },
    "geometry3k": {
        "images": [IMAGE],
        "problem": "<image>How many?",
        "answer": "4",
        "id": 7,
        "choices": ["3", "4"],
        "ground_truth": "B",
    },
    "multimath": {"question": "How many?", "answer": "4", "image": IMAGE},
    "big-math": {**MATH, "source": "s", "domain": ["d"], "llama8b_solve_rate": 0.5},
    "big-math-unverified": MATH,
    "limo": {"question": "2 + 2?", "solution": r"\boxed{4}", "answer": "4"},
    "s1k": {
        "solution": "4",
        "question": "2 + 2?",
        "deepseek_thinking_trajectory": "Hm.",
        "deepseek_attempt": r"It is \boxed{4}.",
    },
    "openthoughts": {
        "problem": "2 + 2?",
        "deepseek_reasoning": "Hm.",
        "deepseek_solution": r"It is \boxed{4}.",
        "ground_truth_solution": r"$2 + 2 = \boxed{4}$",
        "domain": "math",
    },
    "openmathreasoning": {
        "expected_answer": "4",
        "problem": "2 + 2?",
        "generated_solution": r"It is \boxed{4}.",
        "pass_rate_72b_tir": "n/a",
    },
    "deepmath": {
        "question": "2 + 2?",
        "final_answer": "4",
        "difficulty": 1.0,
        "topic": "sums",
        "r1_solution_1": r"\boxed{4}",
    },
    "orca-math": {"question": "2 + 2?", "answer": "4"},
    "openr1": {
        **MATH,
        "solution": "short",
        "generations": [r"\boxed{4}", r"\boxed{5}"],
        "messages": [{"role": "user", "content": "2 + 2?"}],
    },
    "numinamath": {
        "source": "forum",
        "problem": "2 + 2?",
        "solution": r"\boxed{4}",
        "messages": [{"role": "user", "content": "2 + 2?"}],
    },
    "grammar-cold-start": {**MATH, "solution": r"\boxed{4}"},
    "mmrl": {"problem": "<image>How many?", "answer": "4", "images": [IMAGE]},
    "textrl": MATH,
}


def local(name, folder, **changes):
    """The known source, from a copy of our own in Parquet."""
    return SourceRecipe(name="s", dataset=name, kind="parquet", path=str(folder), **changes)


@pytest.fixture(scope="module")
def verifier():
    with Verifier() as running:
        yield running


@pytest.fixture
def write(tmp_path):
    def rows(row):
        pq.write_table(pa.Table.from_pylist([row]), tmp_path / "rows.parquet")
        return tmp_path

    return rows


def test_every_known_source_has_a_row_here():
    assert set(ROWS) == set(KNOWN_SOURCES)


@pytest.mark.parametrize("name", KNOWN_SOURCES)
def test_a_row_with_its_published_columns_is_mapped_and_can_be_verified(name, write, verifier):
    folder = write(ROWS[name])
    loaded = load_source(local(name, folder), folder, 0)
    usable = keep_verifiable(loaded.kept, verifier)
    assert not [*loaded.rejects, *usable.rejects]
    (row,) = usable.kept
    options = "\n(A) 3\n(B) 4" if name == "mavis" else ""
    asked = "How many?" if row["modality"] == "multimodal" else "2 + 2?"
    assert row["question"] == asked + options
    assert row["answer"] == ("B" if name == "mavis" else "4")
    assert [one["bytes"] for one in row["images"]] == (
        [PNG] if row["modality"] == "multimodal" else []
    )
    if row["solution"] is not None:
        assert r"\boxed{4}" in row["solution"]


@pytest.mark.parametrize(
    ("name", "field"),
    [
        (name, field)
        for name, known in KNOWN_SOURCES.items()
        for field, path in known.columns.items()
        if path is not False
    ],
)
def test_a_wrong_column_is_named_with_those_found(name, field, write):
    columns = KNOWN_SOURCES[name].columns
    gone = columns[field].split(".")[0]
    folder = write({f"old_{k}" if k == gone else k: value for k, value in ROWS[name].items()})
    with pytest.raises(DataError) as caught:
        load_source(local(name, folder), folder, 0)
    # Turns of one conversation go together: the first that is missing is named.
    told = next(f for f, path in columns.items() if path and path.split(".")[0] == gone)
    assert f"has no column {columns[told]!r} for the field `{told}`" in caught.value.what
    assert f"'old_{gone}'" in caught.value.where


@pytest.mark.parametrize("name", KNOWN_SOURCES)
def test_a_recipe_needs_the_name_alone_and_parses_to_itself(name):
    known = KNOWN_SOURCES[name]
    source = SourceRecipe.model_validate({"name": "s", "dataset": name})
    assert (source.path, source.modality) == (known.path, known.modality)
    assert place_kind(known.path) == "hub" and dict(known.columns) == source.columns
    assert SourceRecipe.model_validate(source.model_dump(mode="json")) == source
    assert known.checked or known.note  # what is not checked says what is assumed


def test_what_the_recipe_gives_stands_before_what_the_table_has():
    values = {"name": "s", "dataset": "openr1", "split": "extended", "columns": {"answer": "a"}}
    source = SourceRecipe.model_validate(values)
    assert (source.config, source.split, source.columns) == ("all", "extended", {"answer": "a"})


def test_an_unknown_data_set_is_named_with_those_there_are():
    with pytest.raises(ValidationError, match=r"geometry4k.*geometry3k"):
        SourceRecipe.model_validate({"name": "s", "dataset": "geometry4k"})


def test_a_conversation_of_several_questions_is_refused_and_a_shared_id_is_not_read(tmp_path):
    further = [{"from": "human", "value": "Which?"}, {"from": "gpt", "value": "5"}]
    longer = {**ONE_VISION, "conversations": [*ONE_VISION["conversations"], *further]}
    pq.write_table(pa.Table.from_pylist([ONE_VISION, longer, ONE_VISION]), tmp_path / "a.parquet")
    loaded = load_source(local("geoqa", tmp_path), tmp_path, 0)
    assert [one.reason for one in loaded.rejects] == ["chat with several turns"]
    assert [row["id"] for row in loaded.kept] == ["s/000000000", "s/000000002"]
