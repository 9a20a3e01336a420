"""Marks of where a line may break, which no reader sees, are not read; others that hide are."""

import json

import pytest

from training.curation.sources import load_source
from training.curation.verifiability import keep_verifiable
from training.recipe.sources import SourceRecipe


@pytest.fixture
def load(tmp_path):
    def read(row, **mapping):
        (tmp_path / "rows.jsonl").write_text(json.dumps(row))
        values = {"name": "s", "kind": "jsonl", "modality": "text", "path": str(tmp_path)}
        loaded = load_source(SourceRecipe.model_validate({**values, **mapping}), tmp_path, 0)
        assert not loaded.rejects
        return loaded.kept

    return read


@pytest.mark.parametrize("mark", ["\u200b", "\ufeff", "\u2060", "\xad"])
def test_a_row_is_the_one_that_a_reader_sees(mark, load, verifier):
    plain = {
        "question": "What is $12 + 1$ over two?",
        "answer": "13/2",
        "solution": r"It is \boxed{13/2}.",
        "family": "sums",
    }
    marked = {name: f"{mark} " + mark.join(text) + mark * 2 for name, text in plain.items()}
    read, seen = (keep_verifiable(load(row), verifier) for row in (marked, plain))
    assert read.kept == seen.kept and len(seen.kept) == 1


def test_chats_and_options_are_read_so_too(load):
    turns = [
        {"role": "user", "content": "\ufeff1\u200b + 1?"},
        {"role": "assistant", "content": "\xad2"},
    ]
    row = {"chat": turns, "choices": ["\ufeff2", "3\u200b"], "answer": "\u20602"}
    (read,) = load(row, columns={"messages": "chat", "options": "choices"})
    assert (read["question"], read["answer"]) == ("1 + 1?\n(A) 2\n(B) 3", "A")
    assert read["solution"] == "2"


@pytest.mark.parametrize("mark", ["\u200d", "\u200c", "\u202e", "\U000e0041", "\u3164"])
def test_other_characters_that_hide_are_a_fault(mark, load, verifier):
    rows = load({"question": f"What is 1{mark} + 1?", "answer": "2"})
    assert len(keep_verifiable(rows, verifier).rejects) == 1


def test_a_text_of_nothing_but_breaks_is_none(load):
    (row,) = load({"question": "?", "answer": "\u200b", "solution": " \ufeff ", "level": "\xad"})
    assert (row["answer"], row["solution"], row["level"]) == ("", None, None)
