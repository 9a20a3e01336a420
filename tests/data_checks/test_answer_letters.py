"""The gate's bound of an answer's letters, which lets pass all that curation's own one does."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_checks.suites import _FEW_LETTERS, MAX_ANSWER_LETTERS
from training.curation.verifiability import num_signs

SIGNS = ["{", "}", "$", "&", "_", "1", "é", "\\", "\\\\", "\\{", "\\_", "\\,", "frac"]
COMMANDS = [r"\alpha", r"\left(", r"\begin", r"\begin{pmatrix}", r"\end {cases*}", r"\text{ab}"]
PIECES = st.sampled_from([*SIGNS, *COMMANDS, " ", "\n", "\u0301"])
ANSWERS = st.lists(PIECES | st.text(max_size=2), max_size=160).map("".join)


@given(ANSWERS)
def test_what_curation_keeps_is_let_pass(answer):
    if num_signs(answer) <= MAX_ANSWER_LETTERS:
        assert re.match(_FEW_LETTERS, answer)


@given(st.text("ab1", min_size=95, max_size=105), st.sampled_from(["", "+", r"\frac", " {"]))
def test_letters_and_digits_are_counted_and_no_more(letters, between):
    is_few = re.match(_FEW_LETTERS, (between + " ").join(letters)) is not None
    assert is_few is (len(letters) <= MAX_ANSWER_LETTERS)


@pytest.mark.parametrize(
    ("piece", "is_few"),
    [("a", False), ("\\begin{a", False), ("\\", True), ("\\begin{", True), ("{ ", True)],
)
def test_a_long_answer_takes_no_time_that_grows_with_its_square(piece, is_few):
    assert (re.match(_FEW_LETTERS, piece * 200_000) is not None) is is_few
