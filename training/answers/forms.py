"""The form that a question asks for: factored, expanded, simplified, rounded, a decimal.

Each rule takes the answer and the reference, and applies only where the reference has the form
itself: what a data set's author wrote is what was asked for.
"""

import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from math import gcd

from training.answers import numeric
from training.answers.canonical import shape
from training.answers.expressions import read_expression
from training.answers.normal import split_name
from training.answers.number_forms import RULES_OF_NUMBERS
from training.answers.numbers import Number, parse_number
from training.answers.tree import Node, is_reducible, nodes, rational, variables

_MOST_CHARACTERS = 4000  # of a question, from its end
_LAST_SIDE = re.compile(r".*(?<![<>!~:])[=≈]\s*", re.DOTALL)
# Forms with a name, that an equation or a polynomial may have.
_NAMED_FORM = re.compile(
    r"\b(?:slope[- ]intercept|point[- ]slope|intercept|vertex|standard|general"
    r"|cent(?:er|re)[- ]radius|completed[- ]square) (?:form|equation)\b"
    r"|\bslope[- ]intercept\b|\bpoint[- ]slope\b"
    r"|\bcomplet\w+ the square\b|\b(?:in|of) the form\b"
    r"|\by ?= ?[ma]x ?\+ ?[bc]\b|\bax ?\+ ?by ?(?:=|\+ ?c\b)"
)
_FOR_A_LETTER = re.compile(
    r"\bsolve\b.*\bfor\b|\bin terms of\b|\bthe subject\b|\bisolate\b"
    r"|\b[a-z]\$? (?:is |stands )?(?:alone|by itself)\b|\bas a function of\b"
)
_AN_EQUATION = re.compile(
    r"\b(?:find|write|give|state|determine|what (?:is|are))(?: down)? (?:an |the |its |their )?"
    r"(?:\w+ )?(?:equations?\b(?! has\b|['’])|asymptotes?\b)"
)
# An equation is a step only, where its unknown is wanted, too.
_ITS_SOLUTION = re.compile(
    r"\bsolv(?:e|es|ing)\b|\bsolutions?\b|\bfind (?:the value of )?\$?(?!a\b)[a-z]\b(?! *\()"
)
_VALUE_OF_A_LETTER = re.compile(r"[a-zA-Z] ?= ?(?P<value>[^=]+)")
_SIDES = re.compile(r"\s*[=<>≤≥]\s*")
_MOST_DIVISORS = 1000  # that are tried as factors below a root


def is_other_form(answer: str, reference: str, question: str) -> bool:
    """Whether a question asks for a form that the reference has, and the answer hasn't.

    Args:
        answer: Normalised.
        reference: Normalised.
        question: As it was asked.
    """
    asked = question[-_MOST_CHARACTERS:].lower()
    if _NAMED_FORM.search(asked) and _is_other_shape(answer, reference):
        return True
    if _FOR_A_LETTER.search(asked) and _is_not_solved(answer, reference):
        return True
    if _AN_EQUATION.search(asked) and _is_no_equation(answer, reference, asked):
        return True
    rules = [breaks for pattern, breaks in _RULES if pattern.search(asked)]
    if not rules:
        return False
    mine, theirs = (_LAST_SIDE.sub("", split_name(text)[1]) for text in (answer, reference))
    return any(breaks(mine, theirs, asked) for breaks in rules)


def _is_other_shape(answer: str, reference: str) -> bool:
    """Whether a side is built otherwise than in the reference: `y - 3 = 2(x - 1)`, `y = 2x + 1`.

    A side that is a letter by itself stays it. Fractions are where the reference has some.
    """
    mine, theirs = (
        [read_expression(side) for side in _SIDES.split(text)] for text in (answer, reference)
    )
    num_sides = min(len(mine), len(theirs))
    pairs = [mine[-num_sides:], mine[: -num_sides - 1 : -1]] if num_sides > 1 else [mine[-1:]]
    return not any(all(map(_is_built_alike, sides, theirs[-num_sides:])) for sides in pairs)


def _is_built_alike(mine: Node | str, theirs: Node | str) -> bool:
    if isinstance(mine, str) or isinstance(theirs, str):
        return isinstance(theirs, str)  # a reference that can't be read fixes no form
    if theirs.kind == "variable":
        return mine == theirs
    return shape(mine) == shape(theirs) and _has_fraction(mine) == _has_fraction(theirs)


def _has_fraction(tree: Node) -> bool:
    return any(node.kind == "quotient" or node.value.denominator > 1 for node in nodes(tree))


def _is_not_solved(answer: str, reference: str) -> bool:
    """The letter that is by itself in the reference is so in the answer, and only on one side."""
    mine, theirs = (
        [read_expression(side) for side in _SIDES.split(text)] for text in (answer, reference)
    )
    letter, *rest = theirs
    if len(mine) < 2 or len(rest) != 1 or isinstance(letter, str) or letter.kind != "variable":
        return False
    others = [side for side in mine if side != letter]
    found = [variables(side) for side in others if isinstance(side, Node)]
    return len(others) == len(mine) or any(letter.name in names for names in found)


def _is_no_equation(answer: str, reference: str, asked: str) -> bool:
    """`2x + 1` where the line `y = 2x + 1` is; `12` will do where `x = 12` is a solution."""
    value = _VALUE_OF_A_LETTER.fullmatch(reference)
    if value and parse_number(value["value"]) and _ITS_SOLUTION.search(asked):
        return False
    return len(_SIDES.split(reference)) > 1 and len(_SIDES.split(answer)) == 1


def _is_not_added(answer: str, reference: str, _: str) -> bool:
    """One fraction, where a sum of them is to be added up."""
    mine, theirs = read_expression(answer), read_expression(reference)
    if isinstance(mine, str) or isinstance(theirs, str):
        return False
    return theirs.kind == "quotient" and bool(variables(theirs)) and mine.kind == "sum"


def _is_other_root(answer: str, reference: str, _: str) -> bool:
    """Roots where the reference has powers, or the other way round."""
    mine, theirs = read_expression(answer), read_expression(reference)
    if isinstance(mine, str) or isinstance(theirs, str):
        return False
    return _has_root(mine) != _has_root(theirs) or (
        _has_broken_power(mine) and not _has_broken_power(theirs)
    )


def _is_other_exponent(answer: str, reference: str, _: str) -> bool:
    """A negative exponent, or a power of a fraction, where the reference has none; a number where
    it is a power.
    """
    mine, theirs = read_expression(answer), read_expression(reference)
    if isinstance(mine, str) or isinstance(theirs, str):
        return False
    return shape(mine) != shape(theirs) or (theirs.kind == "power" and mine.kind == "number")


def _has_root(tree: Node) -> bool:
    return any(node.kind == "root" for node in nodes(tree))


def _has_broken_power(tree: Node) -> bool:
    """`50^{0.5}` or `54^{1/3}`: a root that is written as a power."""
    return any(
        node.kind == "power" and (power := rational(node.parts[1])) and power.denominator > 1
        for node in nodes(tree)
    )


def _leaves_broken_power(tree: Node) -> bool:
    """`50^{0.5}`; the like of a letter, `x^{3/2}`, is as simple as a root."""
    return any(
        node.kind == "power" and node.parts[0].kind == "number" and _has_broken_power(node)
        for node in nodes(tree)
    )


def _is_not_single(answer: str, reference: str, _: str) -> bool:
    """One logarithm, fraction or root, as the reference is."""
    mine, theirs = read_expression(answer), read_expression(reference)
    if isinstance(mine, str) or isinstance(theirs, str):
        return False
    kinds = {mine.kind, theirs.kind}
    return len(kinds) > 1 and kinds != {"product", "quotient"}


def _is_not_factored(answer: str, reference: str, _: str) -> bool:
    """A product; each of its factors is one of the reference's, without a number left in it."""
    mine, theirs = read_expression(answer), read_expression(reference)
    if isinstance(mine, str) or isinstance(theirs, str):
        return False
    if {mine.kind, theirs.kind} in ({"sum", "product"}, {"sum", "power"}):
        return True
    if theirs.kind not in ("product", "power") or not variables(theirs):
        return False
    if _leaves_brackets_in_sum(mine) and not _leaves_brackets_in_sum(theirs):
        return True
    wanted = [factor for factor in _factors(theirs) if variables(factor)]
    return not all(_is_factor_of(factor, wanted) for factor in _factors(mine) if variables(factor))


def _is_factor_of(factor: Node, wanted: list[Node]) -> bool:
    if any(numeric.equal(factor, each) for each in wanted):
        return True
    return _content(factor) == 1 and any(
        numeric.proportional(factor, each, positive=False) for each in wanted
    )


def _factors(tree: Node) -> Iterator[Node]:
    """The factors of a product, each power once by its base."""
    if tree.kind in ("product", "negative"):
        for part in tree.parts:
            yield from _factors(part)
    elif tree.kind == "power" and tree.parts[1].kind == "number":
        yield from _factors(tree.parts[0])
    else:
        yield tree


def _content(tree: Node) -> Fraction:
    """The greatest whole number that all terms of a sum share; 0 if a term holds a fraction."""
    terms = tree.parts if tree.kind == "sum" else (tree,)
    shared = 0
    for term in terms:
        numbers = [factor.value for factor in _factors(term) if factor.kind == "number"]
        if any(node.kind == "quotient" for node in nodes(term)):
            return Fraction(0)
        product = Fraction(1)
        for number in numbers:
            product *= number
        if product.denominator != 1:
            return Fraction(0)
        shared = gcd(shared, product.numerator)
    return Fraction(shared)


def _is_not_prime_product(answer: str, reference: str, _: str) -> bool:
    """As many numbers as the reference has, powers included."""
    mine, theirs = read_expression(answer), read_expression(reference)
    if isinstance(mine, str) or isinstance(theirs, str) or theirs.kind == "number":
        return False
    return mine.kind == "number"


def _is_not_expanded(answer: str, reference: str, _: str) -> bool:
    """A sum in which no product or power of a sum is left."""
    mine, theirs = read_expression(answer), read_expression(reference)
    if isinstance(mine, str) or isinstance(theirs, str):
        return False
    if {mine.kind, theirs.kind} in ({"sum", "product"}, {"sum", "power"}):
        return True
    return _has_brackets(mine) and not _has_brackets(theirs)


def _has_brackets(tree: Node) -> bool:
    return any(
        node.kind in ("product", "power", "negative")
        and any(part.kind == "sum" for part in node.parts)
        for node in nodes(tree)
    )


def _is_not_multiplied(answer: str, reference: str, asked: str) -> bool:
    """A sum in which no product or power of a sum is left, where the reference is one; it may be
    the negative of one.
    """
    mine, theirs = read_expression(answer), read_expression(reference)
    if isinstance(theirs, str) or theirs.kind != "sum" or _has_brackets(theirs):
        return False
    if isinstance(mine, Node) and mine.kind == "negative" and not _has_brackets(mine.parts[0]):
        return False
    return _is_not_expanded(answer, reference, asked)


def _is_not_simplified(answer: str, reference: str, _: str) -> bool:
    """No fraction to reduce or cancel, no square below a root, no root below a line, no brackets
    in a sum, unless the reference leaves them, too.
    """
    number, wanted = parse_number(answer), parse_number(reference)
    is_decimal = number is not None and not number.is_fraction and number.value.denominator != 1
    if is_decimal and wanted is not None and wanted.is_fraction:
        return True
    if number is not None and number.form == "reducible":
        return not (isinstance(wanted, Number) and wanted.form == "reducible")
    mine, theirs = read_expression(answer), read_expression(reference)
    if isinstance(mine, str) or isinstance(theirs, str):
        return False
    return any(left(mine) and not left(theirs) for left in _LEFT)


def _leaves_square(tree: Node) -> bool:
    r"""`\sqrt{18}` or `\sqrt{x^2}`, or a fraction below a root."""
    for node in nodes(tree):
        if node.kind == "root" and node.parts[1].kind == "number":
            radicand, index = node.parts[0], int(node.parts[1].value)
            if radicand.kind == "quotient" and not variables(radicand):
                return True
            factors = radicand.parts if radicand.kind == "product" else (radicand,)
            if any(_is_power_of(factor, index) for factor in factors):
                return True
    return False


def _is_power_of(factor: Node, index: int) -> bool:
    if factor.kind == "number":
        return _holds_power(factor.value, index)
    power = rational(factor.parts[1]) if factor.kind == "power" else None
    return power is not None and power >= index


def _leaves_power_of_product(tree: Node) -> bool:
    """`(2a)^2`, or a power of a fraction or a negative; not `(3/4)^n`."""
    kinds = ("product", "quotient", "negative", "power")
    return any(
        node.kind == "power"
        and node.parts[0].kind in kinds
        and not (node.parts[0].kind == "quotient" and _is_letter_over(node))
        for node in nodes(tree)
    )


def _is_letter_over(power: Node) -> bool:
    """Whether a number has an exponent with a letter."""
    return rational(power.parts[0]) is not None and bool(variables(power.parts[1]))


def _holds_power(value: Fraction, index: int) -> bool:
    if value.denominator != 1:
        return True
    whole = abs(value.numerator)
    return any(
        whole % base**index == 0 for base in range(2, _MOST_DIVISORS) if base**index <= whole
    )


def _leaves_root_below(tree: Node) -> bool:
    return any(
        node.kind == "quotient" and any(each.kind == "root" for each in nodes(node.parts[1]))
        for node in nodes(tree)
    )


def _leaves_division(tree: Node) -> bool:
    """A variable below a line, or with a negative exponent."""
    return any(
        (node.kind == "quotient" and variables(node.parts[1]))
        or (node.kind == "power" and node.parts[1].kind == "negative")
        for node in nodes(tree)
    )


def _leaves_brackets_in_sum(tree: Node) -> bool:
    return any(
        node.kind == "sum" and any(_has_brackets(term) for term in node.parts)
        for node in nodes(tree)
    )


_LEFT = (
    *(is_reducible, _leaves_square, _leaves_root_below, _leaves_division),
    *(_leaves_brackets_in_sum, _leaves_broken_power, _leaves_power_of_product),
)
_RULES: tuple[tuple[re.Pattern[str], Callable[[str, str, str], bool]], ...] = (
    *RULES_OF_NUMBERS,
    (re.compile(r"\bfactor|\bas a product\b"), _is_not_factored),
    (
        re.compile(r"\bproduct of (?:its |the )?primes?\b|\bprime factori[sz]ation\b"),
        _is_not_prime_product,
    ),
    (re.compile(r"\bexpand"), _is_not_expanded),
    (
        re.compile(
            r"\bmultiply\b|\bdistribut|\bfind the product\b|\bmultiplied out\b"
            r"|\bremove (?:the |all )?(?:brackets|parentheses)\b"
        ),
        _is_not_multiplied,
    ),
    (re.compile(r"(?:^|[.:;] *)(?:add|subtract|combine)\b"), _is_not_added),
    (
        re.compile(r"\b(?:rational|fractional) exponents?\b|\bradical (?:form|notation)\b"),
        _is_other_root,
    ),
    (
        re.compile(r"\bpositive exponents?\b|\bas a (?:single )?power of\b|\bpower notation\b"),
        _is_other_exponent,
    ),
    (re.compile(r"\bsingle (?:log|fraction|radical|root|power|term|trig)"), _is_not_single),
    (
        re.compile(
            r"\bsimplif|\bsimplest\b|\blowest terms\b|\breduced?\b|\brationali[sz]e"
            r"|\brational denom|\b(?:in|to|into) (?:radians?|degrees?)\b"
        ),
        _is_not_simplified,
    ),
)
