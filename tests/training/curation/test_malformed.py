"""A corpus of malformed rows, files and images: each is a record or a reject with a reason."""

import io
import json
import math
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from contracts.errors import DataError
from training.answers import Verifier
from training.curation.decontamination import BenchmarkIndex
from training.curation.equal_questions import drop_duplicates
from training.curation.row_steps import RowSteps
from training.curation.shard_work import ShardWork
from training.curation.shards import read_rejects, read_usable
from training.curation.sift import SourceCounts, sift, source_rows
from training.curation.sources import load_source
from training.curation.step import write_rejects
from training.curation.verifiability import keep_verifiable
from training.images import fault_of
from training.recipe.curation import STEPS, DecontaminationRecipe
from training.recipe.sources import SourceRecipe
from training.records import PROBLEM_FEATURES, problem_dataset
from training.runtime import device
from training.texts import MAX_TEXT_CHARACTERS

FIELDS = ("question", "answer", "solution", "id", "family", "level", "images", "pass_rate")
SCALARS = {
    "none": None,
    "nan": math.nan,
    "infinite": math.inf,
    "negative": -1,
    "true": True,
    "large": 2**62,
    "tiny": 1e-300,
    "empty": "",
    "blank": " \t\n",
    "huge": "x" * (MAX_TEXT_CHARACTERS + 2),
    "NUL": "a\0b",
    "escape": "\x1b[2J",
    "direction": "2\u202e1",
    "invisible": "2\u200d",
    "a break": "\ufeff2\u200b",
    "breaks alone": "\u200b \xad",
    "noncharacter": "\uffff",
    "mark": "<image>",
    "marks": "<image> or <image>?",
    "special token": "<|image_pad|>",
    "hashes": "####",
    "open box": r"\boxed{2",
    "prose": "It depends on what you mean by that",
    "url": "https://example.org/1.png",
    "path": "../../etc/passwd",
}
NESTED = {
    "no list": [],
    "list of none": [None],
    "list of lists": [["2"]],
    "two answers": ["2", "3"],
    "struct": {"a": 1},
    "chat": [{"role": "user", "content": "1 + 1?"}],
    "deep": [[[[[[[["2"]]]]]]]],
}
VALUES = SCALARS | NESTED
JSON_ONLY = {"half a pair": "\ud800", "empty object": {}, "digits": 10**400, "mixed": [1, "2", {}]}


@pytest.fixture(scope="module")
def verifier():
    with Verifier(timeout_seconds=60, batch_seconds=600) as one:
        yield one


def recipe_of(folder, kind, name="odd", **changes):
    values = {"name": name, "kind": kind, "modality": "text", "path": str(folder)} | changes
    return SourceRecipe(**values)


def sifted_as_by_a_run(folders, recipes, num_rows, verifier):
    """Passes sources through the shards of a run, and counts every row: steps and reasons."""
    device.start(1)
    leaks, counts = DecontaminationRecipe(), SourceCounts()
    exam = BenchmarkIndex({"exam": [{**ASKED, "images": []}]})
    steps = RowSteps(verifier, lambda asked: [1] * len(asked), exam, 4096, 0.5, 0.75, STEPS)
    inputs = {one.input_name: folder for one, folder in zip(recipes, folders, strict=True)}
    with ShardWork() as work:
        found = sift(source_rows(recipes, inputs, 0, counts), steps, leaks, work)
        usable, rejects = list(read_usable(found.usable)), list(read_rejects(found.rejects))
    assert counts.rows.total() == found.num_rows == len(usable) + len(rejects) == num_rows
    ids = [*(row["id"] for row in usable), *(one.problem["id"] for one in rejects)]
    assert len(set(ids)) == num_rows
    return Counter((one.step, one.reason) for one in rejects)


def accounted(folder, kind, num_rows, verifier, **changes):
    """Reads a source, checks that every row is a record or a reject, and counts the reasons."""
    loaded = load_source(recipe_of(folder, kind, **changes), folder, 0)
    usable = keep_verifiable(loaded.kept, verifier)
    rest = drop_duplicates(usable.kept, verifier)
    rejects = [*loaded.rejects, *usable.rejects, *rest.rejects]
    assert len(rest.kept) + len(rejects) == num_rows
    assert problem_dataset(rest.kept).features == PROBLEM_FEATURES
    for row in rest.kept:
        assert row["question"].strip() and row["answer"].strip() and row["id"]
    path = folder.with_name(f"{folder.name}-rejects.parquet")
    write_rejects(rejects, path)  # what cannot be stored would raise here
    reasons = pq.read_table(path)["reject_reason"].to_pylist()
    assert all(reason and len(reason) < 100 for reason in reasons)
    return Counter(one.reason for one in rejects)


ASKED = {"id": "b0", "question": "How many corners do three squares have?", "answer": "12"}


def odd_row(field, value, number):
    return {"question": f"{number} + 1?", "answer": str(number + 1), field: value}


def test_the_corpus_is_as_large_as_is_told():
    num_json = len(FIELDS) * len(VALUES | JSON_ONLY)
    num_parquet = len(FIELDS) * len(VALUES)
    num_csv = (len(FIELDS) - 1) * len(SCALARS)
    assert num_json + num_parquet + num_csv + len(CUTS) * 4 + len(CUTS) * len(KINDS) >= 300


@pytest.mark.parametrize("modality", ["text", "multimodal"])
def test_json_rows_of_mixed_schemas(modality, verifier, tmp_path):
    cases = [(field, value) for field in FIELDS for value in (VALUES | JSON_ONLY).values()]
    lines = [json.dumps(odd_row(*case, number)) for number, case in enumerate(cases)]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    reasons = accounted(tmp_path, "jsonl", len(cases), verifier, modality=modality)
    assert reasons["`question` that is no text"] >= 5
    if modality == "multimodal":
        assert reasons["image by an address"] == 1
        assert reasons["image file outside the source's folder"] >= 1
    recipe = recipe_of(tmp_path, "jsonl", modality=modality)
    by_a_run = sifted_as_by_a_run([tmp_path], [recipe], len(cases), verifier)
    assert Counter({reason: count for (_, reason), count in by_a_run.items()}) == reasons


@pytest.mark.parametrize("field", FIELDS)
def test_parquet_columns_of_any_type(field, verifier, tmp_path):
    folders = [tmp_path / str(number) for number in range(len(VALUES))]
    for number, (value, folder) in enumerate(zip(VALUES.values(), folders, strict=True)):
        folder.mkdir()
        row = odd_row(field, value, number)
        pq.write_table(pa.Table.from_pylist([row]), folder / "rows.parquet")
        accounted(folder, "parquet", 1, verifier)
    recipes = [recipe_of(folder, "parquet", f"odd-{folder.name}") for folder in folders]
    sifted_as_by_a_run(folders, recipes, len(folders), verifier)


def test_csv_fields_of_any_text(verifier, tmp_path):
    cases = [(f, value) for f in FIELDS if f != "images" for value in SCALARS.values()]
    names = [one for one in FIELDS if one != "images"]
    with (tmp_path / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(names) + "\n")
        for number, case in enumerate(cases):
            row = odd_row(*case, number)
            values = ["" if row.get(name) is None else str(row[name]) for name in names]
            file.write(",".join('"' + value.replace('"', '""') + '"' for value in values) + "\n")
    accounted(tmp_path, "csv", len(cases), verifier)
    sifted_as_by_a_run([tmp_path], [recipe_of(tmp_path, "csv")], len(cases), verifier)


def test_questions_that_share_an_id_are_all_kept_and_a_repeated_row_once(verifier, tmp_path):
    rows = [odd_row("id", "same", number) for number in range(40)]
    rows += [rows[7], odd_row("id", "same#000000003", 41)]  # an id that another row was given
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert accounted(tmp_path, "jsonl", 42, verifier) == {"duplicate question": 1}
    recipe = recipe_of(tmp_path, "jsonl")
    reasons = sifted_as_by_a_run([tmp_path], [recipe], 42, verifier)
    assert reasons == {("duplicates", "duplicate question"): 1}
    loaded = load_source(recipe, tmp_path, 0)
    assert [loaded.kept[place]["id"] for place in (0, 3, 41)] == [
        "odd/same",
        "odd/same#000000003",
        "odd/same#000000003#000000041",
    ]
    assert loaded.num_shared_ids == 41


def test_files_that_count_anew_share_no_id(tmp_path):
    """Each is a batch of its own."""
    for name in ("a", "b"):
        rows = pa.Table.from_pylist([odd_row("id", number, number) for number in range(3)])
        pq.write_table(rows.select(["id", "question", "answer"]), tmp_path / f"{name}.parquet")
    loaded = load_source(recipe_of(tmp_path, "parquet"), tmp_path, 0)
    again = [f"odd/{number}#{number + 3:09d}" for number in range(3)]
    assert [row["id"] for row in loaded.kept] == ["odd/0", "odd/1", "odd/2", *again]
    assert loaded.num_shared_ids == 3


CUTS = [n / 12 for n in range(12)]
TABLE = [{"question": f"{n} + 1?", "answer": str(n + 1)} for n in range(60)]


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
@pytest.mark.parametrize("cut", CUTS)
def test_a_file_cut_off_is_named(kind, cut, verifier, tmp_path):
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(TABLE), tmp_path / "rows.parquet", row_group_size=7)
    else:
        Dataset.from_list(TABLE).save_to_disk(str(tmp_path))
    (path,) = tmp_path.glob(f"*.{kind}")
    path.write_bytes(path.read_bytes()[: int(cut * path.stat().st_size)])
    with pytest.raises(DataError) as caught:
        accounted(tmp_path, kind, 60, verifier)
    assert path.name in caught.value.what


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
@pytest.mark.parametrize("cut", CUTS[1:])
def test_lines_before_a_cut_are_read_and_the_cut_one_is_told(kind, cut, verifier, tmp_path):
    lines = [json.dumps(row) for row in TABLE]
    if kind == "csv":
        lines = ["question,answer", *(f'"{row["question"]}","{row["answer"]}"' for row in TABLE)]
    data = "\n".join(lines).encode()
    data = data[: int(cut * len(data))]
    (tmp_path / f"rows.{kind}").write_bytes(data)
    num_rows = len(data.splitlines()) - (kind == "csv")
    reasons = accounted(tmp_path, kind, num_rows, verifier)
    assert sum(reasons.values()) <= 1


KINDS = ("PNG", "JPEG", "WEBP", "GIF")


@pytest.mark.parametrize("kind", KINDS)
def test_images_cut_off_are_rejects(kind, verifier, tmp_path):
    buffer = io.BytesIO()
    Image.effect_noise((60, 40), 80).save(buffer, format=kind)
    whole = buffer.getvalue()
    cut = [whole[: int(share * len(whole))] for share in CUTS]
    rows = [
        {"question": f"{n}?", "answer": str(n), "images": [{"bytes": data, "path": None}]}
        for n, data in enumerate([whole, *cut])
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    reasons = accounted(tmp_path, "parquet", len(rows), verifier, modality="multimodal")
    assert sum(reasons.values()) == len(cut)
    recipe = recipe_of(tmp_path, "parquet", modality="multimodal")
    by_a_run = sifted_as_by_a_run([tmp_path], [recipe], len(rows), verifier)
    assert sum(by_a_run.values()) == len(cut)
    assert fault_of([{"bytes": whole, "path": None}]) is None


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=3), one, max_size=3),
    max_leaves=6,
)
LINES = st.one_of(
    st.dictionaries(st.sampled_from(FIELDS), ANY, max_size=4).map(json.dumps).map(str.encode),
    ANY.map(json.dumps).map(str.encode),
    st.binary(max_size=20).filter(lambda data: b"\n" not in data),
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.lists(LINES, max_size=8))
def test_any_lines_are_rows_or_rejects(verifier, tmp_path, lines):
    first = json.dumps(TABLE[0]).encode()
    (tmp_path / "rows.jsonl").write_bytes(b"\n".join([first, *lines]))
    num_rows = 1 + sum(bool(line.strip()) for line in lines)
    accounted(tmp_path, "jsonl", num_rows, verifier)
