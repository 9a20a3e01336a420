"""Answers that only repeat what was asked: `x^2 - 5x + 6` where it should be factored."""

import re
from functools import lru_cache
from itertools import islice

from training.answers.canonical import canonical
from training.answers.expressions import read_expression
from training.answers.normal import normalize, split_name
from training.answers.number_forms import is_mixed
from training.answers.numbers import Number, parse_number
from training.answers.options import without_options
from training.answers.tree import Node

_FRACTION = re.compile(r"\\frac\s*(?:\{([^{}]*)\}|(\d))\s*(?:\{([^{}]*)\}|(\d))")
_ROOT = re.compile(r"(\\sqrt)\s*\{([^{}]*)\}")
_FILLING = re.compile(r"[\s{}()\[\]*$\\,]")  # brackets, spaces, signs of multiplication
_WORK = re.compile(r"[-+/^=!|<>_:]|[a-z]{3}")
_MOST_CHARACTERS = 4000  # of a question, from its end
_MOST_PIECES, _LONGEST_PIECE = 40, 200

_EQUALS = re.compile(r"\s*=\s*")
# A number of a question, and the unit and further part that may follow it, `7 hours 30 minutes`.
_DIGITS = r"(?:\d+(?:,\d{3})*(?:\.\d*)?|\.\d+)"
_OVER = r"(?:\{[^{}]{1,20}\}|\d) ?"
_GIVEN = re.compile(
    rf"(?<![\w.,\\^_/])(?P<number>[+-]?(?:\d* ?\\frac ?{_OVER}{_OVER}|\d+ \d+/\d+"
    rf"|{_DIGITS}/{_DIGITS}|{_DIGITS}\\overline ?\{{\d+\}}"
    rf"|{_DIGITS}(?: ?\* ?10 ?\^ ?(?:\{{[^{{}}]*\}}|-?\d+))?))"
    r"(?P<unit> ?%| ?[a-zA-Z°]+(?: cent)?(?P<more>,?(?: and)? \d+ ?[a-zA-Z]+)?)?"
)
_MOST_NUMBERS = 100  # of a question

# Without a word for another form or unit, a question asks for an amount.
_ASKS_FORM = re.compile(
    r"\b(?:convert|change|express|rewrite|write|written|round|simplif|reduce|evaluate|approximat"
    r"|decimal|fraction|mixed|improper|per ?cent|ratio|equal|equivalent|same|form|notation|as an?\b"
    r"|nearest|lowest|value of|equals)|^(?:(?!\bhow (?:many|much|long|far|big|tall)\b).)*$",
    re.IGNORECASE | re.DOTALL,
)

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
    sides = _EQUALS.split(mine)
    if all(parse_number(side) for side in sides):
        mine = sides[-1]  # `0.375 = 0.375`
    number = parse_number(mine)
    if number is not None:
        return _is_number_of_question(mine, theirs, number, asked)
    return _is_written_in(mine, theirs, asked) or _is_dressed_up(mine, theirs, asked)


def _is_number_of_question(answer: str, reference: str, number: Number, question: str) -> bool:
    """A number or measure that was given, where it is wanted in another form."""
    expected = parse_number(reference)
    given = _numbers(question)
    if number.form == "reducible" and any(
        each.form == "reducible" and each.value == number.value for each, _ in given
    ):
        return expected is None or expected.form != "reducible"
    mixed = is_mixed(answer)
    if expected is not None and _is_alike(number, expected) and mixed == is_mixed(reference):
        return False
    if (
        expected is not None
        and _is_same_amount(number, expected)
        and not _ASKS_FORM.search(question)
    ):
        return False
    if any(mixed == is_mixed(text) and _is_written_alike(number, each) for each, text in given):
        return True
    pattern = r"\s*".join(map(re.escape, re.sub(r"\s", "", answer)))
    return re.search(rf"(?<![\w.,/]){pattern}(?![\w/]|[.,]\d)", normalize(question)) is not None


def _is_written_alike(number: Number, given: Number) -> bool:
    """Whether both have one value, form and unit, whatever their digits: `.50` is `0.5`."""
    units = [unit and (unit.dimension, unit.factor) for unit in (number.unit, given.unit)]
    return number.value == given.value and number.form == given.form and units[0] == units[1]


def _is_same_amount(number: Number, expected: Number) -> bool:
    """Whether `1/2` is said for `0.5`, which is no copy where an amount is asked for."""
    units = (number.unit, expected.unit)
    if any(unit is not None and unit.dimension == "share" for unit in units):
        return False
    forms = {number.form, expected.form}
    same_unit = None in units or (units[0] and units[0].factor) == (units[1] and units[1].factor)
    return number.value == expected.value and same_unit and forms == {"plain", "fraction"}


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


@lru_cache(maxsize=4096)
def _numbers(question: str) -> tuple[tuple[Number, str], ...]:
    """The numbers of a question and how they are written, each with its unit and without."""
    found: dict[str, Number] = {}
    for match in islice(_GIVEN.finditer(normalize(question)), _MOST_NUMBERS):
        for end in ("number", "unit"):
            text = match["number"] + (match["unit"] or "") * (end == "unit")
            number = parse_number(text.strip(" .,"))
            if number is None and match["more"]:
                number = parse_number(text.removesuffix(match["more"]))
            if number is not None:
                found[text] = number
    return tuple((number, text) for text, number in found.items())


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
