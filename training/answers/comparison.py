"""Equality of values that have been read: numbers, measures, lists, relations, expressions."""

import re
from dataclasses import dataclass
from fractions import Fraction

from training.answers import numeric
from training.answers.asked import Asked
from training.answers.canonical import canonical
from training.answers.equations import Named
from training.answers.expressions import read_expression
from training.answers.kinds import MONEY
from training.answers.numbers import Number
from training.answers.order import is_ordered, ordered_names
from training.answers.reading import choices
from training.answers.tree import Node, is_rational, may_divide, undone
from training.answers.units import Unit
from training.answers.values import (
    Expression,
    Items,
    Relation,
    Value,
    Words,
    is_labelled,
    labels,
)

# Share of a decimal, at most half of its reference's last digit. Whole numbers are exact.
RELATIVE_TOLERANCE = Fraction(1, 1000)
_ROOTS = re.compile(r"\b(?:roots|zeros) of\b|\b(?:all|the) (?:roots|zeros)\b", re.IGNORECASE)
_KIND = re.compile(r"\b(?:which|what|(?:kind|type|sort) of|is the) ([a-z]{3,})\b")
NUMBER_WORDS = {
    word: Number(Fraction(number))
    for number, word in enumerate(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    )
}


@dataclass(frozen=True)
class Comparison:
    """The rules of equality.

    Attributes:
        accept_rounded: See `judge`.
        question: What was asked.
        asked: The unit that the question asks for.
        tolerance: See `judge`.
    """

    accept_rounded: bool
    question: str
    asked: Asked
    tolerance: Fraction = RELATIVE_TOLERANCE

    def equal(self, actual: Value, expected: Value) -> bool:
        """Whether an answer's value is the reference's, by the rules of docs/answers.md."""
        if isinstance(actual, Number) and isinstance(expected, Number):
            return self._same_number(actual, expected)
        if isinstance(actual, Items) and isinstance(expected, Items):
            if is_labelled(actual) != is_labelled(expected):
                return self._same_labelled(actual, expected)
            if actual.kind != expected.kind or len(actual.items) != len(expected.items):
                return False
            if actual.kind == "union":
                return self._same_members(list(actual.items), list(expected.items))
            if actual.kind == "set" and (is_labelled(actual) or not is_ordered(self.question)):
                return self._same_members(list(actual.items), list(expected.items))
            return all(map(self.equal, actual.items, expected.items))
        if isinstance(actual, Relation) and isinstance(expected, Relation):
            if actual.sign != expected.sign or not undone_in(actual) <= undone_in(expected):
                return False
            return numeric.proportional(
                actual.difference, expected.difference, positive=expected.sign != "="
            )
        if isinstance(actual, Number | Expression) and isinstance(expected, Number | Expression):
            return self._same_value(actual, expected)
        if isinstance(actual, Words) and isinstance(expected, Words):
            return actual == expected or self._without_kind(actual.text) == expected.text
        return actual == expected

    def _without_kind(self, words: str) -> str:
        """`quadrant II` as `II`, where the question asks `in which quadrant`."""
        kinds = _KIND.findall(self.question.lower())
        return " ".join(word for word in words.split() if word not in kinds)

    def _same_labelled(self, actual: Items, expected: Items) -> bool:
        """`x = 5, y = 7` beside `(5, 7)`: in the order in which the question names x and y."""
        labelled, bare = (actual, expected) if is_labelled(actual) else (expected, actual)
        if bare.kind not in ("set", "()") or len(bare.items) != len(labelled.items):
            return False
        named = labels(labelled)
        values = tuple(named[name] for name in ordered_names(list(named), self.question))
        mine, theirs = (values, bare.items) if labelled is actual else (bare.items, values)
        is_one_unknown = len({name.partition("_")[0] for name in named}) == 1  # `x_1`, `x_2`
        if not is_one_unknown and _ROOTS.search(self.question):
            return False
        if is_one_unknown and bare.kind == "set" and not is_ordered(self.question):
            return self._same_members(list(mine), list(theirs))
        return all(map(self.equal, mine, theirs))

    def _same_members(self, actual: list[Value], expected: list[Value]) -> bool:
        """Whether two lists hold equal values in some order; each is used once."""
        for value in actual:
            match = next((other for other in expected if self.equal(value, other)), None)
            if match is None:
                return False
            expected.remove(match)
        return True

    def _same_value(self, actual: Number | Expression, expected: Number | Expression) -> bool:
        """Compares values of which one at least is no plain number; none is in per cent."""
        if any(unit and unit.dimension == "share" for unit in (actual.unit, expected.unit)):
            return False
        ratio = self._ratio(actual.unit, expected.unit)
        if ratio is None:
            return False
        if isinstance(expected, Number):
            assert isinstance(actual, Expression)
            if undone(actual.tree):
                return False
            if expected.decimals is None and not is_rational(actual.tree):
                return False  # `\sqrt{25}` and the like: a rational value has a finished form
            found = numeric.value(actual.tree)
            return found is not None and self._close(found * ratio, None, expected)
        if isinstance(actual, Number):
            if actual.form == "reducible":
                return False
            if numeric.equal(_times(Node("number", value=actual.value), ratio), expected.tree):
                return True
            wanted = numeric.value(expected.tree) if self.accept_rounded else None
            half = _half_a_unit(actual, ratio)
            exact = Number(wanted or Fraction(0), form="fraction")
            return wanted is not None and self._close(actual.value * ratio, half, exact)
        if not _is_as_finished(actual.tree, expected.tree):
            return False
        return numeric.equal(_times(actual.tree, ratio), expected.tree)

    def _same_number(self, actual: Number, expected: Number) -> bool:
        """Units count if both have one; "10/2" is no answer where 5 is."""
        if actual.form == "reducible" and (
            not expected.is_fraction or actual.value.denominator == 1
        ):
            return False
        if _is_share(actual) != _is_share(expected):
            other = actual.unit or expected.unit
            return other is not None and self._same_share(actual, expected)
        ratio = self._ratio(actual.unit, expected.unit)
        if ratio is None or self._is_in_radians(actual):
            return False
        half = _half_a_unit(actual, ratio)
        if half is not None and self._is_money(actual, expected):
            return actual.value * ratio == expected.value
        return self._close(actual.value * ratio, half, expected)

    def _is_in_radians(self, actual: Number) -> bool:
        """`57 radians` where nobody asks for radians: a plain number for an angle is in degrees."""
        dimensions = [unit.dimension for unit in (actual.unit, self.asked.unit) if unit]
        return self.asked.is_known and dimensions == ["radian"]

    def _is_money(self, actual: Number, expected: Number) -> bool:
        """Whether they are sums of money, which are not rounded."""
        units = (actual.unit, expected.unit, self.asked.unit)
        return self.asked.kind == MONEY or any(unit and unit.dimension in MONEY for unit in units)

    def _ratio(self, actual: Unit | None, expected: Unit | None) -> Fraction | None:
        """What the answer's value is multiplied by; None if its unit is another one, or no unit."""
        if actual is None:
            return Fraction(1)
        actual = self.asked.without_tail(actual)
        if expected is None:
            return Fraction(1) if self.asked.allows(actual) else None
        if actual.dimension != expected.dimension:
            return None
        wanted = self.asked.unit
        if wanted and wanted.dimension == actual.dimension and wanted.factor != actual.factor:
            return None  # `2 h` where 2 hours are to be put into minutes
        return actual.factor / expected.factor

    def _same_share(self, actual: Number, expected: Number) -> bool:
        """One of them has a percent sign: 50 % is 0.5; and 50, but 0.5 % is no 0.5."""
        if actual.unit and expected.unit:
            return False  # per cent of something else
        share = _is_share(actual)
        if actual.unit and not (self.asked.allows_shares and self.asked.tells(actual.unit)):
            return False
        is_hundredfold = not share or self.asked.allows_per_cent  # 50 % for a plain 50
        per_cent = actual.value if share else expected.value
        plain = expected.value if share else actual.value
        # Where per cent are asked for, a plain number is one of them: no `6000%` for 60.
        is_per_cent = self.asked.unit is not None and (not share or abs(plain) > 1)
        ratio = Fraction(1, 100) if share else Fraction(100)
        half = _half_a_unit(actual, ratio)
        if not is_per_cent and self._close(actual.value * ratio, half, expected):
            return True
        same = self._close(actual.value, _half_a_unit(actual, Fraction(1)), expected)
        return is_hundredfold and abs(per_cent) > 1 and same

    def _close(self, given: Fraction, half: Fraction | None, expected: Number) -> bool:
        """Whether a value is the expected number, as far as rounding is allowed.

        Args:
            given: The answer's value, in the reference's unit.
            half: Half a unit of its last digit, in the reference's unit; None if it is exact.
            expected: The reference.
        """
        wanted = expected.value
        if given == wanted:
            return True
        if expected.decimals is not None:
            scale = 10**expected.decimals
            tolerance = Fraction(1, 2 * scale)
            if half is not None or abs(wanted) * scale < 10:  # one digit is hardly a rounding
                tolerance = min(tolerance, abs(wanted) * RELATIVE_TOLERANCE)
        elif half is not None and wanted.denominator != 1:
            tolerance = half
            if not self.accept_rounded:
                tolerance = min(tolerance, abs(wanted) * self.tolerance)
        else:
            return False
        return abs(given - wanted) <= tolerance


def undone_in(value: Value) -> frozenset[str]:
    """The work that an expression or equation leaves undone; see `tree.undone`."""
    if isinstance(value, Expression):
        return undone(value.tree)
    if isinstance(value, Relation):  # what is left on each side: `= -6` is no work
        left, right = value.difference.parts
        return undone(left) | undone(right.parts[0])
    return frozenset()


def _is_as_finished(actual: Node, expected: Node) -> bool:
    """Whether an answer leaves no work that the reference does not leave.

    A function that the reference holds may be there, too; arithmetic only as it stands there:
    `3 + 3 + 1` is no answer where `1 + 2 + 4` is. Nor is a division by a letter where the
    reference has none: to divide `x^2 - 4` by `x - 2` may be what is asked for.
    """
    if may_divide(actual) and not may_divide(expected):
        return False
    left = undone(actual)
    if any(work.startswith("a ") for work in left) and canonical(actual) != canonical(expected):
        return False
    return left <= undone(expected)


def alike(actual: Named, expected: Named, *, may_be_choices: bool = True) -> tuple[Value, Value]:
    """Both values read as the same kind, where a text such as `ACD` or `x` may be of two.

    Args:
        actual: The answer.
        expected: The reference.
        may_be_choices: Whether capitals may be the letters of choices, and no segment.
    """
    mine, theirs = actual.value, expected.value
    assert mine is not None and theirs is not None
    if isinstance(mine, Words) and isinstance(theirs, Number):
        mine = NUMBER_WORDS.get(mine.text, mine)
    elif isinstance(mine, Number) and isinstance(theirs, Words):
        theirs = NUMBER_WORDS.get(theirs.text, theirs)
    elif isinstance(mine, Items) and isinstance(theirs, Items):
        mine, theirs = _as_vectors(mine, theirs)
    elif isinstance(mine, Words | Expression) and isinstance(theirs, Items):
        mine = (choices(actual.text) if may_be_choices else None) or mine
    elif isinstance(mine, Items) and isinstance(theirs, Words | Expression):
        theirs = (choices(expected.text) if may_be_choices else None) or theirs
    elif isinstance(mine, Expression) and isinstance(theirs, Words):
        theirs = _as_expression(expected.text) or theirs
    elif isinstance(mine, Words) and isinstance(theirs, Expression):
        mine = _as_expression(actual.text) or mine
    elif isinstance(mine, Relation):
        theirs = expected.equation or theirs
    return mine, theirs


def _as_vectors(mine: Items, theirs: Items) -> tuple[Items, Items]:
    """A column beside `(3, 4)` as a tuple, too: both are ways to write a vector."""
    is_bound = bool(mine.name or theirs.name)  # `1 < x < 2`
    if {mine.kind, theirs.kind} == {"matrix", "()"} and not is_bound:
        return _as_tuple(mine), _as_tuple(theirs)
    return mine, theirs


def _as_tuple(items: Items) -> Items:
    rows = [row for row in items.items if isinstance(row, Items) and row.kind == "row"]
    is_column = items.kind == "matrix" and len(rows) > 1 and all(len(r.items) == 1 for r in rows)
    return Items("()", tuple(row.items[0] for row in rows)) if is_column else items


def _as_expression(text: str) -> Expression | None:
    if len(text) == 2 and text.isalpha():
        return None  # `IX` and `no` are no products
    tree = read_expression(text)
    return Expression(tree) if isinstance(tree, Node) else None


def _half_a_unit(number: Number, ratio: Fraction) -> Fraction | None:
    """How far a number that was rounded may lie from what it stands for, once it is converted.

    A whole number is exact, except in a smaller unit: `37%` and `104 cm` have few digits.

    Args:
        number: As it is written; the digits after its point say how it was rounded.
        ratio: What its value is multiplied by, to be in the reference's unit.

    Returns:
        Half a unit of its last digit, in the reference's unit; None if it is not rounded.
    """
    if number.decimals is not None:
        return ratio * Fraction(1, 2 * 10**number.decimals)
    if ratio == 1 or number.form != "plain":
        return None
    return ratio / 2 if ratio < 1 else Fraction(0)


def _times(tree: Node, ratio: Fraction) -> Node:
    return tree if ratio == 1 else Node("product", (Node("number", value=ratio), tree))


def _is_share(number: Number) -> bool:
    return number.unit is not None and number.unit.dimension == "share"
