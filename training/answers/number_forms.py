"""The form that a question asks of a number: a decimal, a fraction, rounded, in a notation, a time.

Each rule takes the answer and the reference, and applies only where the reference has the form.
"""

import re
from collections.abc import Callable

from training.answers.numbers import Number, parse_number
from training.answers.questions import PER_CENT

_MANTISSA = re.compile(r"-?(\d[\d,.]*) ?(?:\* ?10 ?\^|[eE])")
_ONE_DIGIT = re.compile(r"[1-9](?:\.\d+)?")
_MIXED = re.compile(r"[+-]?\s*\d+\s*(?:\\frac|\s\d+/)")
_WORD = re.compile(r"(?<!\\)\b(?:thousand|million|billion|trillion)s?\b")
_HALF_OF_DAY = re.compile(r"[ap]\.? ?m\b", re.IGNORECASE)
_TWENTY_FOUR = re.compile(r"\b(?:24|twenty-four)\b|\bmilitary\b")
_TWELVE = re.compile(r"\b(?:to|in|into|on|as|using) (?:an? |the )?(?:12|twelve)\b")
_CLOCK = re.compile(r"\d{1,2}:\d{2}")
_PLACES = {"tenth": 1, "hundredth": 2, "thousandth": 3, "cent": 2, "penny": 2}
_COUNTS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5}
_NEAREST = re.compile(r"\bnearest\s+(?:\\?\$?0?\.(?P<point>\d+)|(?P<word>[a-z]+))")
_TO_PLACES = re.compile(r"\b(?P<count>one|two|three|four|five|\d)[ -]decimals?(?: places?)?\b")


def asks_to_round(question: str) -> bool:
    """Whether a question says how many digits are to stand behind the point."""
    return bool(_places(question.lower()))


def is_mixed(text: str) -> bool:
    """Whether a normalised number is written as a mixed one, `3 2/5`."""
    return _MIXED.match(text) is not None


def _is_not_scientific(answer: str, reference: str, _: str) -> bool:
    """One digit but zero before the point, times a power of ten."""
    if not _MANTISSA.match(reference):
        return False
    mantissa = _MANTISSA.match(answer)
    return mantissa is None or not _ONE_DIGIT.fullmatch(mantissa[1])


def _is_not_ordinary(answer: str, reference: str, _: str) -> bool:
    """All of its digits, and neither a power of ten nor a word for one."""
    mine, theirs = parse_number(answer), parse_number(reference)
    if theirs is None or theirs.form != "plain" or _WORD.search(reference):
        return False
    return mine is None or mine.form != "plain" or _WORD.search(answer) is not None


def _is_not_decimal(answer: str, reference: str, asked: str) -> bool:
    """Digits and a point, and no sign for per cent, which makes a fraction of it; save where per
    cent are asked for.
    """
    mine, theirs = parse_number(answer), parse_number(reference)
    if theirs is None or theirs.form not in ("plain", "repeating"):
        return False
    if mine is None or mine.form not in ("plain", "repeating"):
        return True
    return _is_other_share(mine, theirs) and PER_CENT.search(asked) is None


def _is_not_fraction(answer: str, reference: str, asked: str) -> bool:
    """A number above another; a mixed number is none that is improper, and the other way round."""
    mine, theirs = parse_number(answer), parse_number(reference)
    if theirs is None or not theirs.is_fraction:
        return False
    if mine is None or not mine.is_fraction or _is_other_share(mine, theirs):
        return True
    if mine.form == "reducible" and theirs.form == "fraction":
        return True  # a fraction is asked for in lowest terms
    is_strict = "improper" in asked or "mixed" in asked
    return is_strict and is_mixed(answer) != is_mixed(reference)


def _is_other_share(mine: Number, theirs: Number) -> bool:
    shares = [each.unit is not None and each.unit.dimension == "share" for each in (mine, theirs)]
    return shares == [True, False]


def _is_not_on_this_clock(answer: str, reference: str, asked: str) -> bool:
    """With a half of the day (`PM`) if the reference has one, and without on a clock of 24 hours
    only.
    """
    if not _CLOCK.match(reference):
        return False
    halves = [_HALF_OF_DAY.search(text) is not None for text in (answer, reference)]
    if halves == [True, False]:
        return _TWENTY_FOUR.search(asked) is not None and _TWELVE.search(asked) is None
    return halves == [False, True]


def _is_not_rounded(answer: str, reference: str, asked: str) -> bool:
    """A decimal with as many digits behind the point as were asked for, or fewer."""
    places, theirs = _places(asked), parse_number(reference)
    if places is None or theirs is None or theirs.form != "plain":
        return False
    if (theirs.decimals or 0) > places:
        return False
    mine = parse_number(answer)
    if mine is None or mine.form not in ("plain", "scientific", "compound"):
        return True
    same_unit = (mine.unit and mine.unit.factor) == (theirs.unit and theirs.unit.factor)
    if mine.unit is not None and theirs.unit is not None and not same_unit:
        return False
    return mine.value != theirs.value and (mine.decimals or 0) > places


def _places(asked: str) -> int | None:
    """Digits behind the point that are asked for, the most of several; None if it is not said."""
    found = [
        len(match["point"]) if match["point"] else _PLACES.get(match["word"].removesuffix("s"), 0)
        for match in _NEAREST.finditer(asked)
    ]
    for match in _TO_PLACES.finditer(asked):
        found.append(_COUNTS.get(match["count"]) or int(match["count"]))
    return max(found, default=None)


# What names a form, and not a number as in `added to the fraction 2/5`.
_KINDS = (
    r"(?:common|proper|improper|mixed|simple|simplest|simplified|lowest|reduced|irreducible|vulgar"
    r"|single|exact|equivalent|terminating|repeating|recurring|finite|infinite|whole|fully|or) "
)
_ARTICLE = "(?:an? |(?:the|its) (?=simplest|lowest|equivalent))?"
_TO = rf"\b(?:as|in|into|to)\s+{_ARTICLE}(?:{_KINDS}){{0,3}}"
# The words of a question that ask for a form, and what an answer does that hasn't it.
RULES_OF_NUMBERS: tuple[tuple[re.Pattern[str], Callable[[str, str, str], bool]], ...] = (
    (re.compile("scientific notation|standard form"), _is_not_scientific),
    (
        re.compile(
            r"\b(?:standard|ordinary|decimal) (?:form|notation|numbers?|numerals?)\b|\bin full\b"
            r"|\bas an? (?:integer|whole number)\b"
            r"|\bwithout (?:an |any )?(?:exponents?|scientific|powers?)\b"
        ),
        _is_not_ordinary,
    ),
    (
        re.compile(
            rf"{_TO}decimals?\b(?! places?| points?)|\b(?:what|which|repeating) decimal\b"
            r"|\bdecimal (?:form|equivalent|notation|number|representation|expansion)\b"
        ),
        _is_not_decimal,
    ),
    (
        re.compile(
            rf"{_TO}(?:fraction|mixed (?:number|numeral|fraction))\b"
            r"|\bfraction(?:al)? (?:form|equivalent|notation)\b"
            r"|\bfraction (?:(?:that|which) )?(?:is )?(?:equals?|equivalent)\b"
        ),
        _is_not_fraction,
    ),
    (
        re.compile(r"\b(?:12|24|twelve|twenty-four)[- ]?(?:hour|h)\b|\bmilitary time\b"),
        _is_not_on_this_clock,
    ),
    (re.compile(r"\bnearest\b|\bdecimals?\b"), _is_not_rounded),
)
