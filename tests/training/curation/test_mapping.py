"""Columns of real data as records: paths, chats, answers, options, images and their places."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.errors import DataError
from training.curation import row_images
from training.curation.columns import Missing, value_at
from training.curation.options import letter_of, with_options
from training.curation.refused import Refused
from training.curation.sources import load_source
from training.curation.step import write_rejects
from training.recipe.sources import SourceRecipe
from training.records import OPTIONAL_FIELDS


@pytest.fixture
def load(tmp_path):
    """Loads rows from a Parquet file in a folder of its own."""

    def read(rows, modality="text", schema=None, **mapping):
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), tmp_path / "rows.parquet")
        source = SourceRecipe(
            name="s", kind="parquet", modality=modality, path=str(tmp_path), **mapping
        )
        loaded = load_source(source, tmp_path, 0)
        assert len(loaded.kept) + len(loaded.rejects) == len(rows)
        write_rejects(loaded.rejects, tmp_path.with_name(f"{tmp_path.name}-rejects.parquet"))
        return loaded

    return read


def reasons(loaded):
    return [(one.step, one.reason) for one in loaded.rejects]


# Paths.


def test_a_dotted_path_leads_into_structs_and_lists(load):
    loaded = load(
        [{"prompt": [{"content": "1 + 1?"}], "reward_model": {"ground_truth": "2"}}],
        columns={"question": "prompt.0.content", "answer": "reward_model.ground_truth"},
    )
    assert [(row["question"], row["answer"]) for row in loaded.kept] == [("1 + 1?", "2")]


def test_a_column_whose_name_has_dots_is_itself(load):
    rows = [{"a.b": "1 + 1?", "a": {"b": "other"}, "answer": "2"}]
    assert load(rows, columns={"question": "a.b"}).kept[0]["question"] == "1 + 1?"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("reward.truth", "['style', 'value']"),
        ("answer.truth", "[]"),
        ("list.7", "['0', '1']"),
        ("list.x", "['0', '1']"),
        ("gone.truth", "['answer', 'list', 'question', 'reward']"),
    ],
)
def test_a_path_that_leads_nowhere_is_named_with_what_is_there(path, found, load):
    row = {"question": "?", "answer": "1", "reward": {"style": "s", "value": "2"}, "list": [1, 2]}
    with pytest.raises(DataError) as caught:
        load([row], columns={"answer": path})
    assert f"no column '{path}' for the field `answer`" in caught.value.what
    assert f"the file has {found}" in caught.value.where


def test_a_struct_that_is_null_in_every_row_is_not_told_as_a_missing_column(load):
    kind = pa.struct([("truth", pa.string())])
    schema = pa.schema([("question", pa.string()), ("reward", kind)])
    rows = [{"question": "?", "reward": None}]
    assert load(rows, schema=schema, columns={"answer": "reward.truth"}).kept[0]["answer"] == ""


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("ab", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


def all_paths(value, *above):
    inside = {}
    if isinstance(value, dict):
        inside = value
    elif isinstance(value, list):
        inside = {str(index): one for index, one in enumerate(value)}
    for name, one in inside.items():
        yield (*above, name), one
        yield from all_paths(one, *above, name)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.text("ab", min_size=1, max_size=2), JSON, max_size=3))
def test_every_value_is_found_by_its_path_and_no_other(row):
    paths = dict(all_paths(row))
    for path, value in paths.items():
        assert value_at(row, ".".join(path)) is value
        assert isinstance(value_at(row, ".".join([*path, "c"])), Missing)


# Values that are no texts.


@pytest.mark.parametrize("field", ["question", "answer", *OPTIONAL_FIELDS])
def test_a_value_that_is_no_scalar_is_refused_and_kept_with_its_row(field, load):
    row = {"question": "1 + 1?", "answer": "2", field: {"role": "user", "content": "1 + 1?"}}
    loaded = load([row])
    hint = "" if field in ("question", "answer") else f"; `{field} = false` skips it"
    assert reasons(loaded) == [("sources", f"`{field}` that is no text{hint}")]
    assert loaded.rejects[0].problem["answer"] in ("2", "{'content': '1 + 1?', 'role': 'user'}")
    if field == "question":
        assert "1 + 1?" in loaded.rejects[0].problem["question"]


def test_a_list_of_equal_answers_is_one_and_of_others_a_reject(load):
    answers = [["2"], ["2", "2"], [], None, ["2", "3"]]
    loaded = load([{"question": "?", "answer": one} for one in answers])
    assert [row["answer"] for row in loaded.kept] == ["2", "2", "", ""]
    assert reasons(loaded) == [("sources", "several answers in a list")]


# Answers in solutions.


def test_the_answer_behind_hashes_as_in_gsm8k(load):
    texts = ["3 + 4 = 7\n#### 7", "#### 1\n#### 1,234 \nmore", "seven"]
    columns = {"solution": "answer"}
    rows = [{"question": "?", "answer": text} for text in texts]
    loaded = load(rows, columns=columns, answer_rule="after_hashes")
    assert [row["answer"] for row in loaded.kept] == ["7", "1,234"]
    assert loaded.kept[0]["solution"] == texts[0]
    assert reasons(loaded) == [("sources", "no answer after `####`")]


def test_the_answer_in_the_last_box_of_the_solution(load):
    texts = [
        r"so \boxed{1} is a first guess, which was wrong: $\boxed{\frac{1}{2}}$.",
        "none",
        r"\boxed{}",
        "so \\boxed{5,000}\n\\boxed{5000}",
        r"\boxed{3} or \boxed{4}",
    ]
    rows = [{"question": "?", "solution": text} for text in texts]
    loaded = load(rows, answer_rule="last_boxed")
    assert [row["answer"] for row in loaded.kept] == [r"\frac{1}{2}", "5000", "3 or 4"]
    assert reasons(loaded) == [("sources", r"no answer in a last `\boxed{}`")] * 2


@pytest.mark.parametrize("nothing", [None, "", " "])
def test_an_answer_column_with_nothing_in_it_is_as_none(nothing, load):
    rows = [
        {"question": "?", "answer": nothing, "solution": r"so \boxed{1}"},
        {"question": "?!", "answer": r"\boxed{2}", "solution": r"so \boxed{1}"},
        {"question": "!", "answer": "2", "solution": r"so \boxed{1}"},
        {"question": "!!", "answer": nothing, "solution": None},
    ]
    loaded = load(rows, answer_rule="last_boxed")
    assert [row["answer"] for row in loaded.kept] == ["1", "2"]
    assert reasons(loaded) == [("sources", r"no answer in a last `\boxed{}`")] * 2


def test_a_rule_without_answer_and_solution_names_the_columns(load):
    with pytest.raises(DataError, match="no column 'answer'"):
        load([{"question": "?", "text": "x"}], answer_rule="last_boxed")


# Chats.

OPENAI = [
    {"role": "system", "content": "Think."},
    {"role": "user", "content": "1 + 1?"},
    {"role": "assistant", "content": r"It is \boxed{2}."},
]
SHARE_GPT = [
    {"from": "human", "value": "1 + 1?"},
    {"from": "gpt", "value": r"It is \boxed{2}."},
]


@pytest.mark.parametrize(("chat", "num_system"), [(OPENAI, 1), (SHARE_GPT, 0)])
def test_a_chat_fills_question_and_solution(chat, num_system, load):
    mapping = {"columns": {"messages": "chat"}, "answer_rule": "last_boxed"}
    loaded = load([{"chat": chat, "question": "unused"}], **mapping)
    row = loaded.kept[0]
    assert (row["question"], row["solution"]) == ("1 + 1?", r"It is \boxed{2}.")
    assert row["answer"] == "2" and loaded.num_system_turns == num_system


def test_a_column_that_the_recipe_maps_stands_before_the_chats_turn(load):
    columns = {"messages": "chat", "question": "problem"}
    row = {"chat": OPENAI, "problem": "2?", "answer": "2"}
    assert load([row], columns=columns).kept[0]["question"] == "2?"


def turns(*roles):
    return [{"role": role, "content": "x"} for role in roles]


@pytest.mark.parametrize(
    ("chat", "reason"),
    [
        (turns("user", "assistant", "user", "assistant"), "chat with several turns"),
        (turns("user", "user"), "chat with several turns"),
        (turns("assistant", "user"), "chat with several turns"),
        (turns("system"), "chat without a question"),
        ([], "chat without a question"),
        (turns("user", "tool"), "chat with turns of others than system, user and assistant"),
        ([{"role": None, "content": "x"}], "chat with turns of others than system, user and ass"),
        ([{"speaker": "user", "content": "x"}], "chat that is no list of turns"),
    ],
)
def test_a_chat_that_is_no_question_and_answer_is_a_reject(chat, reason, load):
    kind = pa.list_(pa.struct([(name, pa.string()) for name in (chat or turns("user"))[0]]))
    schema = pa.schema([("chat", kind), ("answer", pa.string())])
    loaded = load([{"chat": chat, "answer": "1"}], schema=schema, columns={"messages": "chat"})
    assert loaded.rejects[0].reason.startswith(reason)


def test_a_chat_that_is_a_text_is_no_chat(load):
    loaded = load([{"chat": "user: 1 + 1?", "answer": "2"}], columns={"messages": "chat"})
    assert reasons(loaded) == [("sources", "chat that is no list of turns")]


# Options.


def test_options_are_appended_with_letters_and_the_answer_becomes_one(load):
    rows = [
        {"question": "Which?", "options": ["red", "blue"], "answer": answer}
        for answer in ("B", "(b)", "Blue ", "green", "C")
    ]
    loaded = load(rows, columns={"options": "options"})
    assert {row["question"] for row in loaded.kept} == {"Which?\n(A) red\n(B) blue"}
    assert [row["answer"] for row in loaded.kept] == ["B", "B", "B"]
    assert {one.reason for one in loaded.rejects} == {"answer that is none of the options"}


def test_options_in_columns_of_their_own_and_an_index(load):
    rows = [{"question": "?", "A": "1", "B": "2", "C": None, "answer": n} for n in (0, 1, 2, -1)]
    mapping = {"columns": {"options": ("A", "B", "C")}, "answer_rule": "index"}
    loaded = load(rows, **mapping)
    assert [(row["question"], row["answer"]) for row in loaded.kept] == [
        ("?\n(A) 1\n(B) 2", "A"),
        ("?\n(A) 1\n(B) 2", "B"),
    ]
    assert {one.reason for one in loaded.rejects} == {"answer that is no index of the options"}


def test_a_row_without_options_keeps_its_answer(load):
    kind = pa.schema(
        [("question", pa.string()), ("options", pa.list_(pa.string())), ("answer", pa.string())]
    )
    rows = [{"question": "?", "options": None, "answer": "7"}]
    row = load(rows, schema=kind, columns={"options": "options"}).kept[0]
    assert (row["question"], row["answer"]) == ("?", "7")


@pytest.mark.parametrize(
    ("options", "answer", "reason"),
    [
        (["1"], "A", "one option alone"),
        (["1", "1 "], "A", "two equal options"),
        (["1", None, "3"], "A", "an option without text"),
        ([str(n) for n in range(27)], "A", "more than 26 options"),
        (["B", "A"], "A", "answer that is one option's letter and another one's text"),
    ],
)
def test_options_that_cannot_be_told_apart_are_a_reject(options, answer, reason, load):
    row = {"question": "?", "options": options, "answer": answer}
    assert reasons(load([row], columns={"options": "options"})) == [("sources", reason)]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.text("xyz", min_size=2), min_size=2, max_size=26, unique=True), st.data())
def test_letter_and_text_of_an_option_name_the_same(options, data):
    right = data.draw(st.integers(0, len(options) - 1))
    letter = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[right]
    assert letter_of(options[right], options) == letter_of(letter, options) == letter
    assert f"({letter}) {options[right]}" in with_options("?", options).split("\n")
    with pytest.raises(Refused):
        letter_of("other", options)


# Images.


def test_images_beside_the_rows_are_read_by_their_path(load, png, tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures/1.png").write_bytes(png(1))
    for image in ("figures/1.png", {"bytes": None, "path": "figures/1.png"}, ["figures/1.png"]):
        loaded = load([{"question": "?", "answer": "1", "images": image}], "multimodal")
        assert [one["bytes"] for one in loaded.kept[0]["images"]] == [png(1)]


def test_a_row_that_names_too_many_images_is_a_reject(load, png, tmp_path, monkeypatch):
    """One large file, named a thousand times, would fill the memory."""
    (tmp_path / "1.png").write_bytes(png(1))
    size = len(png(1))
    monkeypatch.setattr(row_images, "MAX_PROBLEM_BYTES", 3 * size)
    rows = [{"question": "?", "answer": "1", "images": ["1.png"] * n} for n in (3, 4, 65)]
    loaded = load(rows, "multimodal")
    assert [len(row["images"]) for row in loaded.kept] == [3]
    assert reasons(loaded) == [
        ("sources", "images with too many bytes in all"),
        ("sources", "more than 64 images"),
    ]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("https://example.org/1.png", "image by an address"),
        ("data:image/png;base64,AAAA", "image by an address"),
        ("file:///etc/passwd", "image by an address"),
        ("/etc/passwd", "image file outside the source's folder"),
        ("../secret.png", "image file outside the source's folder"),
        ("figures/../../secret.png", "image file outside the source's folder"),
        ("linked/secret.png", "image file outside the source's folder"),
        ("a\0b", "image file outside the source's folder"),
        ("figures", "image file that is missing"),
        ("none.png", "image file that is missing"),
        ("", "image file that is missing"),
        ("x" * 5000, "image file that cannot be read"),
    ],
)
def test_nothing_outside_the_folder_is_read(name, reason, load, png, tmp_path_factory, tmp_path):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.png").write_bytes(png(9))
    (tmp_path.parent / "secret.png").write_bytes(png(9))
    (tmp_path / "figures").mkdir()
    (tmp_path / "linked").symlink_to(outside)
    loaded = load([{"question": "?", "answer": "1", "images": [name]}], "multimodal")
    assert reasons(loaded) == [("sources", reason)]


@pytest.mark.parametrize(
    ("question", "num_images", "expected"),
    [
        ("How many?", 2, "How many?"),
        ("<image>\n<image> How many?", 2, "How many?"),
        ("In <image>, how many?", 1, "In <image>, how many?"),
        ("How many? <image>", 1, "How many? <image>"),
        ("<image> or <image>?", 2, "<image> or <image>?"),
        ("<image>How many?", 2, None),
        ("<image><image>How many?", 1, None),
    ],
)
def test_images_stand_where_the_question_says(question, num_images, expected, load, png):
    images = [png(number) for number in range(num_images)]
    row = {"question": question, "answer": "1", "images": images}
    loaded = load([row], "multimodal")
    assert [kept["question"] for kept in loaded.kept] == ([expected] if expected else [])
    if expected is None:
        assert reasons(loaded) == [("sources", "more or fewer `<image>` than images")]


def test_a_text_problem_has_no_place_for_an_image(load):
    loaded = load([{"question": "What is in <image>?", "answer": "1"}])
    assert reasons(loaded) == [("sources", "more or fewer `<image>` than images")]
