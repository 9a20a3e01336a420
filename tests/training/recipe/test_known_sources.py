"""The table of known data sets: each is read from a file with its published columns."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from contracts.errors import DataError
from contracts.places import is_commit, place_kind
from tests.training.recipe.published_sources import ASSUMED, SEEN
from training.answers import Verifier
from training.curation.sources import load_source
from training.curation.verifiability import keep_verifiable
from training.recipe.known_sources import KNOWN_SOURCES
from training.recipe.sources import SourceRecipe

PUBLISHED = {**SEEN, **ASSUMED}


def local(name, folder, **changes):
    """The known source, from a copy of our own in Parquet."""
    return SourceRecipe(name="s", dataset=name, kind="parquet", path=str(folder), **changes)


@pytest.fixture(scope="module")
def verifier():
    with Verifier() as running:
        yield running


@pytest.fixture
def write(tmp_path):
    def rows(table):
        pq.write_table(table, tmp_path / "rows.parquet")
        return tmp_path

    return rows


def test_every_known_source_has_a_row_here_and_what_is_checked_one_that_was_seen():
    assert set(PUBLISHED) == set(KNOWN_SOURCES)
    assert {name for name, known in KNOWN_SOURCES.items() if known.checked} <= set(SEEN)


@pytest.mark.parametrize("name", KNOWN_SOURCES)
def test_a_row_with_its_published_columns_is_mapped_and_can_be_verified(name, write, verifier):
    published = PUBLISHED[name]
    folder = write(published.table())
    loaded = load_source(local(name, folder), folder, 0)
    usable = keep_verifiable(loaded.kept, verifier)
    assert not [*loaded.rejects, *usable.rejects]
    (row,) = usable.kept
    read = (row["question"], row["answer"], row["solution"], row["family"])
    assert read == (
        published.question,
        published.answer,
        published.solution,
        published.family or row["source"],
    )
    assert tuple(one["bytes"] for one in row["images"]) == published.images
    assert row["modality"] == ("multimodal" if published.images else "text")
    assert row["pass_rate"] is None  # whatever there is, it is another model's


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
    table = PUBLISHED[name].table()
    names = [f"old_{one}" if one == gone else one for one in table.column_names]
    folder = write(table.rename_columns(names))
    with pytest.raises(DataError) as caught:
        load_source(local(name, folder), folder, 0)
    # Turns of one conversation go together: the first that is missing is named.
    told = next(f for f, path in columns.items() if path and path.split(".")[0] == gone)
    assert f"has no column {columns[told]!r} for the field `{told}`" in caught.value.what
    assert f"'old_{gone}'" in caught.value.where


def test_an_attempt_that_was_not_graded_right_is_no_reference(write):
    """Graded as in the published set, and as nothing there is, for what a later commit may hold."""
    table = SEEN["s1k"].table()
    grades = ["No", "Yes", None, "", "yes", "Partly"]
    rows = [{**table.to_pylist()[0], "deepseek_grade": grade} for grade in grades]
    folder = write(pa.Table.from_pylist(rows, schema=table.schema))
    loaded = load_source(local("s1k", folder), folder, 0)
    assert [row["id"] for row in loaded.kept] == ["s/000000001"]
    said = ["'No'", "null", "''", "'yes'", "'Partly'"]
    assert [(one.step, one.reason) for one in loaded.rejects] == [
        ("sources", f"`deepseek_grade` is {value}, which `keep` does not name") for value in said
    ]


@pytest.mark.parametrize("name", [name for name, known in KNOWN_SOURCES.items() if known.keep])
def test_a_copy_without_the_grades_is_told_and_may_be_read_without_them(name, write):
    (column,) = KNOWN_SOURCES[name].keep
    folder = write(PUBLISHED[name].table().drop_columns([column]))
    with pytest.raises(DataError) as caught:
        load_source(local(name, folder), folder, 0)
    assert f"no column '{column}', by which it takes its rows" in caught.value.what
    assert "'question'" in caught.value.where and ".keep" in caught.value.where
    assert len(load_source(local(name, folder, keep={}), folder, 0).kept) == 1


@pytest.mark.parametrize("name", KNOWN_SOURCES)
def test_a_recipe_needs_the_name_alone_and_parses_to_itself(name):
    known = KNOWN_SOURCES[name]
    source = SourceRecipe.model_validate({"name": "s", "dataset": name})
    assert (source.path, source.modality) == (known.path, known.modality)
    assert place_kind(known.path) == "hub" and dict(known.columns) == source.columns
    assert SourceRecipe.model_validate(source.model_dump(mode="json")) == source
    assert known.checked or known.note  # what is not checked says what is assumed
    assert known.revision in (None, "refs/convert/parquet") or is_commit(known.revision)


def test_what_the_recipe_gives_stands_before_what_the_table_has():
    values = {"name": "s", "dataset": "openr1", "split": "extended", "columns": {"answer": "a"}}
    source = SourceRecipe.model_validate(values)
    assert (source.config, source.split, source.columns) == ("all", "extended", {"answer": "a"})
    assert is_commit(source.revision)
    copy = SourceRecipe.model_validate({"name": "s", "dataset": "openr1", "path": "owner/copy"})
    assert (copy.revision, copy.config) == (None, None)  # those of another repository say nothing
    path = KNOWN_SOURCES["openr1"].path
    same = SourceRecipe.model_validate({"name": "s", "dataset": "openr1", "path": path})
    assert same == SourceRecipe.model_validate({"name": "s", "dataset": "openr1"})


def test_an_unknown_data_set_is_named_with_those_there_are():
    with pytest.raises(ValidationError, match=r"geometry4k.*geometry3k"):
        SourceRecipe.model_validate({"name": "s", "dataset": "geometry4k"})


def test_a_conversation_of_several_questions_is_refused_and_a_shared_id_is_not_read(tmp_path):
    table = SEEN["geoqa"].table()
    (row,) = table.to_pylist()
    further = [{"from": "human", "value": "Which?"}, {"from": "gpt", "value": "5"}]
    longer = {**row, "conversations": [*row["conversations"], *further]}
    rows = pa.Table.from_pylist([row, longer, row], schema=table.schema)
    pq.write_table(rows, tmp_path / "a.parquet")
    loaded = load_source(local("geoqa", tmp_path), tmp_path, 0)
    assert [one.reason for one in loaded.rejects] == ["chat with several turns"]
    assert [row["id"] for row in loaded.kept] == ["s/000000000", "s/000000002"]
