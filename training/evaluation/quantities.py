"""Reading an answer as a number or as a list of numbers, and what a reference has to be."""

import re
from fractions import Fraction

from training.answers import numeric
from training.answers.expressions import TooLargeError
from training.answers.normal import normalize, split_name
from training.answers.numbers import Number, parse_number
from training.answers.reading import parse
from training.answers.units import Unit
from training.answers.values import Expression
from training.evaluation.choices import LETTERS, read_letters
from training.evaluation.items import Rule

_MAX_LIST_ITEMS = 1000


def read_number(answer: str, unit: str = "") -> Fraction | None:
    r"""The value of an answer that is one number; None for anything else.

    Args:
        answer: Such as `1{,}250`, `x = \frac{1}{2}`, `2\pi` (to 50 digits) or `3.5 cm`.
        unit: What it has to be in if it names a unit; any is taken where none is given.
    """
    found = parse(split_name(normalize(answer))[1])
    if isinstance(found, Number):
        return _in_unit(found.value, found.unit, unit)
    if not isinstance(found, Expression):
        return None
    try:
        value = numeric.value(found.tree)
    except TooLargeError:
        return None
    return None if value is None else _in_unit(value, found.unit, unit)


def _in_unit(value: Fraction, given: Unit | None, unit: str) -> Fraction | None:
    wanted = parse_number(f"1 {normalize(unit)}") if unit else None
    if given is None or wanted is None or wanted.unit is None:
        return value
    same = given.dimension == wanted.unit.dimension
    return value * given.factor / wanted.unit.factor if same else None


def read_list(answer: str) -> list[Fraction] | None:
    """The numbers of a list, with or without brackets; None for anything else."""
    text = normalize(answer).strip("[]()⟨⟩ ")
    parts = re.split(r"[,;]", text)
    numbers = [read_number(part.strip()) for part in parts[: _MAX_LIST_ITEMS + 1]]
    known = [number for number in numbers if number is not None]
    return known if len(known) == len(parts) <= _MAX_LIST_ITEMS else None


def readable(rule: Rule) -> bool:
    """Whether the reference is an answer that its rule could take."""
    if rule.kind in ("letter", "nearest"):
        known = LETTERS[: len(rule.choices)] if rule.choices else LETTERS
        return len(rule.answer) == 1 and rule.answer in known
    if rule.kind == "letters":
        return read_letters(rule.answer) is not None
    if rule.kind in ("number", "integer"):
        return read_number(rule.answer) is not None
    if rule.kind == "list":
        return read_list(rule.answer) is not None
    return rule.kind == "none" or normalize(rule.answer) != ""
