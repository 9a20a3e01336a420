"""The tree of an expression, and what in it is work left undone."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, isqrt

CONSTANTS = ("pi", "e", "i")
_LARGEST_INDEX, _MOST_DIVISORS = 10, 1000  # of roots that are told to be alike


@dataclass(frozen=True)
class Node:
    """A piece of an expression.

    Attributes:
        kind: `number`, `constant` or `variable` (leaves); `sum`, `product`, `quotient`, `negative`,
            `power`, `root` (of what, which), or the name of a function.
        parts: What it is made of.
        value: Of a number.
        name: Of a constant or a variable.
    """

    kind: str
    parts: "tuple[Node, ...]" = ()
    value: Fraction = Fraction(0)
    name: str = ""


ARITHMETIC = (
    *("number", "constant", "variable", "sum", "product", "quotient", "negative"),
    *("power", "root"),
)


def nodes(tree: Node) -> Iterator[Node]:
    """The tree's nodes, the root first."""
    yield tree
    for part in tree.parts:
        yield from nodes(part)


def variables(tree: Node) -> frozenset[str]:
    """Names of the variables."""
    return frozenset(node.name for node in nodes(tree) if node.kind == "variable")


def undone(tree: Node) -> frozenset[str]:
    r"""The work that an expression leaves to whoever reads it.

    Exact results may hold fractions, roots, pi, e, i, powers of variables and sums of unlike terms.
    Everything else is an operator that has a value: functions, whole powers of constants, roots of
    squares, sums of numbers or of like terms, products of numbers, quotients that are whole.
    """
    return frozenset(found for node in nodes(tree) for found in _undone_here(node))


def is_rational(tree: Node) -> bool:
    """Whether it is written as a number, a fraction or the negative of one."""
    return rational(tree) is not None


def is_reducible(tree: Node) -> bool:
    """Whether a line has a number below it that shares a divisor with all that stands above."""
    return any(node.kind == "quotient" and _is_reducible_here(node) for node in nodes(tree))


def may_divide(tree: Node) -> bool:
    """Whether it divides by a letter, or has a power that may: `1/x`, `x^{-1}`, `2^n`."""
    return any(
        (node.kind == "quotient" and variables(node.parts[1]))
        or (node.kind == "power" and (node.parts[1].kind == "negative" or variables(node.parts[1])))
        for node in nodes(tree)
    )


def _is_reducible_here(node: Node) -> bool:
    over, under = node.parts
    terms = list(_terms(over)) if over.kind == "sum" else [over]
    numbers = [_coefficient(part) for part in (*terms, under)]
    whole = all(number.denominator == 1 for number in numbers)
    return whole and gcd(*(number.numerator for number in numbers)) > 1


def _undone_here(node: Node) -> Iterator[str]:
    if node.kind not in ARITHMETIC:
        yield node.kind
    elif node.kind in _IS_UNDONE and _IS_UNDONE[node.kind](node):
        yield f"a {node.kind}"


def _is_undone_sum(node: Node) -> bool:
    terms = list(_terms(node))
    alike = [_without_coefficient(term) for term in terms]
    # Without variables brackets have no use but to be multiplied out: `2(3 + pi) - 6`.
    is_nested = any(
        term.kind == "product" and any(part.kind == "sum" for part in term.parts) for term in terms
    )
    # `x(x - 3) + 2(x - 3)` is half multiplied out, or half factored.
    shared = [each for term in terms for each in _brackets(term)]
    is_alike = any(len(set(found)) < len(found) for found in (alike, shared))
    return is_alike or (is_nested and not variables(node))


def _brackets(term: Node) -> frozenset[Node]:
    """The sums that are factors of a term."""
    inner = term.parts[0] if term.kind == "negative" else term
    factors = _factors(inner) if inner.kind == "product" else ()
    return frozenset(part for part in factors if part.kind == "sum")


def _terms(node: Node) -> Iterator[Node]:
    """The terms of a sum, those of sums in brackets included."""
    for part in node.parts:
        inner = part.parts[0] if part.kind == "negative" else part
        if inner.kind == "sum":
            yield from _terms(inner)
        else:
            yield part


def _is_undone_product(node: Node) -> bool:
    factors = list(_factors(node))
    numbers = [value for part in factors if (value := rational(part)) is not None]
    others = [part for part in factors if rational(part) is None]
    divisors = [_coefficient(part.parts[1]) for part in others if part.kind == "quotient"]
    repeated = [part for part in others if part.kind == "sum"] + _bases(node)
    return (
        len(numbers) > 1
        or 0 in numbers
        or sum(part.kind in ("sum", "root") and not variables(part) for part in others) > 1
        or len(set(repeated)) < len(repeated)
        or any(_share_a_divisor(number, each) for number in numbers for each in divisors)
    )


def _factors(node: Node) -> Iterator[Node]:
    """The factors of a product, of products in brackets, and of what stands above a line."""
    for part in node.parts:
        inner = part.parts[0] if part.kind == "negative" else part
        if inner.kind == "product":
            yield from _factors(inner)
            continue
        yield part
        if inner.kind == "quotient" and rational(inner) is None:
            above = _coefficient(inner.parts[0])
            yield from [Node("number", value=above)] if above != 1 else []


def _share_a_divisor(number: Fraction, divisor: Fraction) -> bool:
    return divisor != 0 and (number / divisor).denominator < divisor


def _is_undone_quotient(node: Node) -> bool:
    over, under = node.parts
    top, bottom = _coefficient(over), _coefficient(under)
    if bottom.denominator != 1 or top.denominator != 1 or bottom == 0:
        return True
    if rational(under) == 1:
        return True
    if _has_i(under) or any(_holds_quotient(part) for part in (over, under)):
        return True
    tops = [_coefficient(term) for term in _terms(over)] if over.kind == "sum" else [top]
    if bottom != 1 and all((each / bottom).denominator == 1 for each in tops):
        return True
    return any(set(found(over)) & set(found(under)) for found in (_bases, _sums))


def _holds_quotient(node: Node) -> bool:
    """Whether it is a sum with a fraction, which above or below another line is left undone."""
    return node.kind == "sum" and any(
        (part.parts[0] if part.kind == "negative" else part).kind == "quotient"
        for part in node.parts
    )


def _is_undone_power(node: Node) -> bool:
    base, exponent = node.parts
    power = rational(exponent)
    if power in (0, 1) or base.kind == "power" or _has_i(exponent):
        return True
    is_symbol = bool(variables(base)) or (base.kind == "constant" and base.name != "i")
    if power is None or is_symbol:
        return False
    return power.denominator == 1 or _is_power(rational(base), power.denominator)


def _has_i(tree: Node) -> bool:
    return any(node.kind == "constant" and node.name == "i" for node in nodes(tree))


def _is_undone_root(node: Node) -> bool:
    index = rational(node.parts[1])
    return index is None or _is_power(rational(node.parts[0]), int(index))


_IS_UNDONE: Mapping[str, Callable[[Node], bool]] = {
    "negative": lambda node: node.parts[0].kind == "negative",
    "sum": _is_undone_sum,
    "product": _is_undone_product,
    "quotient": _is_undone_quotient,
    "power": _is_undone_power,
    "root": _is_undone_root,
}


def rational(node: Node) -> Fraction | None:
    """The value of a number, a fraction of two numbers, or the negative of one."""
    if node.kind == "number":
        return node.value
    values = [rational(part) for part in node.parts]
    if node.kind == "negative" and values[0] is not None:
        return -values[0]
    if node.kind == "quotient" and values[0] is not None and values[1]:
        return values[0] / values[1]
    return None


def _coefficient(node: Node) -> Fraction:
    """The rational factor of a term."""
    if (value := rational(node)) is not None:
        return value
    if node.kind == "negative":
        return -_coefficient(node.parts[0])
    if node.kind == "product":
        product = Fraction(1)
        for part in node.parts:
            product *= _coefficient(part)
        return product
    if node.kind == "quotient":
        return _coefficient(node.parts[0]) / (_coefficient(node.parts[1]) or 1)
    return Fraction(1)


def _bases(node: Node) -> list[Node]:
    """Variables and constants that are factors of a term, or whose powers are."""
    if node.kind in ("variable", "constant"):
        return [node]
    if node.kind == "power":
        return _bases(node.parts[0]) if node.parts[0].kind in ("variable", "constant") else []
    if node.kind in ("product", "negative"):
        return [base for part in node.parts for base in _bases(part)]
    return []


def _sums(node: Node) -> list[Node]:
    """Sums with variables that are factors of a term, or whose powers are."""
    if node.kind == "sum":
        return [node] if variables(node) else []
    parts = node.parts[:1] if node.kind == "power" else node.parts
    is_product = node.kind in ("power", "product", "negative")
    return [found for part in parts for found in _sums(part)] if is_product else []


def _without_coefficient(node: Node) -> tuple[str, ...]:
    """What makes two terms of a sum alike: the term without its rational factor."""
    if rational(node) is not None:
        return ()
    if node.kind == "negative":
        return _without_coefficient(node.parts[0])
    if node.kind == "product":
        return tuple(sorted(each for part in node.parts for each in _without_coefficient(part)))
    if node.kind == "quotient":
        bottom = _without_coefficient(node.parts[1])
        top = _without_coefficient(node.parts[0])
        return (*top, *(f"/{each}" for each in bottom))
    if root := _root_of_number(node):
        radicand, index = root
        return (f"root {index} of {_without_powers(radicand, index)}",)
    return (repr(node),)


def _root_of_number(node: Node) -> tuple[int, int] | None:
    """The radicand and index of a number's root: `8^{1/2}` too, and one half's is that of two."""
    if node.kind not in ("root", "power"):
        return None
    base, power = (rational(part) for part in node.parts)
    index = power if node.kind == "root" or not power else 1 / power
    if base is None or index is None or index not in range(2, _LARGEST_INDEX + 1):
        return None
    return base.numerator * base.denominator ** (int(index) - 1), int(index)


def _without_powers(whole: int, index: int) -> int:
    """A radicand without the factors that can be drawn: 3 of the square root of 48."""
    for base in range(2, _MOST_DIVISORS):
        while whole and whole % base**index == 0:
            whole //= base**index
    return whole


def _is_power(value: Fraction | None, index: int) -> bool:
    """Whether a rational number has a rational root of that index."""
    if value is None or index < 2:
        return value is not None
    return all(_has_root(abs(whole), index) for whole in (value.numerator, value.denominator))


def _has_root(whole: int, index: int) -> bool:
    if index == 2:
        return isqrt(whole) ** 2 == whole
    guess = round(whole ** (1 / index)) if whole < 2**900 else 0
    return any(near**index == whole for near in (guess - 1, guess, guess + 1) if near >= 0)
