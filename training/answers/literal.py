"""Answers that look like arithmetic and are none: ranges, scores, dates, ratios, sizes, times."""

import re
from fractions import Fraction
from math import gcd

_NUMBER = r"\d{1,15}(?:\.\d{1,15})?"
_LITERAL = re.compile(rf"{_NUMBER}(?:\s*([-:*x])\s*{_NUMBER})(?:\s*\1\s*{_NUMBER}){{0,9}}")
_TO = re.compile(r"(?<=\d) to (?=\d)")
_IN_WORDS = ((re.compile(r"(?<=\d) by (?=\d)"), "*"), (_TO, ":"))
_FRACTION = re.compile(
    rf"\\frac\s*\{{\s*({_NUMBER})\s*\}}\s*\{{\s*({_NUMBER})\s*\}}|\\frac(\d)(\d)"
    rf"|({_NUMBER}) ?/ ?({_NUMBER})"
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_DATES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"{_MONTH} (?:the )?{_DAY}(?:,? (?P<year>\d{{4}}))?",
        rf"(?:the )?{_DAY} (?:of )?{_MONTH}(?:,? (?P<year>\d{{4}}))?",
        r"(?P<year>\d{4})-(?P<month>0\d|1[0-2])-(?P<day>[0-3]\d)",
    )
)
_HALF_A_DAY = 12 * 3600
_TIME = re.compile(
    r"(?P<hour>\d{1,2})(?::(?P<minute>[0-5]\d))?(?::(?P<second>[0-5]\d))?"
    r" ?(?:(?P<half>[ap])\.? ?m\.?)?",
    re.IGNORECASE,
)


def literal(text: str) -> tuple[str, tuple[Fraction, ...]] | None:
    """The sign between the numbers of a normalised text, and the numbers; None if it is no such.

    `10-20` and `2020-05-12` are no differences, `3:2` is no quotient, and as a reference `2*3` is
    the size of a matrix, not 6.
    """
    for words, sign in _IN_WORDS:
        text = words.sub(sign, text)
    match = _LITERAL.fullmatch(text)
    if match is None:
        return None
    return match[1].replace("x", "*"), tuple(map(Fraction, re.findall(_NUMBER, text)))


def same_literal(answer: str, reference: str) -> bool | None:
    """Whether both are the same; a ratio may be reduced. None if the reference is no literal."""
    expected = literal(reference)
    if expected is None:
        return None
    if expected[0] == "-":
        answer = _TO.sub("-", answer)  # `10 to 20`
    actual = literal(answer)
    if actual is None or actual[0] != expected[0]:
        return False
    if actual == expected:
        return True
    return actual[0] == ":" and actual[1] == _reduced(expected[1])


def same_ratio(answer: str, reference: str) -> bool | None:
    """Whether `3:4` and `3/4` are one ratio; None unless one of the two has a colon and the other
    one is a fraction. A ratio may be reduced.
    """
    colons = [_with_colon(text) for text in (answer, reference)]
    mine, theirs = (
        colon or _with_bar(text) for colon, text in zip(colons, (answer, reference), strict=True)
    )
    if mine is None or theirs is None or (colons[0] is None) == (colons[1] is None):
        return None
    return mine in (theirs, _reduced(theirs))


def _with_colon(text: str) -> tuple[Fraction, ...] | None:
    found = literal(text)
    return found[1] if found is not None and found[0] == ":" else None


def _with_bar(text: str) -> tuple[Fraction, ...] | None:
    found = _FRACTION.fullmatch(text)
    return tuple(Fraction(part) for part in found.groups() if part) if found else None


def same_time(answer: str, reference: str) -> bool | None:
    """Whether both are one time of day; None if the reference is none, or both have no half.

    The half of the day (`PM`) counts where the reference says it; 17:30 is 5:30 PM.
    """
    expected, actual = _TIME.fullmatch(reference), _TIME.fullmatch(answer)
    if expected is None or not (expected["half"] or expected["minute"]):
        return None
    if actual is None:
        return False if expected["half"] else None
    if not (expected["half"] or actual["half"]):
        return None
    if any((match["half"] and not 0 < int(match["hour"]) < 13) for match in (expected, actual)):
        return False
    mine, theirs = _seconds(actual), _seconds(expected)
    if expected["half"]:
        is_clear = actual["half"] is not None or int(actual["hour"]) > 12
        return is_clear and mine == theirs
    if int(expected["hour"]) > 12:
        return mine == theirs
    return mine % _HALF_A_DAY == theirs % _HALF_A_DAY


def same_date(answer: str, reference: str) -> bool | None:
    """Whether both are one day; None if the reference is none. A year counts if both say it, or the
    reference does.
    """
    expected, actual = _date(reference), _date(answer)
    if expected is None:
        return None
    if actual is None:
        return False
    return actual[:2] == expected[:2] and (actual[2] == expected[2] or expected[2] is None)


def _date(text: str) -> tuple[int, int, int | None] | None:
    """Month, day and year of `May 12, 2020`, `12 May` or `2020-05-12`; None if it is no day."""
    for pattern in _DATES:
        if match := pattern.fullmatch(text):
            month = match["month"].lower()
            number = int(month) if month.isdigit() else _MONTHS.index(month[:3]) + 1
            return number, int(match["day"]), int(match["year"]) if match["year"] else None
    return None


def _seconds(time: re.Match[str]) -> int:
    hour = int(time["hour"])
    if time["half"]:
        hour = hour % 12 + 12 * (time["half"].lower() == "p")
    return 3600 * hour + 60 * int(time["minute"] or 0) + int(time["second"] or 0)


def _reduced(parts: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
    if any(part.denominator != 1 for part in parts):
        return parts
    divisor = gcd(*(part.numerator for part in parts)) or 1
    return tuple(part / divisor for part in parts)
