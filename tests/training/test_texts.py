"""Characters that hide: each kind is found by its reason, and written out where it is shown."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.texts import ANY, marked, one_line
from report.text import printable
from training.records import question_key
from training.texts import MAX_TEXT_CHARACTERS, fault_of

HIDDEN = {
    "damaged characters in the text": "\ufffd \ud800 \udfff \ufffe \uffff \ufdd0",
    "control characters in the text": "\0 \x1b \x07 \x7f \x85 \x9b \u2028 \u2029",
    "direction marks in the text": "\u200e \u200f \u061c \u202a \u202e \u2066 \u2069",
    "invisible characters in the text": "\u200b \u200c \u200d \u2060 \ufeff \xad \u3164 \U000e0041 "
    "\ufe00 \ufe0f \U00013430 \U00013438 \u2800 \U0001d159 \U00016fe4",
}


@pytest.mark.parametrize("reason", HIDDEN)
def test_each_kind_has_its_reason_and_is_written_out(reason):
    for character in HIDDEN[reason].split(" "):
        text = f"4{character}2"
        assert fault_of("fine", None, text) == reason
        shown = marked(text)
        assert (
            f"{ord(character):x}" in shown and shown.isprintable() and shown[0] + shown[-1] == "42"
        )
        assert fault_of(shown) is None


def test_whatever_unicode_calls_control_or_format_is_hidden_unless_it_is_drawn():
    odd = ("Cc", "Cf", "Cs", "Zl", "Zp")
    characters = [character for character in map(chr, range(0x110000)) if character not in "\n\t\r"]
    formats = [character for character in characters if unicodedata.category(character) in odd]
    drawn = {unicodedata.name(one).split()[0] for one in formats if not fault_of(one)}
    # Signs around Arabic, Syriac and Kaithi numbers.
    assert drawn == {"ARABIC", "SYRIAC", "KAITHI"}


@given(st.text())
def test_what_is_marked_can_be_written_and_is_clean(text):
    marked(text).encode("utf-8")
    assert fault_of(marked(text)) is None
    assert marked(text) == text or fault_of(text) is not None
    assert all(c == "\n" or c == "\t" or ord(c) >= 32 for c in printable(text))


def test_what_no_reader_sees_makes_no_other_question():
    hidden = "\u200b \ufe0f \ufe00 \U00013431 \u2800 \U0001d159 \U00016fe4 \xad"
    for character in hidden.split(" "):
        assert question_key(f"What is 1{character} + 1?", []) == question_key("What is 1 + 1?", [])
    for blank in "\u2028\u2800\x0b":
        assert question_key(f"What is{blank}1?", []) == question_key("What is 1?", [])


@pytest.mark.parametrize(
    ("one", "other", "are_equal"),
    [
        ("In ABC, a = 3 and C = 90. Find $c$.", "In ABC, a = 3 and C = 90. Find $C$.", False),
        ("Side a = 3, A = 30. Find B.", "Side A = 3, a = 30. Find B.", False),
        (r"$\Delta$ is 3, $\delta$ is 4", r"$\delta$ is 3, $\Delta$ is 4", False),
        ("Find X + 1.", "find x + 1.", True),
        ("A train leaves A. I'm in a box.", "A TRAIN LEAVES A. I'M IN A BOX.", True),
        ("Don't add a to b, I think", "DON'T ADD A TO B, I THINK", True),
    ],
)
def test_case_makes_another_question_only_of_names_in_both(one, other, are_equal):
    assert (question_key(one, []) == question_key(other, [])) is are_equal


def test_nobodys_text_passes_for_a_line_of_ours():
    assert one_line("a\n\tb\r\x1b[2Jc\u202ed é") == r"a\n\tb\r\x1b[2Jc\u202ed é"


def test_ordinary_texts_of_the_world_are_no_fault():
    for text in (
        "x² ≤ 3\n\tand\r\n",
        "求和",
        "кот",
        "مثلث",
        "हिन्दी",
        "🍎 + 🍎",
        "❤️ ↔️ ☎︎ 3️⃣ ©️ ∩︀",
        "é",
        "∑∫√",
        "",
    ):
        assert fault_of(text) is None and marked(text) == text


def test_a_text_without_end_is_a_fault():
    assert fault_of("x" * MAX_TEXT_CHARACTERS) is None
    assert fault_of("x" * (MAX_TEXT_CHARACTERS + 1)) == "text too long"


def test_of_ascii_the_same_characters_are_refused():
    refused = {one for one in map(chr, range(128)) if fault_of(one)}
    assert refused == {one for one in map(chr, range(128)) if ANY.search(one)}
    assert {"\0", "\x7f"} < refused and not refused & set("\t\n\r aZ9")
