"""`revisual inspect`: what a source holds, and why rows would be rejected."""

import json
import sys
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contracts.errors import DataError, RecipeError
from infra.settings import Settings
from tasks.inspect import find_source, inspect_lines
from tasks.run import recipe_path
from training.recipe.recipe import load_recipe

ROWS = [
    {"question": "1 + 1?", "answer": "2", "topic": "sums"},
    {"question": "Prove that 1 + 1 = 2.", "answer": "2", "topic": "sums"},
    {"question": "1 + 1?", "answer": "2", "topic": "sums"},
    {"question": "2 + 2?", "answer": ["4", "5"], "topic": "sums"},
]


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path / "home", store_uri=str(tmp_path / "store"), port=1)


@pytest.fixture
def rows(tmp_path):
    lines = [*map(json.dumps, ROWS), '{"question": "3 +']
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    return str(tmp_path / "rows.jsonl")


def test_a_path_shows_columns_rows_and_counts_of_rejects(rows, settings):
    told = list(inspect_lines(find_source(rows, None, None), settings, 100))
    assert "first file: rows.jsonl" in told
    assert "columns found: question, answer, topic" in told
    assert "  question: 1 + 1?" in told
    assert "row inspected/000000001 - rejected: asks for a proof" in told
    assert "row inspected/000000003 - rejected: several answers in a list" in told
    assert "Of the first 5 rows, 1 would go on to the next steps." in told
    assert {line.strip() for line in told if " rejected, " in line} == {
        "1 rejected, sources: several answers in a list",
        "1 rejected, sources: line that is no JSON",
        "1 rejected, verifiability: asks for a proof",
        "1 rejected, duplicates: duplicate question",
    }


def test_the_columns_by_which_rows_are_taken_are_shown(rows, settings):
    source = find_source(rows, None, None).model_copy(update={"keep": {"topic": ("products", 1)}})
    told = list(inspect_lines(source, settings, 100))
    assert "taken: rows whose topic is 'products' or 1" in told
    assert "       4 rejected, sources: `topic` is 'sums', which `keep` does not name" in told


def test_rules_of_the_users_own_are_asked_too(rows, settings, monkeypatch):
    with pytest.raises(RecipeError, match="no function nowhere"):
        list(inspect_lines(find_source(rows, None, None), settings, 100, ["json:nowhere"]))
    monkeypatch.setitem(sys.modules, "own_inspect", SimpleNamespace(no_sums=no_sums))
    source, steps = find_source(rows, None, None), ["verifiability", "own_inspect:no_sums"]
    told = list(inspect_lines(source, settings, 100, steps))
    assert "row inspected/000000000 - rejected: a sum" in told
    assert "       2 rejected, own_inspect:no_sums: a sum" in told


def test_steps_are_taken_in_their_order(rows, settings, monkeypatch):
    """Of two equal sums the second one is a duplicate, unless both are gone by then."""
    monkeypatch.setitem(sys.modules, "own_order", SimpleNamespace(no_sums=no_sums))
    source = find_source(rows, None, None)

    def counts(*steps):
        told = list(inspect_lines(source, settings, 100, ["verifiability", *steps]))
        found = [line.split(" rejected, ") for line in told if " rejected, " in line]
        return {reason: int(number) for number, reason in found if "sources" not in reason}

    own, equal = "own_order:no_sums: a sum", "duplicates: duplicate question"
    proof = "verifiability: asks for a proof"
    assert counts("own_order:no_sums", "duplicates") == {proof: 1, own: 2}
    assert counts("duplicates", "own_order:no_sums") == {proof: 1, equal: 1, own: 1}


def test_steps_see_traces_as_curation_does(settings, tmp_path, monkeypatch):
    """In one format; of a row whose trace was rewritten the reason is shown, too."""
    lines = [
        json.dumps({"question": f"{n} + 1?", "answer": str(n + 1), "solution": trace})
        for n, trace in enumerate(["#### 1", "It is \\boxed{2}.", None, "#### 4"])
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    monkeypatch.setitem(sys.modules, "own_traces", SimpleNamespace(unboxed=unboxed))
    steps = ["own_traces:unboxed"]
    told = list(inspect_lines(find_source(str(tmp_path), None, None), settings, 100, steps))
    assert "  solution: \\boxed{1}" in told
    assert {line.strip() for line in told if "rejected" in line} == {
        "row inspected/000000002 - rejected: no box",
        "row inspected/000000003 - rejected: a four",
        "1 rejected, own_traces:unboxed: no box",
        "1 rejected, own_traces:unboxed: a four",
    }


def unboxed(*, question, answer, solution, num_images, source, family, level):
    if solution == "\\boxed{4}":
        return "a four"
    return None if "\\boxed" in (solution or "") else "no box"


def no_sums(*, question, answer, solution, num_images, source, family, level):
    return "a sum" if "+" in question else None


def test_so_many_rows_are_read_as_was_asked_and_five_shown(settings, tmp_path):
    table = {"question": [f"{n} + 1?" for n in range(50)], "answer": [str(n) for n in range(50)]}
    for name in ("a", "b"):
        pq.write_table(pa.table(table), tmp_path / f"{name}.parquet")
    told = list(inspect_lines(find_source(str(tmp_path), None, None), settings, 20))
    assert sum(line.startswith("row ") for line in told) == 5
    assert "Of the first 20 rows, 20 would go on to the next steps." in told
    told = list(inspect_lines(find_source(str(tmp_path), None, None), settings, 1000))
    assert "Of the first 50 rows, 50 would go on to the next steps." in told  # of the first file


def test_a_missing_column_is_told_behind_those_found(settings, tmp_path):
    pq.write_table(pa.table({"problem": ["?"], "gold": ["1"]}), tmp_path / "a.parquet")
    lines = inspect_lines(find_source(str(tmp_path), None, None), settings, 20)
    told = [next(lines) for _ in range(4)]
    assert "columns found: problem, gold" in told
    with pytest.raises(DataError, match="no column 'question'"):
        next(lines)


def test_a_column_in_percent_is_told_with_what_to_do(settings, tmp_path):
    columns = {"question": ["1 + 1?", "2 + 2?"], "answer": ["2", "4"], "pass_rate": [62.5, 50.0]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    told = list(inspect_lines(find_source(str(tmp_path), None, None), settings, 20))
    assert told[-2:] == [
        "Of the first 2 rows, 0 would go on to the next steps.",
        "       2 rejected, sources: `pass_rate` that is no share from 0 to 1 (in percent?); "
        "`pass_rate = false` skips it",
    ]


def test_a_known_data_set_says_what_is_not_confirmed(settings, tmp_path):
    pq.write_table(pa.table({"problem": ["2 + 2?"], "answer": ["4"]}), tmp_path / "a.parquet")
    source = find_source("textrl", None, None).model_copy(update={"path": str(tmp_path)})
    told = list(inspect_lines(source, settings, 20))
    assert any("NOT CONFIRMED" in line for line in told)
    assert "licence: not known" in told and "  answer: 4" in told
    source = find_source("geometry3k", None, None)
    assert (source.path, source.config) == ("hiyouga/geometry3k", None)


def test_a_recipes_generated_source_needs_no_files(settings):
    recipe = load_recipe(recipe_path("pocket"))
    source = find_source(recipe.sources[1].name, recipe, None)
    told = list(inspect_lines(source, settings, 5))
    assert any(line.startswith("  images: 1 (") for line in told)
    assert told[-1].startswith("Of the first 5 rows, ")


def test_images_beside_the_rows_of_a_path_are_seen(settings, tmp_path):
    (tmp_path / "1.png").write_bytes(b"no picture")
    row = {"question": "?", "answer": "1", "images": "1.png"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    told = list(inspect_lines(find_source(str(tmp_path), None, "multimodal"), settings, 5))
    assert "  images: 1 (10 bytes)" in told
    assert any("image that is no PNG" in line for line in told)


@pytest.mark.parametrize("name", ["", "a b", "a/b/c"])
def test_a_name_that_is_no_source_is_one_clear_error(name):
    with pytest.raises(RecipeError, match="There is no source"):
        find_source(name, None, None)
    with pytest.raises(RecipeError, match="There is no source"):
        find_source(name, load_recipe(recipe_path("pocket")), None)
