"""Answers that only repeat what was asked: `x^2 - 5x + 6` where it should be factored."""

import re
from collections.abc import Iterator

from training.answers.canonical import canonical
from training.answers.expressions import read_expression
from training.answers.normal import normalize, split_name
from training.answers.numbers import Number, parse_number
from training.answers.options import without_options
from training.answers.tree import Node

_FRACTION = re.compile(r"\\frac\s*(?:\{([^{}]*)\}|(\d))\s*(?:\{([^{}]*)\}|(\d))")
_ROOT = re.compile(r"(\\sqrt)\s*\{([^{}]*)\}")
_FILLING = re.compile(r"[\s{}()\[\]*$\\,]")  # brackets, spaces, signs of multiplication
_WORK = re.compile(r"[-+/^=!|<>_:]|[a-z]{3}")
_MOST_CHARACTERS = 4000  # of a question, from its end
_MOST_PIECES, _LONGEST_PIECE = 40, 200

_MIXED = re.compile(r"[+-]?\s*\d+\s*(?:\\frac|\s\d+/)")

# What a question may say in mathematics: all between dollar signs, and what lies between words.
_DOLLARS = re.compile(r"\$([^$]{1,400})\$|\\\((.{1,400}?)\\\)|\\\[(.{1,400}?)\\\]", re.DOTALL)
_WORD = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{4,}|(?<![\\\w)}^*/+-])[a-zA-Z]{2,3}(?![\w(){^*/+-])")
_CUT = re.compile(r"[=<>≤≥≈?:;]|,(?!\d{3})|\.(?!\d)|\b(?:or|and)\b")


def is_echo(answer: str, reference: str, question: str) -> bool:
    """Whether an answer stands in the question, and the reference is written otherwise.

    It may be a finished answer, a polynomial, a root, a measure; it is none if the question holds
    it, apart from the order of terms and the like, and asks for another form, unit or rounding.

    Args:
        answer: Normalised.
        reference: Normalised.
        question: As it was asked.
    """
    asked = without_options(question[-_MOST_CHARACTERS:])
    if not asked:
        return False
    mine, theirs = split_name(answer)[1], split_name(reference)[1]
    if mine.lower() == theirs.lower():
        return False
    number = parse_number(mine)
    if number is not None:
        return _is_number_of_question(mine, theirs, number, asked)
    return _is_written_in(mine, theirs, asked) or _is_dressed_up(mine, theirs, asked)


def _is_number_of_question(answer: str, reference: str, number: Number, question: str) -> bool:
    """A number or measure that was given, where it is wanted in another form."""
    expected = parse_number(reference)
    if number.form == "reducible" and any(
        given.form == "reducible" and given.value == number.value for given in _numbers(question)
    ):
        return expected is None or expected.form != "reducible"
    is_mixed = bool(_MIXED.match(answer)), bool(_MIXED.match(reference))
    if expected is not None and _is_alike(number, expected) and is_mixed[0] == is_mixed[1]:
        return False
    pattern = r"\s*".join(map(re.escape, re.sub(r"\s", "", answer)))
    return re.search(rf"(?<![\w.,/]){pattern}(?![\w/]|[.,]\d)", normalize(question)) is not None


def _is_alike(number: Number, expected: Number) -> bool:
    """Whether both are written in one form, with the same value; a unit may be left out."""
    same_unit = (number.unit and number.unit.factor) == (expected.unit and expected.unit.factor)
    is_left_out = (number.unit is None or expected.unit is None) and not any(
        unit is not None and unit.dimension == "share" for unit in (number.unit, expected.unit)
    )
    same_form = number.form == expected.form or {number.form, expected.form} == {
        "fraction",
        "reducible",
    }
    return number.value == expected.value and same_form and (same_unit or is_left_out)


def _numbers(question: str) -> Iterator[Number]:
    for piece in _pieces(question):
        if (number := parse_number(piece)) is not None:
            yield number


def _is_written_in(answer: str, reference: str, question: str) -> bool:
    """Sign for sign, apart from brackets, spaces and signs of multiplication."""
    mine, theirs = (_FILLING.sub("", _with_slashes(text)) for text in (answer, reference))
    if not _WORK.search(mine) or sorted(mine) == sorted(theirs):
        return False
    asked = _with_slashes(normalize(question))
    pattern = f"{_FILLING.pattern}*".join(map(re.escape, mine))
    return re.search(rf"(?<![\w.]){pattern}(?!\w)", asked) is not None


def _is_dressed_up(answer: str, reference: str, question: str) -> bool:
    """The same expression, with its terms in another order, or `1·`, `+0` and the like added."""
    tree, wanted = read_expression(answer), read_expression(reference)
    if isinstance(tree, str) or not tree.parts:
        return False
    form = canonical(tree)
    if isinstance(wanted, Node) and canonical(wanted) == form:
        return False
    return any(
        isinstance(given, Node) and canonical(given) == form
        for given in map(read_expression, _pieces(question))
    )


def _pieces(question: str) -> list[str]:
    """What the question says in mathematics, normalised; the last pieces where there are many."""
    marked = [next(filter(None, match)) for match in _DOLLARS.findall(question)]
    plain = _WORD.split(normalize(_DOLLARS.sub(" that is ", question)))
    whole = [normalize(text) for text in marked] + plain
    cut = [part for text in whole for part in _CUT.split(text)]
    stripped = dict.fromkeys(piece.strip(" $.,") for piece in whole + cut)
    return [piece for piece in stripped if 0 < len(piece) <= _LONGEST_PIECE][-_MOST_PIECES:]


def _with_slashes(text: str) -> str:
    r"""`\frac{a}{b}` as a/b; what its brackets meant does not matter here."""
    while (flat := _FRACTION.sub(r"\1\2/\3\4", _ROOT.sub(r"\1\2", text))) != text:
        text = flat
    return text
