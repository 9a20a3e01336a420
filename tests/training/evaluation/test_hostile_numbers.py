"""Numbers that no benchmark holds and a model may still write: no rule ends over them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.evaluation.items import Rule
from training.evaluation.verdicts import judge, scorer, verdict
from training.evaluation.votes import Ballot, majority_right

RULES = (
    Rule("letter", "B", ("3 cm", "4 cm", "5 cm")),
    Rule("nearest", "B", ("Line AB", "Line BC")),
    Rule("letters", "B, D"),
    Rule("number", "12", tolerance=0.001),
    Rule("number", "12", decimals=2),
    Rule("number", "12", decimals=1, unit="cm"),
    Rule("integer", "12"),
    Rule("list", "[1, 2]"),
    Rule("list", "[1, 2]", decimals=2),
    Rule("text", "even"),
    Rule("none", "3"),
)
HUGE = st.one_of(
    st.builds("{}^{{{}}}".format, st.integers(-12, 12), st.integers(-2000, 2000)),
    st.builds("{}e{}".format, st.integers(-9, 9), st.integers(-6000, 6000)),
    st.builds("\\sqrt{{10^{{{}}}}}".format, st.integers(0, 2000)),
    st.builds("e^{{{}}}".format, st.integers(-3000, 3000)),
    st.builds("\\frac{{{}}}{{{}}}".format, st.integers(), st.integers()),
    st.builds("0.\\overline{{{}}}".format, st.integers(0, 10**900)),
    st.integers(-(10**1000), 10**1000).map(str),
    st.sampled_from(["0^0", "1/0", "\\infty", "\\log(0)", "1000!", "(-8)^{1/3}", "1e-999"]),
)
SHAPES = ("{}", "[{}, 2]", "[1, {}]", "x = {}", "{} cm", "{}\\%", "-{}", "{}\\pi", "B. {}", "{}:{}")


@given(HUGE, st.sampled_from(SHAPES))
def test_no_number_ends_an_evaluation(number, shape):
    answer = shape.format(number, number)
    for rule in RULES:
        assert verdict(rule, answer) in ("right", "wrong", "unparseable")
    assert majority_right([Ballot(answer, True)]) == 1.0


@pytest.mark.parametrize("kind", ["boxed", "math"])
def test_no_number_ends_the_verifier(kind):
    answers = ["10^{400}", "-10^{400}", "e^{1000}", "9" * 1000, "1e6000", "0^0"]
    responses = [f"\\boxed{{{answer}}}" for answer in answers]
    with scorer(num_processes=1) as verifier:
        found = judge([Rule(kind, "12")] * 6, responses, ["?"] * 6, verifier)
    assert set(found) <= {"wrong", "unparseable"}


def test_numbers_beyond_binary_fractions_are_rounded_exactly():
    rule = Rule("number", "10^{400}", decimals=2)
    assert verdict(rule, "10^{400}") == "right"
    for answer in ("10^{401}", "-10^{400}", "1", "10^{300}"):
        assert verdict(rule, answer) == "wrong", answer
