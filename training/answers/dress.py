"""What an answer may carry beside its value: an approximation, `of the students`, `n ∈ ℤ`."""

import re
from collections.abc import Set
from fractions import Fraction

from training.answers import numeric
from training.answers.expressions import read_expression
from training.answers.numbers import Number, parse_number
from training.answers.tree import Node, undone, variables
from training.answers.units import singular

_OF_A_WHOLE = re.compile(r"(?P<part>.*[\d}%a-z]) +of +(?P<whole>[A-Za-z]+(?: [A-Za-z]+){0,4})")
_SCALE = re.compile(r"(?<=[\d ])(thousand|million|billion)s?\b *")
_IN_BRACKETS = re.compile(r"(?P<number>-?[\d.,]+) ?\( ?(?P<unit>[a-zA-Z]+(?: [a-zA-Z]+){0,3}) ?\)")
_OUT_OF = re.compile(r"(\d{1,9}) (?:in|out of) (\d{1,9})")
# `P(both) = `, but no `P(not both)`.
_PROBABILITY = re.compile(
    r"(?:P|Pr) ?\((?![^()]*(?:\bn?or\b|\bno|neither|\\bar|\\overline|['^]))"
    r"(?P<event>[^()=]{2,60})\) ?= ?"
)
_ANY_EVENT = frozenset(
    {
        *("both", "all", "event", "exactly", "least", "most", "success", "win", "and", "the"),
        *("getting", "drawing", "rolling", "picking", "choosing", "selecting", "winning"),
    }
)
# A number in an event is the question's, in a word or in digits.
_NUMBER_WORDS = {
    "one": r"one|1|once|single", "two": r"two|2|twice|both|pair", "three": r"three|3",
    "four": "four|4", "five": "five|5", "six": "six|6", "seven": "seven|7", "eight": "eight|8",
    "nine": "nine|9", "ten": "ten|10",
}  # fmt: skip
_POINT = re.compile(r"(?P<name>[A-Z]) ?(?P<place>\([^()]+,[^()]+\))")
_MOST_CHARACTERS = 4000  # of a question, from its end
_PROBABLE = re.compile(r"\bprobability\b|\bchance\b|\blikely\b", re.IGNORECASE)
_INTEGER = re.compile(
    r",? *\(?(?:where |for |with )?(?:any |all |some |every )?(?:integers? )?"
    r"(?P<letter>[kmn]) ?(?:(?:is |being )?(?:an?|any) integer|∈ ?𝔻Z|)\)?$"
)
_PARAMETERS = frozenset("kmn")
_INTEGRAL = re.compile(r"integra|antideriv|\\int\b|∫|differential|primitive", re.IGNORECASE)
_CONSTANT = re.compile(r"\+ ?(?P<letter>[CcKk]|constant)$")
_SOLVES_FREELY = re.compile(r"general solution|differential equation|integra|antideriv", re.I)
_CONSTANTS = frozenset({"c", "A", "K", "k", "C_1", "c_1", "C_0"})
_PARTS = re.compile(r", *(?:and |or )?| (?:and|or) ")
_NO_MEANING = frozenset({"the", "all", "a", "an", "her", "his", "their", "its", "these", "those"})


def undressed(given: str, wanted: str, question: str, said: Set[str]) -> str:
    """An answer without what says nothing beside the reference and the question.

    Args:
        given: The answer, normalised.
        wanted: The reference, normalised.
        question: As it was asked.
        said: The words of the sentence that asks, in the singular.
    """
    if given.isdigit():
        return given
    text = _OUT_OF.sub(r"\1/\2", given) if _OUT_OF.fullmatch(given) else given
    text = _IN_BRACKETS.sub(r"\g<number> \g<unit>", text) if "(" in text else text
    if (point := _POINT.fullmatch(text)) and _is_point(point["name"], question):
        text = point["place"]
    if _PROBABLE.search(question):
        text = _without_event(text, question, said)
    text = _without_whole(_without_scale(text, wanted, question), said)
    text = without_integer(text)
    constant = _CONSTANT.search(text)
    is_integral = wanted.endswith("C") and _INTEGRAL.search(question)
    if constant and is_integral and not _stands_in(constant["letter"], question):
        text = text[: constant.start()] + "+ C"
    text = _with_constant(exact_side(text, wanted), wanted, question)
    return _with_parameter(text, wanted, question)


def _without_event(text: str, question: str, said: Set[str]) -> str:
    """`P(red) = 3/8` as `3/8`, if it is the chance of red that is asked for."""
    match = _PROBABILITY.match(text)
    if match is None:
        return text
    words = {singular(word.lower()) for word in re.findall("[A-Za-z]{3,}", match["event"])}
    asked = question[-_MOST_CHARACTERS:]
    numbers = {
        word
        for word in words & _NUMBER_WORDS.keys()
        if re.search(rf"\b(?:{_NUMBER_WORDS[word]})\b", asked, re.IGNORECASE)
    }
    return text[match.end() :] if words - _ANY_EVENT - numbers <= said else text


def _without_whole(text: str, said: Set[str]) -> str:
    """`60% of the students` as `60%`, `5 gallons of gas` without gas, if the question says it."""
    match = _OF_A_WHOLE.fullmatch(text)
    if match is None:
        return text
    words = {singular(word) for word in match["whole"].lower().split()} - _NO_MEANING
    part = parse_number(match["part"])
    is_part = part is not None and (part.is_fraction or (part.unit and part.unit.known))
    return match["part"] if is_part and words <= said else text


def _is_point(name: str, question: str) -> bool:
    """Whether a question asks where a point is, as in `the coordinates of point B`."""
    places = r"\b(?:coordinates of|point|vertex|midpoint|cent(?:er|re))"
    return (
        re.search(rf"{places} (?:the )?(?:point |vertex )?\$?{name}\b(?! *\()", question)
        is not None
    )


def _without_scale(text: str, wanted: str, question: str) -> str:
    """`12.5 million` as `12.5` where the question asks for a number `in millions`."""
    match = _SCALE.search(text)
    if match is None or not re.search(rf"\bin {match[1]}s?\b", question, re.IGNORECASE):
        return text
    whole, reference = parse_number(text), parse_number(wanted)
    if whole is not None and reference is not None and whole.value == reference.value:
        return text
    return (text[: match.start()] + text[match.end() :]).strip()


def without_integer(text: str) -> str:
    """`n pi, n ∈ ℤ` as `n pi`."""
    match = _INTEGER.search(text)
    if match is None or match.start() == 0 or text[match.start()] not in ", (":
        return text
    before = text[: match.start()].rstrip(", ")
    tail = text[match.start() :]
    says_so = "integer" in tail or "𝔻Z" in tail
    return before if says_so and match["letter"] in before else text


def exact_side(text: str, wanted: str, sign: str = "≈") -> str:
    """`10 pi ≈ 31.4` as `10 pi`, where the reference is exact and the decimal rounds it.

    Behind `=` it must be another number, and nothing be left to be worked out before it.
    """
    exact, found, rounded = (part.strip() for part in text.rpartition(sign))
    reference = parse_number(wanted)
    if not found or not exact or (reference is not None and reference.decimals is not None):
        return text
    number, tree = parse_number(rounded), read_expression(exact.rpartition("=")[2].strip())
    if number is None or not isinstance(tree, Node) or variables(tree):
        return text
    if number.unit is not None and number.unit.dimension != "share":
        return text
    value = numeric.value(tree)
    if sign == "=" and (undone(tree) or number.decimals is None or number.value == value):
        return text
    return exact if value is not None and _rounds(number, value) else text


def _stands_in(letter: str, question: str) -> bool:
    """Whether a letter is one of the question's, perhaps in a product such as `cx`."""
    return re.search(rf"(?<![A-Za-z\\]){letter}(?![A-Za-z]{{2}})", question) is not None


def _rounds(number: Number, value: Fraction) -> bool:
    is_share = number.unit is not None and number.unit.dimension == "share"
    scale = Fraction(1, 100) if is_share else Fraction(1)
    half = scale / 2 / Fraction(10) ** (number.decimals or 0)
    return abs(number.value * scale - value) <= half


def _letters(text: str) -> frozenset[str]:
    """The variables on the right sides of a formula or of several."""
    sides = (each.rpartition("=")[2].strip() for each in _PARTS.split(text))
    trees = [tree for tree in map(read_expression, sides) if isinstance(tree, Node)]
    return frozenset[str]().union(*(variables(tree) for tree in trees))


def _with_constant(text: str, wanted: str, question: str) -> str:
    """The answer with the reference's letter for any constant: `Ae^{2x}` as `Ce^{2x}`."""
    if "C" not in wanted or not _SOLVES_FREELY.search(question):
        return text
    mine, theirs = _letters(text), _letters(wanted)
    extra, missing = mine - theirs, theirs - mine
    if len(extra) != 1 or missing != {"C"} or not extra <= _CONSTANTS:
        return text
    (letter,) = extra
    if _stands_in(letter, question) or _stands_in("C", question):
        return text
    written = re.escape(letter).replace("_1", r"_\{?1\}?")
    return re.sub(rf"(?<![A-Za-z\\]){written}(?![_A-Z])", "C", text)


def _with_parameter(text: str, wanted: str, question: str) -> str:
    """The answer with the reference's letter for any whole number: `k pi` as `n pi`."""
    mine, theirs = (_letters(each) & _PARAMETERS for each in (text, wanted))
    if len(mine) != 1 or len(theirs) != 1 or mine == theirs:
        return text
    (letter,), (other,) = mine, theirs
    if _stands_in(letter, question) or _stands_in(other, question):
        return text
    return re.sub(rf"(?<![A-Za-z\\]){letter}(?![A-Za-z])", other, text)
