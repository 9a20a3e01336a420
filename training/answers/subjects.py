"""What an answer may say that it is the value of: quantities by their names and by letters."""

import re
from collections.abc import Set
from functools import lru_cache

from training.answers.asked import Asked
from training.answers.expressions import GREEK
from training.answers.kinds import FIGURE
from training.answers.normal import kind_of_name, letter_of_angle, names_differ
from training.answers.units import singular

_MOST_CHARACTERS = 4000  # of a question, from its end
# Quantities by name, and the words of a question that ask for them.
_QUANTITIES = frozenset(
    {
        *("sum", "product", "difference", "quotient", "remainder", "mean", "average", "median"),
        *("mode", "range", "radius", "diameter", "area", "perimeter", "circumference", "volume"),
        *("height", "width", "length", "distance", "speed", "age", "slope", "probability"),
    }
)
_MEASURES = frozenset(
    {
        *("radius", "diameter", "area", "perimeter", "circumference", "volume", "height", "width"),
        *("length", "distance", "speed", "age", "slope", "probability"),
    }
)
_DESCRIPTION = re.compile(r"[a-z]{3,}(?: [a-z]+)*")  # `area`, no name of one letter or two
_SAYS_ANGLE = re.compile(r"(?<![a-z])angle|∠|degree|°|\\circ|\barc\b|\bmeasure\b", re.IGNORECASE)
_ANGLES = re.compile(
    r"(?:[Aa]ngles?|∠)(?:\s+(?:marked|labell?ed))?[\s$]*"
    rf"\\?([A-Z]{{1,3}}|[a-z]|{'|'.join(GREEK)})(?![a-zA-Z])"
)
_SAYS_FUNCTION = re.compile(
    r"function|polynomial|equation|formula|expression|inverse|derivative|integral|parabola|curve",
    re.IGNORECASE,
)
_NO_POINTS = frozenset({"LCM", "GCD", "GCF", "HCF"})
_WITH_BRACKETS = "EPV"  # expectations, probabilities, variances
_SAID_AS = {
    "tall": "height", "high": "height", "wide": "width", "far": "distance", "fast": "speed",
    "old": "age", "long": "length", "average": "mean", "mean": "average",
}  # fmt: skip
# What a letter is the usual name of. A length may have any letter of a line's.
_LETTERS = {
    "r": frozenset({"radius", "length"}),
    "d": frozenset({"diameter", "distance", "diagonal", "depth", "length"}),
    "h": frozenset({"height", "altitude", "length"}),
    "C": frozenset({"circumference", "length"}),
    "A": frozenset({"area"}),
    "P": frozenset({"perimeter", "probability"}),
    "V": frozenset({"volume"}),
}
_ASKS_FOR = re.compile(
    r"\b(?:find|what(?: is|'s)|determine|compute|calculate|give) (?:the |its )?"
    r"(?:(?!of\b)\w+ ){0,2}?"
    rf"(?P<name>{'|'.join(sorted(frozenset[str]().union(*_LETTERS.values())))})\b(?! and)"
    r"|\bhow (?P<tall>tall|high|wide|far|long)\b",
    re.IGNORECASE,
)
# Worked out from other numbers, so that an unknown's letter names one of these instead.
_WORKED_OUT = (
    r"sum|product|difference|quotient|ratio|remainder|mean|average|median|mode|slope"
    r"|discriminant|determinant|greatest common \w+|least common \w+|probability"
    r"|degree(?= of)|range(?! of (?:the function|(?:\$|\\\()?[a-zA-Z](?![a-zA-Z])))"
    r"|number(?= of (?:\w+ )?(?:root|solution|zero))"
)
_ASKS_FOR_WORK = re.compile(
    rf"\b(?:find|what(?: is|'s)|determine|compute|calculate|give|state) (?:the |their |its )?"
    rf"(?:\w+ )?(?P<what>{_WORKED_OUT})\b",
    re.IGNORECASE,
)
_OWN_LETTERS = {"slope": "m", "remainder": "rR", "discriminant": "D", "number": "nNkm"}
# Letters that are of something else than a sum or a slope, though no question says so.
_NEVER_LETTERS = {"sum": "abcdknmt", "slope": "bc"}
_SUM_OF_TERMS = re.compile(
    r"\bsum of the first (?:\$|\\\()?(?P<number>\d+)(?:\$|\\\))? terms\b", re.IGNORECASE
)
# How many of these there are is no value of an unknown in the question.
_COUNTS_OF = re.compile(
    r"\b(?:how many|number of) (?:\w+ ){0,2}"
    r"(?:solutions?|roots?|zeros|values|factors|divisors|digits|terms|intercepts?)\b",
    re.IGNORECASE,
)
_DERIVATIVE = re.compile(
    r"\b(?:find|compute|calculate|determine|what is) the (?P<second>second )?derivative of "
    r"(?:\$|\\\()?(?P<letter>[a-zA-Z])\([a-z]\)",
    re.IGNORECASE,
)
_TERM = re.compile(
    r"\b(?:find|what is|determine|compute) the (\d+)(?:st|nd|rd|th) term", re.IGNORECASE
)
# A range bounds the values of a function, not its argument.
_RANGE_OF = re.compile(r"\brange of [^.?]{0,40}?[a-zA-Z]\(([a-z])\)", re.IGNORECASE)
_UNKNOWNS = "xyz"
_SOLVES = re.compile(
    r"\bsolve[ds]?\b|\bsolutions?\b|\broots? of\b|\bdomain\b|\bzeros of\b", re.IGNORECASE
)
_MATHS = re.compile(r"\$([^$]{1,400})\$|\\\((.{1,400}?)\\\)|\\\[(.{1,400}?)\\\]", re.DOTALL)
_COMMAND = re.compile(r"\\(?:text|mathrm|mbox)\s*\{[^{}]*\}|\\[a-zA-Z]+|[a-zA-Z]{4,}")
# Outside of mathematics a letter by itself may be a word.
_PLAIN_LETTER = re.compile(
    r"(?<![A-Za-z\\'])(?![aAI]\b)[A-Za-z](?![A-Za-z'])|(?<=\d)[a-z](?![a-z])"
)


def is_other_name(actual: str, expected: str | None, question: str, asked: Asked) -> bool:
    """Whether an answer says that it is the value of something else than what is asked for.

    Args:
        actual: The name that it gives; see `normal.split_name`.
        expected: The reference's, or the one that the question asks for; None if neither has one.
        question: As it was asked.
        asked: What it asks for.
    """
    if expected and names_differ(actual, expected):
        return not are_equated(actual, expected, question)
    if is_other_quantity(actual, asked) or is_other_derivative(actual, question):
        return True
    is_open = expected is None or _DESCRIPTION.fullmatch(expected) is not None
    return is_open and (is_other_letter(actual, question) or is_other_sort(actual, question, asked))


def is_other_quantity(name: str, asked: Asked) -> bool:
    """Whether a description names a quantity, and the sentence that asks others only; a measure
    must be the question's.
    """
    mine = _QUANTITIES & set(name.split())
    others = _asked(_QUANTITIES, asked.sentence)
    if mine and others:
        return not mine & others
    measures = mine & _MEASURES if asked.is_known else frozenset[str]()
    return bool(measures) and not measures & _asked(_MEASURES, asked.said)


def is_other_sort(name: str, question: str, asked: Asked) -> bool:
    """Whether an angle, a segment or a function is named where none can be what is asked for."""
    if not asked.is_known:
        return False
    sort = kind_of_name(name)
    if sort == "angle":
        if asked.kind is not None and "angle" not in asked.kind:
            return True
        if (letter := letter_of_angle(name)) and not _may_be_of(letter, question):
            return True
        return _SAYS_ANGLE.search(question) is None
    if sort == "points" and name not in _NO_POINTS:
        is_length = asked.unit is None or asked.unit.dimension == "length"
        return bool(asked.nouns) or not is_length or "length" not in (asked.kind or FIGURE)
    if sort == "function" and name[0] not in _WITH_BRACKETS:
        is_there = re.search(rf"(?<![A-Za-z]){re.escape(name[0])}'*\s*\(", question)
        return not is_there and _SAYS_FUNCTION.search(question) is None
    return False


def _may_be_of(letter: str, question: str) -> bool:
    """Whether a letter is the one that a question has for an angle: of several, nobody knows."""
    if said := set(_ANGLES.findall(question[-_MOST_CHARACTERS:])):
        return said == {letter}
    return re.search(rf"(?<![A-Za-z]){letter}(?![A-Za-z])", question) is not None


def is_other_derivative(name: str, question: str) -> bool:
    """Whether `f(x)` or `f''(x)` is named where the derivative of f is asked for."""
    asked = _DERIVATIVE.search(question[-_MOST_CHARACTERS:])
    if asked is None or kind_of_name(name) not in ("function", "variable"):
        return False
    if name.startswith("frac"):
        return False  # `\frac{dy}{dx}`
    if _is_called(name, question[-_MOST_CHARACTERS:]):
        return False
    return name.count("'") != (2 if asked["second"] else 1) or name[0] not in (asked["letter"], "y")


def _is_called(name: str, question: str) -> bool:
    """Whether a question calls a rate so, as in `the derivative of s(t), the velocity v(t)`."""
    text = re.sub(r"[$\\]", "", question)
    rate = r"(?:velocity|acceleration|speed|rate(?: of change)?|slope|derivative|marginal \w+)"
    return re.search(rf"\b{rate},? (?:function )?{re.escape(name)}(?![\w'])", text) is not None


def is_other_letter(name: str, question: str) -> bool:
    """Whether a letter is the name of something else than what is asked for.

    It is if its index is not that of the term that is asked for; if it usually names another
    quantity (`d` for a radius); if the range of a function of this letter is asked for; if a sum, a
    mean or another number that is worked out is, and the letter is an unknown (x, y, z) or stands
    in the question; or if an equation is to be solved in which other letters stand.

    Args:
        name: See `normal.split_name`.
        question: As it was asked.
    """
    letter, _, index = name.partition("_")
    if len(letter) != 1 or not question:
        return False
    if index.isdigit() and any(place != index for place in _TERM.findall(question)):
        return True
    terms = _SUM_OF_TERMS.search(question)
    if terms and index.isdigit() and (letter.upper() != "S" or index != terms["number"]):
        return True
    quantity = _quantity_of(question[-_MOST_CHARACTERS:])
    if quantity and letter in _LETTERS and quantity not in _LETTERS[letter]:
        return True
    if any(letter == argument for argument in _RANGE_OF.findall(question)):
        return True
    known = _letters(question)
    if letter in known and letter in _UNKNOWNS and _COUNTS_OF.search(question):
        return True
    if work := _ASKS_FOR_WORK.search(question[-_MOST_CHARACTERS:]):
        own = _OWN_LETTERS.get(work["what"].lower(), "")
        if letter in _NEVER_LETTERS.get(work["what"].lower(), ""):
            return True
        return letter not in own and letter in {*_UNKNOWNS, *known}
    return (
        _SOLVES.search(question) is not None
        and bool(known)
        and letter.lower() not in {each.lower() for each in known}
    )


def are_equated(first: str, second: str, question: str) -> bool:
    """Whether the question says that two names are of one thing, as in `the side AB = x`."""
    text = re.sub(r"[${}\\]|overline", "", question[-_MOST_CHARACTERS:])
    return any(
        re.search(rf"(?<!\w){re.escape(left)}\s*=\s*{re.escape(right)}(?!\w)", text)
        for left, right in ((first, second), (second, first))
    )


def _asked(quantities: Set[str], sentence: Set[str]) -> Set[str]:
    """Those of some quantities that a sentence names."""
    said = {_SAID_AS.get(word, word) for word in sentence} | sentence
    return {quantity for quantity in quantities if {quantity, singular(quantity)} & said}


def _quantity_of(question: str) -> str | None:
    """The quantity with a usual letter that a question asks for, the last one if there are more."""
    found = [match[match.lastgroup or 0].lower() for match in _ASKS_FOR.finditer(question)]
    return _SAID_AS.get(found[-1], found[-1]) if found else None


@lru_cache(maxsize=4096)
def _letters(question: str) -> frozenset[str]:
    """The letters that stand for something in a question, save for functions."""
    text = question[-_MOST_CHARACTERS:]
    marked = [next(filter(None, match)) for match in _MATHS.findall(text)]
    plain = _PLAIN_LETTER.findall(_MATHS.sub(" ", text))
    inside = [each for piece in marked for each in re.findall("[A-Za-z]", _COMMAND.sub(" ", piece))]
    return frozenset(inside or plain) - {"f", "g"}
