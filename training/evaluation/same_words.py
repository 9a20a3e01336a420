"""Whether a text is the reference: the same words, or numbers, a time, a month in other signs."""

import re
from collections.abc import Callable
from fractions import Fraction

from training.evaluation.alike import key, plain
from training.evaluation.quantities import read_list

_TIME = re.compile(r"(\d{1,2}):(\d{1,2})")
_NUMBERS = re.compile(r"(?:([a-z])=)?([(\[]?)(-?[\d.]+(?:,-?[\d.]+)*)([)\]]?)")
_MONTHS = {
    name[:3]: name
    for name in (
        *("january", "february", "march", "april", "may", "june", "july", "august", "september"),
        *("october", "november", "december"),
    )
}


def same_words(answer: str, reference: str) -> bool:
    """Whether an answer is the reference text, apart from case, spaces and LaTeX's styles.

    Of a list of numbers or one that a letter is said to be, `y = 4`, the values count, in the same
    brackets or in none; of a time hours and minutes; of a month its name or what it is abbreviated
    to.
    """
    given, wanted = key(plain(answer)), key(plain(reference))
    if given == wanted:
        return wanted != ""
    ways = (read(given) == expected for read in _WAYS if (expected := read(wanted)) is not None)
    return any(ways) or _same_numbers(given, wanted)


def spelled(text: str) -> str:
    """A text in one spelling: numbers by their values, a time, a month; else without dress."""
    given = key(plain(text))
    found = (read(given) for read in (*_WAYS, _numbers))
    return next((repr(one) for one in found if one is not None), given)


def _time(text: str) -> tuple[int, int] | None:
    """Hours and minutes: `5:05` is `5:5` to DynaMath's generator."""
    found = _TIME.fullmatch(text)
    return (int(found[1]), int(found[2])) if found else None


def _same_numbers(given: str, wanted: str) -> bool:
    """Whether both are the same numbers: `[0, 1]` and `[0, 1)` say something else than `(0, 1)`."""
    mine, theirs = _numbers(given), _numbers(wanted)
    if mine is None or theirs is None:
        return False
    (*said, brackets), (*meant, expected) = mine, theirs
    return said == meant and brackets in ("", expected)


def _numbers(text: str) -> tuple[str | None, list[Fraction], str] | None:
    """The letter that has the value, if one is named, the numbers, and the brackets around them;
    None for a bare number.
    """
    found = _NUMBERS.fullmatch(text)
    if not found or not (found[1] or "," in text) or not (numbers := read_list(found[3])):
        return None
    return found[1], [one.value for one in numbers], found[2] + found[4]


def _month(text: str) -> str | None:
    text = text.rstrip(".")
    short = text[:3]
    return short if short in _MONTHS and text in (short, _MONTHS[short], "sept") else None


_WAYS: tuple[Callable[[str], object], ...] = (_time, _month)
