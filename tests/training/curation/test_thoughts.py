"""A column of thoughts beside the solution: one trace in the format that is taught, and whole."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.errors import DataError
from training.curation import traces
from training.curation.sources import load_source
from training.curation.thoughts import with_thoughts
from training.curation.verifiability import keep_verifiable
from training.recipe.curation import TracesRecipe
from training.recipe.sources import SourceRecipe
from training.rl.rewards import think_then_box

COLUMNS = {"thoughts": "chain", "solution": "said"}
LONG = " ".join(f"Step {number}: {number} + {number} is {2 * number}." for number in range(3000))


@pytest.fixture
def load(tmp_path):
    def read(*rows, **mapping):
        (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
        values = {"name": "s", "kind": "jsonl", "modality": "text", "path": str(tmp_path)}
        source = SourceRecipe.model_validate({**values, **mapping})
        return load_source(source, tmp_path, 0)

    return read


def row(chain, said=r"It is \boxed{4}.", **more):
    return {"question": "2 + 2?", "chain": chain, "said": said, **more}


def fault_of(trace):
    return traces.faults([("2 + 2?", trace)], TracesRecipe(), lambda text: len(text.split()))[0]


TEXTS = st.text(st.characters(exclude_characters="<"), min_size=1).filter(str.strip)


@given(TEXTS, TEXTS)
def test_thoughts_and_solution_are_whole_and_in_their_order(thoughts, solution):
    thought, tag, said = with_thoughts(thoughts, solution).partition("</think>")
    assert (thought.partition("<think>")[2].strip(), tag) == (thoughts.strip(), "</think>")
    assert said.removeprefix("\n\n") == solution


@pytest.mark.parametrize("chain", ["Hm.", r"Maybe \boxed{5}? No.", r"So \boxed{4}.", LONG])
def test_the_trace_is_in_the_format_that_the_reward_asks_for(chain, load, verifier):
    loaded = load(row(chain), columns=COLUMNS, answer_rule="last_boxed")
    (problem,) = keep_verifiable(loaded.kept, verifier).kept
    trace = problem["solution"]
    assert problem["answer"] == "4"  # of the solution, whatever the thoughts hold
    assert trace == f"<think>\n{chain}\n</think>\n\nIt is \\boxed{{4}}."
    assert think_then_box(trace) == 1.0
    assert traces.convert(problem) == (problem, None) and fault_of(trace) is None


def test_tags_that_the_column_has_are_not_written_twice(load):
    tagged = ["<think>\nHm.\n</think>", "<think>Hm.", "Hm.</think>\n", " Hm. "]
    loaded = load(*map(row, tagged), columns=COLUMNS, answer_rule="last_boxed")
    assert {one["solution"] for one in loaded.kept} == {
        "<think>\nHm.\n</think>\n\nIt is \\boxed{4}."
    }


@pytest.mark.parametrize("chain", [None, "", " \n", "<think></think>"])
def test_a_row_without_thoughts_keeps_its_solution(chain, load):
    loaded = load(row("Hm."), row(chain), columns=COLUMNS, answer_rule="last_boxed")
    assert loaded.kept[1]["solution"] == r"It is \boxed{4}."


def test_thoughts_without_a_solution_are_no_trace_and_what_is_no_text_is_refused(load):
    rows = [row(["Hm."]), row({"a": 1}), row(r"So \boxed{4}.", None), row(7), row("Hm.")]
    loaded = load(*({**one, "answer": "4"} for one in rows), columns=COLUMNS)
    assert [one.reason for one in loaded.rejects] == ["`thoughts` that is no text"] * 2
    assert [one["solution"] for one in loaded.kept] == [
        None,
        *(f"<think>\n{thought}\n</think>\n\nIt is \\boxed{{4}}." for thought in ("7", "Hm.")),
    ]


def test_they_stand_before_a_chats_answer(load):
    turns = [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": r"\boxed{4}"}]
    columns = {"messages": "turns", "thoughts": "chain"}
    loaded = load({"turns": turns, "chain": "Hm."}, columns=columns, answer_rule="last_boxed")
    assert loaded.kept[0]["solution"] == "<think>\nHm.\n</think>\n\n\\boxed{4}"


@pytest.mark.parametrize(
    ("columns", "lacking"),
    [
        ({"thoughts": "thought", "solution": "said"}, "thought"),
        ({"thoughts": "chain"}, "solution"),
    ],
)
def test_a_column_that_is_missing_is_named(columns, lacking, load):
    with pytest.raises(DataError, match=f"no column '{lacking}' for the field `"):
        load(row("Hm.", answer="4"), columns=columns)


def test_thoughts_before_a_solution_that_is_left_unread_are_a_fault_of_the_recipe(load):
    with pytest.raises(ValidationError, match="`thoughts` stand before a solution"):
        load(row("Hm."), columns={"thoughts": "chain", "solution": False})


@pytest.mark.parametrize(
    ("trace", "fault"),
    [
        ("<think>a</think><think>b</think>\\boxed{4}", "trace of several <think> blocks"),
        ("<think>a</think>\\boxed{4}</think>", "trace of several <think> blocks"),
        ("<think>So \\boxed{4}.</think> It is four.", "trace without a boxed answer"),
        ("<think>So \\boxed{4}.", None),
        ("a</think>\\boxed{4}", None),
    ],
)
def test_a_trace_has_one_thought_and_its_answer_behind_it(trace, fault):
    assert fault_of(trace) == fault
