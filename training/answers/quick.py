"""Deciding the common kinds of answers exactly, in microseconds, without computer algebra."""

import re
from fractions import Fraction

from training.answers.normal import normalize, without_equations
from training.answers.values import (
    Items,
    Number,
    Value,
    Words,
    is_enumeration,
    may_be_several,
    parse,
)

# Share of a decimal, at most half of its reference's last digit. Whole numbers are exact.
RELATIVE_TOLERANCE = Fraction(1, 1000)

# A choice with its text, "B. 12 cm", that names no further choice.
_LABELLED = re.compile(r"\(?([A-J])[).:] *(?P<text>.+)", re.DOTALL)
_FURTHER_CHOICE = re.compile(r"\b[A-J][).:]|\b[B-J]\b|\bor\b")
_ARITHMETIC = re.compile(r"[\w)}\]°]\s*[-+*/!]|\\div|\\frac\s*\{[^{}]*[-+*/]")
_FUNCTION = re.compile(r"\^|\\(?:sqrt|pi|ln|log|sin|cos|tan|exp|e(?![a-z]))|π")
_EXACT_FUNCTION = re.compile(r"\^|\\(?:sqrt|log|gcd|lcm|max|min|sum|prod|int|d?binom|l?floor)|\|")


def decide(answer: str, reference: str) -> bool | None:
    """Whether an answer equals the reference; None if only a computer algebra system can tell.

    Args:
        answer: The content of the box.
        reference: The reference answer, perhaps boxed itself or between dollar signs.
    """
    given, wanted = normalize(answer), normalize(reference)
    if given == wanted:
        return True
    if is_enumeration(given) and not may_be_several(wanted):
        return False  # a hedge: several answers where one is asked for
    expected = parse(wanted)
    if expected is None:
        return None
    actual = parse(given)
    if actual is None and "=" not in wanted:
        given = without_equations(given)
        actual = parse(given)
    if isinstance(expected, Words):
        return _is_choice(given, expected) if actual is None else actual == expected
    if actual is not None:
        return _equal(actual, expected)
    if isinstance(expected, Number) and _is_unevaluated(given, expected):
        return False
    return None


def _is_choice(given: str, expected: Words) -> bool:
    label = _LABELLED.fullmatch(given)
    if label is None or _FURTHER_CHOICE.search(label["text"]):
        return False
    return label[1].lower() == expected.text


def _is_unevaluated(given: str, expected: Number) -> bool:
    """Whether the answer is arithmetic left undone.

    A question such as "12 + 7 x 3" must not be answered by repeating it. Only a rounded reference
    may have come from roots or pi.
    """
    if expected.decimals is None:
        return bool(_ARITHMETIC.search(given) or _EXACT_FUNCTION.search(given))
    return bool(_ARITHMETIC.search(given)) and not _FUNCTION.search(given)


def _equal(actual: Value, expected: Value) -> bool:
    if isinstance(actual, Number) and isinstance(expected, Number):
        return _numbers_equal(actual, expected)
    if isinstance(actual, Items) and isinstance(expected, Items):
        if actual.kind != expected.kind or len(actual.items) != len(expected.items):
            return False
        if actual.kind == "set":
            return _same_members(list(actual.items), list(expected.items))
        return all(map(_equal, actual.items, expected.items))
    return actual == expected


def _same_members(actual: list[Value], expected: list[Value]) -> bool:
    """Whether two lists hold equal values in some order; each is used once."""
    for value in actual:
        match = next((other for other in expected if _equal(value, other)), None)
        if match is None:
            return False
        expected.remove(match)
    return True


def _numbers_equal(actual: Number, expected: Number) -> bool:
    """Units count if both have one; decimals may be rounded; "10/2" is no answer where 5 is."""
    is_whole = expected.value.denominator == 1 and expected.decimals is None
    if is_whole and actual.is_fraction and not expected.is_fraction:
        return False
    given = actual.value
    if actual.unit and expected.unit:
        if actual.unit.dimension != expected.unit.dimension:
            return False
        given *= actual.unit.factor / expected.unit.factor
    elif _is_share(actual) != _is_share(expected):
        # 50 % is 0.5; where the reference has no "%", or the answer lacks it, 50 is meant as well.
        scaled = given / 100 if _is_share(actual) else given * 100
        if close(scaled, expected, rounded=actual.decimals is not None):
            return True
    return close(given, expected, rounded=actual.decimals is not None)


def _is_share(number: Number) -> bool:
    return number.unit is not None and number.unit.dimension == "share"


def close(given: Fraction, expected: Number, *, rounded: bool) -> bool:
    """Whether a value is the expected number, up to rounding if either is a rounded decimal."""
    wanted, decimals = expected.value, expected.decimals
    if given == wanted:
        return True
    if decimals is None and (wanted.denominator == 1 or not rounded):
        return False
    tolerance = abs(wanted) * RELATIVE_TOLERANCE
    if decimals is not None:
        tolerance = min(tolerance, Fraction(1, 2 * 10**decimals))
    return abs(given - wanted) <= tolerance
