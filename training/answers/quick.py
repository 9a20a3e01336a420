"""Deciding whether an answer is the reference, by rule, in bounded time, the same everywhere.

An answer may be an exact result in normal form: a number, a fraction, roots, pi, e, i, polynomials,
sets, intervals, matrices. An operator that still has to be evaluated counts only if the reference
holds it, too: else a question would be answered by repeating it. See docs/answers.md.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from training.answers import numeric
from training.answers.asked import Asked, read_asked
from training.answers.canonical import canonical
from training.answers.echo import is_echo
from training.answers.equations import (
    Named,
    asked_expression,
    asked_variable,
    is_other_quantity,
    read,
    without_asked,
)
from training.answers.expressions import UnreadableError, read_expression
from training.answers.forms import is_other_form
from training.answers.literal import same_literal
from training.answers.normal import names_differ, normalize, split_name
from training.answers.numbers import Number
from training.answers.options import labelled, letter_of, read_options, same_words
from training.answers.order import is_ordered, ordered_names
from training.answers.outcome import Verdict
from training.answers.tree import Node, is_rational, undone
from training.answers.units import Unit
from training.answers.values import (
    Expression,
    Items,
    Relation,
    Value,
    Words,
    choices,
    is_enumeration,
    is_labelled,
    labels,
    may_be_several,
)

# Share of a decimal, at most half of its reference's last digit. Whole numbers are exact.
RELATIVE_TOLERANCE = Fraction(1, 1000)

# A choice with its text, "B. 12 cm", that names no further choice.
_LABELLED = re.compile(r"\(?([A-J])[).:] *(?P<text>.+)", re.DOTALL)
_FURTHER_CHOICE = re.compile(
    r"\b[A-Ja-j][).:]|\b[B-J]\b|\b(?:or|not|and|but|rather|maybe|perhaps|possibly|instead)\b"
)
_BASED = re.compile(r"([0-9A-Za-z]+)\s*_\s*\{?\s*(\d{1,2})\s*\}?")
# Commands, words and signs that may be an operator to evaluate.
_OPERATOR = re.compile(r"\\[a-zA-Z]+|[a-zA-Z]{2,}|[!|]|\^\s*\{?\s*T\b|'")
_FINISHED = frozenset(
    {
        *(r"\frac", r"\sqrt", r"\pi", r"\theta", r"\alpha", r"\beta", r"\begin", r"\end"),
        *("pmatrix", "bmatrix", "matrix", "array", "cases"),
    }
)


def judge(
    answer: str, reference: str, question: str = "", *, accept_rounded: bool = False
) -> Verdict | None:
    """The verdict on an answer; None if only a computer algebra system can tell.

    Args:
        answer: The content of the box.
        reference: The reference answer, perhaps boxed itself or between dollar signs.
        question: What was asked, if known: it may name the variable to solve for.
        accept_rounded: Whether a decimal may stand for an exact reference that it rounds.
    """
    given, wanted = normalize(answer), normalize(reference)
    if given == wanted:
        return Verdict("right")
    if based := _in_base(given, wanted, question):
        return based
    if chosen := _chosen(given, wanted, question):
        return chosen
    same = same_literal(split_name(given)[1], split_name(wanted)[1])
    if same is not None:
        return _verdict(same and not is_echo(given, wanted, question))
    try:
        comparison = _Comparison(accept_rounded, question, read_asked(question))
        asked = asked_variable(question) or asked_expression(question)
        stripped = without_asked(given, asked, question)
        verdict = comparison.judge(stripped, wanted, asked)
    except UnreadableError as error:
        return Verdict("unparseable", str(error))
    if verdict is None or verdict.outcome == "right":
        if is_echo(given, wanted, question):
            return Verdict("wrong", "it repeats the question")
        if is_other_form(given, wanted, question):
            return Verdict("wrong", "not in the form that is asked for")
    return verdict


@dataclass(frozen=True)
class _Comparison:
    """The rules of equality.

    Attributes:
        accept_rounded: See `judge`.
        question: What was asked.
        asked: The unit that the question asks for.
    """

    accept_rounded: bool
    question: str
    asked: Asked

    def judge(self, given: str, wanted: str, variable: str | None) -> Verdict | None:
        if is_enumeration(given) and not may_be_several(wanted):
            return Verdict("wrong", "several answers where one is asked for")
        expected = read(wanted)
        if expected.value is None:
            return _for_algebra(given, wanted)
        actual = read(given, like=expected)
        name = expected.name or variable
        if actual.name and name and names_differ(actual.name, name):
            return Verdict("wrong", f"a value of {actual.name}")
        if actual.name and is_other_quantity(actual.name, self.asked.sentence):
            return Verdict("wrong", f"a value of {actual.name}")
        if actual.value is None:
            if isinstance(expected.value, Words):
                return _verdict(_is_choice(given, expected.value))
            return Verdict("unparseable", _reason(actual.text))
        mine, theirs = _alike(actual, expected)
        if self._equal(mine, theirs):
            return Verdict("right")
        left = _undone_in(mine) - _undone_in(theirs)
        return Verdict("wrong", f"it leaves {min(left)} to be evaluated" if left else "")

    def _equal(self, actual: Value, expected: Value) -> bool:
        if isinstance(actual, Number) and isinstance(expected, Number):
            return self._same_number(actual, expected)
        if isinstance(actual, Items) and isinstance(expected, Items):
            if is_labelled(actual) != is_labelled(expected):
                return self._same_labelled(actual, expected)
            if actual.kind != expected.kind or len(actual.items) != len(expected.items):
                return False
            if actual.kind == "set" and (is_labelled(actual) or not is_ordered(self.question)):
                return self._same_members(list(actual.items), list(expected.items))
            return all(map(self._equal, actual.items, expected.items))
        if isinstance(actual, Relation) and isinstance(expected, Relation):
            if actual.sign != expected.sign or not _undone_in(actual) <= _undone_in(expected):
                return False
            return numeric.proportional(
                actual.difference, expected.difference, positive=expected.sign != "="
            )
        if isinstance(actual, Number | Expression) and isinstance(expected, Number | Expression):
            return self._same_value(actual, expected)
        return actual == expected

    def _same_labelled(self, actual: Items, expected: Items) -> bool:
        """`x = 5, y = 7` beside `(5, 7)`: in the order in which the question names x and y."""
        labelled, bare = (actual, expected) if is_labelled(actual) else (expected, actual)
        if bare.kind not in ("set", "()") or len(bare.items) != len(labelled.items):
            return False
        named = labels(labelled)
        values = tuple(named[name] for name in ordered_names(list(named), self.question))
        mine, theirs = (values, bare.items) if labelled is actual else (bare.items, values)
        is_one_unknown = len({name.partition("_")[0] for name in named}) == 1  # `x_1`, `x_2`
        if is_one_unknown and bare.kind == "set" and not is_ordered(self.question):
            return self._same_members(list(mine), list(theirs))
        return all(map(self._equal, mine, theirs))

    def _same_members(self, actual: list[Value], expected: list[Value]) -> bool:
        """Whether two lists hold equal values in some order; each is used once."""
        for value in actual:
            match = next((other for other in expected if self._equal(value, other)), None)
            if match is None:
                return False
            expected.remove(match)
        return True

    def _same_value(self, actual: Number | Expression, expected: Number | Expression) -> bool:
        """Compares values of which one at least is no plain number."""
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
            return wanted is not None and self._close(
                actual.value * ratio, actual.decimals, Number(wanted, form="fraction")
            )
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
        if ratio is None:
            return False
        decimals = actual.decimals if ratio == 1 else _decimals_if_measured(actual)
        return self._close(actual.value * ratio, decimals, expected)

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
        if share and not self.asked.allows_shares:
            return False
        per_cent = actual.value if share else expected.value
        plain = expected.value if share else actual.value
        # Where per cent are asked for, a plain number is one of them: no `6000%` for 60.
        is_per_cent = self.asked.unit is not None and (not share or abs(plain) > 1)
        scaled = actual.value / 100 if share else actual.value * 100
        if not is_per_cent and self._close(scaled, _decimals_if_measured(actual), expected):
            return True
        return abs(per_cent) > 1 and self._close(actual.value, actual.decimals, expected)

    def _close(self, given: Fraction, decimals: int | None, expected: Number) -> bool:
        """Whether a value is the expected number, as far as rounding is allowed.

        Args:
            given: The answer's value.
            decimals: Its digits after the point; None if it is exact.
            expected: The reference.
        """
        wanted = expected.value
        if given == wanted:
            return True
        if expected.decimals is not None:
            tolerance = Fraction(1, 2 * 10**expected.decimals)
            if decimals is not None:
                tolerance = min(tolerance, abs(wanted) * RELATIVE_TOLERANCE)
        elif decimals is not None and wanted.denominator != 1:
            tolerance = Fraction(1, 2 * 10**decimals)
            if not self.accept_rounded:
                tolerance = min(tolerance, abs(wanted) * RELATIVE_TOLERANCE)
        else:
            return False
        return abs(given - wanted) <= tolerance


def _in_base(given: str, wanted: str, question: str) -> Verdict | None:
    """The verdict where a number says its base, `12_8`; None where none does.

    Digits count, not values: a conversion is what such a question asks for.
    """
    actual, expected = _BASED.fullmatch(given), _BASED.fullmatch(wanted)
    if actual is None and expected is None:
        return None
    digits = [match[1] if match else text for match, text in ((actual, given), (expected, wanted))]
    bases = {match[2] for match in (actual, expected) if match}
    target = rf"\b(?:to|in|into|as) (?:a )?base {bases.copy().pop()}\b"
    if expected is None and not re.search(target, re.sub(r"[-${}]", " ", question)):
        return Verdict("wrong", "a base that nobody asked for")
    same = digits[0].lstrip("0").lower() == digits[1].lstrip("0").lower()
    return _verdict(same and len(bases) == 1)


def _chosen(given: str, wanted: str, question: str) -> Verdict | None:
    """The verdict where the reference is the letter of a choice that the question lists, and the
    answer a letter with a text: the text must be that choice's. None elsewhere.
    """
    letter, label = letter_of(wanted), labelled(given)
    option = read_options(question).get(letter) if letter and label else None
    if label is None or option is None:
        return None
    if label[0] != letter:
        return Verdict("wrong", f"choice {label[0]}")
    if same_words(label[1], option):
        return Verdict("right")
    found = judge(label[1], option)
    right = found is not None and found.outcome == "right"
    return Verdict("right") if right else Verdict("wrong", f"not the text of choice {letter}")


def _verdict(right: bool) -> Verdict:
    return Verdict("right" if right else "wrong")


def _for_algebra(given: str, wanted: str) -> Verdict | None:
    """Refuses operators that the reference, which we can't read, does not hold."""
    if given.count(":") != wanted.count(":"):
        return Verdict("wrong", "another number of parts")
    tree = read_expression(given)
    if isinstance(tree, str) and tree.startswith("unverifiable"):
        return Verdict("unparseable", tree)
    held = frozenset(_OPERATOR.findall(wanted))
    found = frozenset(_OPERATOR.findall(given)) - _FINISHED - held
    if isinstance(tree, Node):
        found |= {work for work in undone(tree) if f"\\{work}" not in held}
    if found:
        return Verdict("wrong", f"it leaves `{min(found)[:20]}` to be evaluated")
    return None


def _undone_in(value: Value) -> frozenset[str]:
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
    `3 + 3 + 1` is no answer where `1 + 2 + 4` is.
    """
    left = undone(actual)
    if any(work.startswith("a ") for work in left) and canonical(actual) != canonical(expected):
        return False
    return left <= undone(expected)


def _reason(text: str) -> str:
    found = read_expression(text)
    return found if isinstance(found, str) else "it cannot be read"


def _is_choice(given: str, expected: Words) -> bool:
    label = _LABELLED.fullmatch(given)
    if label is None or _FURTHER_CHOICE.search(label["text"]):
        return False
    return label[1].lower() == expected.text


def _alike(actual: Named, expected: Named) -> tuple[Value, Value]:
    """Both values read as the same kind, where a text such as `ACD` or `x` may be of two."""
    mine, theirs = actual.value, expected.value
    assert mine is not None and theirs is not None
    if isinstance(mine, Words | Expression) and isinstance(theirs, Items):
        mine = choices(actual.text) or mine
    elif isinstance(mine, Items) and isinstance(theirs, Words | Expression):
        theirs = choices(expected.text) or theirs
    elif isinstance(mine, Expression) and isinstance(theirs, Words):
        theirs = _as_expression(expected.text) or theirs
    elif isinstance(mine, Words) and isinstance(theirs, Expression):
        mine = _as_expression(actual.text) or mine
    elif isinstance(mine, Relation):
        theirs = expected.equation or theirs
    return mine, theirs


def _as_expression(text: str) -> Expression | None:
    if len(text) == 2 and text.isalpha():
        return None  # `IX` and `no` are no products
    tree = read_expression(text)
    return Expression(tree) if isinstance(tree, Node) else None


def _decimals_if_measured(number: Number) -> int | None:
    """Digits after the point of a number that is converted: then a whole number is one of few
    digits, and not an exact result that may be rounded.
    """
    return 0 if number.decimals is None and number.form == "plain" else number.decimals


def _times(tree: Node, ratio: Fraction) -> Node:
    return tree if ratio == 1 else Node("product", (Node("number", value=ratio), tree))


def _is_share(number: Number) -> bool:
    return number.unit is not None and number.unit.dimension == "share"
