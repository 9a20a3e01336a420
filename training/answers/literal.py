"""Answers that look like arithmetic and are none: ranges, scores, dates, ratios, sizes."""

import re
from fractions import Fraction
from math import gcd

_NUMBER = r"\d{1,15}(?:\.\d{1,15})?"
_LITERAL = re.compile(rf"{_NUMBER}(?:\s*([-:*x])\s*{_NUMBER})(?:\s*\1\s*{_NUMBER}){{0,9}}")


def literal(text: str) -> tuple[str, tuple[Fraction, ...]] | None:
    """The sign between the numbers of a normalised text, and the numbers; None if it is no such.

    `10-20` and `2020-05-12` are no differences, `3:2` is no quotient, and as a reference `2*3` is
    the size of a matrix, not 6.
    """
    match = _LITERAL.fullmatch(text)
    if match is None:
        return None
    return match[1].replace("x", "*"), tuple(map(Fraction, re.findall(_NUMBER, text)))


def same_literal(answer: str, reference: str) -> bool | None:
    """Whether both are the same; a ratio may be reduced. None if the reference is no literal."""
    expected, actual = literal(reference), literal(answer)
    if expected is None:
        return None
    if actual is None or actual[0] != expected[0]:
        return False
    if actual == expected:
        return True
    return actual[0] == ":" and actual[1] == _reduced(expected[1])


def _reduced(parts: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
    if any(part.denominator != 1 for part in parts):
        return parts
    divisor = gcd(*(part.numerator for part in parts)) or 1
    return tuple(part / divisor for part in parts)
