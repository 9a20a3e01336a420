"""Decimals beside exact references: how close is close, in which unit, with either setting."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.answers.quick import judge

# Reference, answer, whether it is right as it is, and with rounded decimals accepted.
CLOSE = [
    (r"\frac23", "0.667", True, True),
    (r"\frac23", "0.67", False, True),
    (r"\frac23", "0.7", False, True),
    (r"\frac23", "0.66", False, False),
    # a reference of one digit is no rounding of another fraction
    ("0.2", r"\frac15", True, True),
    ("0.2", r"\frac14", False, False),
    ("0.2", r"\frac16", False, False),
    ("0.5", r"\frac6{11}", False, False),
    ("0.5", r"\frac{\pi}{6}", False, False),
    ("0.17", r"\frac16", True, True),
    ("0.67", r"\frac23", True, True),
    (r"\frac12", r"50\%", True, True),
    (r"\frac12", r"51\%", False, False),
    (r"\frac12", r"90\%", False, False),
    (r"\frac12", r"1\%", False, False),
    (r"\frac12", r"50.4\%", False, False),
    (r"\frac38", r"37.5\%", True, True),
    (r"\frac38", r"38\%", False, True),
    (r"\frac38", r"36\%", False, False),
    (r"37\frac12\%", "0.375", True, True),
    (r"37\frac12\%", "0.38", False, True),
    (r"37\frac12\%", "0.39", False, False),
    (r"75\frac12\%", "1", False, False),
    (r"\frac32 \text{ m}", r"150 \text{ cm}", True, True),
    (r"\frac32 \text{ m}", r"104 \text{ cm}", False, False),
    (r"\frac32 \text{ m}", r"199 \text{ cm}", False, False),
    (r"\frac43 \text{ m}", r"133 \text{ cm}", False, True),
    (r"\frac43 \text{ m}", r"134 \text{ cm}", False, False),
    (r"\frac43 \text{ m}", r"1.3 \text{ m}", False, True),
    (r"\frac{4001}{3} \text{ m}", r"1.3 \text{ km}", False, True),
    (r"\frac{4001}{3} \text{ m}", r"1.4 \text{ km}", False, False),
    (r"\frac{4001}{3} \text{ m}", r"1 \text{ km}", False, False),
    (r"\sqrt2 \text{ m}", r"141 \text{ cm}", False, True),
    (r"\sqrt2 \text{ m}", r"140 \text{ cm}", False, False),
    (r"\sqrt2 \text{ m}", r"141.0 \text{ cm}", False, False),
    (r"100\sqrt2 \text{ cm}", r"1.41 \text{ m}", False, True),
    (r"100\sqrt2 \text{ cm}", r"1 \text{ m}", False, False),
]


@pytest.mark.parametrize(("reference", "answer", "strictly", "rounded"), CLOSE)
def test_a_rounded_answer_is_as_close_as_its_own_last_digit(
    reference: str, answer: str, strictly: bool, rounded: bool
) -> None:
    for accept_rounded, expected in ((False, strictly), (True, rounded)):
        verdict = judge(answer, reference, accept_rounded=accept_rounded)
        assert verdict is not None
        assert (verdict.outcome == "right") is expected, (reference, answer, accept_rounded)


# Units with what one of them is in metres, or a plain number for shares.
METRES = {"mm": Fraction(1, 1000), "cm": Fraction(1, 100), "m": Fraction(1), "km": Fraction(1000)}
SHARES = {"": Fraction(1), r"\%": Fraction(1, 100)}


@st.composite
def measures(draw: st.DrawFn) -> tuple[str, str, Fraction, Fraction]:
    """A reference that is a fraction, an answer in digits that lies near it, how far they are
    apart, and half a unit of the answer's last digit; both in the same unit.
    """
    units = draw(st.sampled_from([METRES, SHARES]))
    theirs, mine = draw(st.sampled_from(sorted(units))), draw(st.sampled_from(sorted(units)))
    bottom = draw(st.sampled_from([3, 7, 9, 11, 13]))
    top = draw(st.integers(1, 50).filter(lambda number: number % bottom))
    places = draw(st.integers(0, 4))
    step = Fraction(1, 10**places)
    exact = Fraction(top, bottom) * units[theirs] / units[mine]
    digits = max(round(exact / step) + draw(st.integers(-3, 3)), 1)
    written = f"{digits // 10**places}" + (f".{digits % 10**places:0{places}d}" if places else "")
    apart = abs(digits * step - exact) * units[mine] / units[theirs]
    reference, answer = (
        f"{text}{unit}" if unit in SHARES else rf"{text} \text{{ {unit}}}"
        for text, unit in ((rf"\frac{{{top}}}{{{bottom}}}", theirs), (written, mine))
    )
    return reference, answer, apart, step / 2 * units[mine] / units[theirs]


@given(measures())
def test_no_answer_is_right_that_lies_farther_off_than_half_its_last_digit(
    case: tuple[str, str, Fraction, Fraction],
) -> None:
    reference, answer, apart, half = case
    verdict = judge(answer, reference, accept_rounded=True)
    assert verdict is not None
    if verdict.outcome == "right":
        assert apart <= half


@given(measures())
def test_what_is_right_as_it_is_stays_right_with_rounded_decimals(
    case: tuple[str, str, Fraction, Fraction],
) -> None:
    reference, answer, *_ = case
    strictly = judge(answer, reference)
    if strictly is not None and strictly.outcome == "right":
        lenient = judge(answer, reference, accept_rounded=True)
        assert lenient is not None
        assert lenient.outcome == "right"
