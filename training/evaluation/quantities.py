"""Reading an answer as a number or as a list of numbers."""

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from training.answers import numeric
from training.answers.asked import DEGREES, NO_THINGS, Asked
from training.answers.comparison import NUMBER_WORDS
from training.answers.equations import (
    Named,
    asked_expression,
    asked_variable,
    read,
    without_asked,
)
from training.answers.expressions import TooLargeError
from training.answers.kinds import COUNT
from training.answers.normal import normalize
from training.answers.nouns import ANY_THING
from training.answers.numbers import Number, parse_number
from training.answers.questions import read_asked
from training.answers.subjects import is_other_name
from training.answers.units import Unit, noun_of, singular
from training.answers.values import Expression

_NO_EQUATION = Named(None, "", None)  # an answer may be `3 + 4 = 7`, but no `y = 2x`
_MAX_LIST_ITEMS = 1000
_MAX_NAME_WORDS = 2  # `gold bars` may be what is counted, `times the radius` says another number
# `10^{-4} eV`: a power of ten before a unit is read behind a factor.
_POWER_OF_TEN = re.compile(r"\A10 ?(?=\^)")
# `5√{3}m`: a unit right behind a root, which the grammar would take for a factor.
_BEHIND_ROOT = re.compile(r"((?:√|\\sqrt) ?\{? ?\d+ ?\}?)(?=(?:mm|cm|dm|km|m)\Z)")
_YEAR = re.compile(r"\Ain (?:the year )?(?=[12]\d{3}\Z)", re.IGNORECASE)
# Of an angle in degrees, which the grammar would take for radians.
_OF_DEGREES = re.compile(
    r"(\\?(?:sin|cos|tan|cot|sec|csc)(?: ?\^ ?\{?\d\}?)?) ?[({]? ?(-?\d+(?:\.\d+)?) ?° ?[)}]?"
)
_SCALES = ("temperature K", "molarity")  # `5k` and `5 M` may be thousands and millions


@dataclass(frozen=True)
class Quantity:
    """A number, and what stands behind it.

    Attributes:
        value: As it is written; of roots and pi to 50 digits.
        unit: What it is in; None where nothing is written. Words that are no unit are one, too.
        name: What it is said to be the value of, `x`; None where nothing is named.
    """

    value: Fraction
    unit: Unit | None = None
    name: str | None = None

    @property
    def is_counted_or_measured(self) -> bool:
        """Whether it has no unit, or one that is known, or a known noun."""
        unit = self.unit
        return unit is None or bool(unit.parts) or noun_of(unit) is not None


@lru_cache(maxsize=4096)  # references come up with every policy and sample
def read_quantity(answer: str) -> Quantity | None:
    r"""An answer that is one number; None for anything else.

    Args:
        answer: Such as `1{,}250`, `x = \frac{1}{2}`, `2\pi`, `3.5 cm`, `3 + 4 = 7`, `seven`,
            `\sin 60^\circ` or `in 1970`.
    """
    text = _POWER_OF_TEN.sub("1*10", _YEAR.sub("", normalize(answer)))
    text = _BEHIND_ROOT.sub(r"\1 ", text)
    text = _OF_DEGREES.sub(r"\1(\2*\\pi/180)", text)
    found = NUMBER_WORDS.get(text.casefold()) or read(text, _NO_EQUATION)
    if isinstance(found, Named):
        name, value = found.name, found.value
    else:
        name, value = None, found
    if isinstance(value, Number):
        return Quantity(value.value, value.unit, name)
    if not isinstance(value, Expression):
        return None
    try:
        number = numeric.value(value.tree)
    except TooLargeError:
        return None
    return None if number is None else Quantity(number, value.unit, name)


def read_asked_quantity(answer: str, question: str) -> Quantity | None:
    """As `read_quantity`, also of `a + b = 6` where the question asks for `a + b`.

    Of a name, as in `x = 6`, `value_in` tells whether it is asked for.
    """
    if "=" not in answer:
        return read_quantity(answer)
    asked = asked_variable(question) or asked_expression(question)
    return read_quantity(without_asked(normalize(answer), asked, question))


def read_number(answer: str) -> Fraction | None:
    """The value of an answer that is one number, alone or with a known unit or noun; else None."""
    found = read_quantity(answer)
    return found.value if found is not None and found.is_counted_or_measured else None


def value_in(given: Quantity, wanted: Quantity, unit: str, question: str) -> Fraction | None:
    """The value of an answer in the unit of its reference.

    Args:
        given: The answer.
        wanted: The reference.
        unit: What the reference is in if it has no unit itself; may be empty.
        question: What was asked. Where neither says a unit, it says which ones may follow.

    Returns:
        None if what stands behind the answer's number is of another kind, or no unit; and if it is
        said to be the value of something else than what is asked for.
    """
    if given.unit is None and given.name is None:
        return given.value
    asked = read_asked(question)
    if given.name and _is_of_another(given.name, wanted.name, question, asked):
        return None
    if given.unit is None:
        return given.value
    actual = asked.without_tail(given.unit)
    expected = wanted.unit or _unit(unit)
    if expected is not None:
        dimensions = {actual.dimension, expected.dimension}
        if len(dimensions) > 1 and "angle" in dimensions and dimensions <= DEGREES:
            return given.value  # `20 degrees` for `20 °C`
        return given.value * actual.factor / expected.factor if len(dimensions) == 1 else None
    if not actual.parts:
        return given.value if _is_named(actual, asked) else None
    is_open = asked.unit is None and not asked.nouns
    is_plain = actual.known or actual.dimension not in _SCALES
    is_of_kind = asked.kind is None or asked.is_of_kind(actual)
    if not (is_open and is_plain and is_of_kind) and not asked.allows(actual):
        return None
    is_share = actual.dimension == "share" and abs(wanted.value) <= 1
    return given.value / 100 if is_share and asked.unit is None else given.value


def _is_of_another(name: str, expected: str | None, question: str, asked: Asked) -> bool:
    """Whether a name is of something else than what the reference or the question names."""
    expected = expected or asked_variable(question) or asked_expression(question)
    return is_other_name(name, expected, question, asked)


def _is_named(counted: Unit, asked: Asked) -> bool:
    """Whether a noun behind a number, known or not, is one that the question names."""
    noun = noun_of(counted)
    if noun is not None:
        is_named = bool(asked.nouns) or noun in asked.said | ANY_THING or asked.kind == COUNT
        return is_named and asked.allows(counted)
    words = counted.dimension.split()
    if len(words) > _MAX_NAME_WORDS:
        return False
    things = {singular(word) for word in words}
    is_plural = singular(words[-1]) != words[-1]
    is_open = asked.unit is None and not asked.nouns
    is_said = things <= asked.said and not NO_THINGS & (things | set(words))
    return asked.allows(counted) or (is_open and is_plural and is_said)


def _unit(name: str) -> Unit | None:
    found = parse_number(f"1 {normalize(name)}") if name else None
    return found.unit if found is not None else None


def read_list(answer: str) -> list[Quantity] | None:
    """The numbers of a list, with or without brackets; None for anything else."""
    text = normalize(answer).strip("[]()⟨⟩ ")
    parts = re.split(r"[,;]\s*(?:and\b)?|\band\b", text)
    numbers = [read_quantity(part.strip()) for part in parts[: _MAX_LIST_ITEMS + 1]]
    known = [number for number in numbers if number is not None]
    return known if len(known) == len(parts) <= _MAX_LIST_ITEMS else None
