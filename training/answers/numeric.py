"""Comparing expressions by their values: exactly where they are rational, else to 90 digits.

Two expressions with variables are taken for equal if they agree at fixed points on both sides of
zero, at which no two different answers of sensible size agree. All work is bounded by sizes, not
by a clock: two machines decide alike.
"""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import cache
from typing import Any

from training.answers.expressions import TooLargeError
from training.answers.tree import Node, nodes, variables

Point = Mapping[str, Fraction]
Real = Any  # a Fraction, or mpmath's real or complex number, which have no types

MAX_BITS = 8192
_DIGITS, _EQUAL_DIGITS, _ZERO_DIGITS = 130, 90, 30
_NUM_POINTS, _MIN_POINTS = 10, 3
_LARGEST_FACTORIAL = 170


class _NotRationalError(ValueError):
    pass


def equal(actual: Node, expected: Node) -> bool:
    """Whether two expressions have the same value wherever the expected one is real.

    Raises:
        TooLargeError: A value is too large to be computed.
    """
    found = list(_values(actual, expected))
    enough = len(found) >= (_MIN_POINTS if variables(expected) else 1)
    return enough and all(a is not None and _is_zero(a - b, b) for a, b in found)


def proportional(actual: Node, expected: Node, *, positive: bool) -> bool:
    """Whether one expression is a constant multiple of the other, such as two equations' sides.

    Args:
        actual: Left side minus right side of the one.
        expected: The same of the other.
        positive: Whether the multiple must be positive, as for inequalities.

    Raises:
        TooLargeError: A value is too large to be computed.
    """
    ratios: list[Real] = []
    for a, b in _values(actual, expected):
        if a is None or _is_zero(a, 1) or _is_zero(b, 1):
            return False  # at points as odd as ours neither side is zero by accident
        ratios.append(a / b)
    if len(ratios) < _MIN_POINTS:
        return False
    if positive and not (_is_real(ratios[0]) and ratios[0].real > 0):
        return False
    return all(_is_zero(ratio - ratios[0], ratios[0]) for ratio in ratios)


def value(tree: Node) -> Fraction | None:
    """The real value of an expression without variables, exactly or to 50 digits; None if none.

    Raises:
        TooLargeError: It is too large to be computed.
    """
    if variables(tree):
        return None
    try:
        return _exact(tree, {})
    except ZeroDivisionError:
        return None
    except _NotRationalError:
        found = _numeric(tree, {})
    if found is None or not _is_real(found):
        return None
    return Fraction(_mp().nstr(found.real, 50))


def _values(actual: Node, expected: Node) -> Iterator[tuple[Real | None, Real]]:
    """Both values at the points at which the expected one is real, or has i in it."""
    has_i = any(node.name == "i" for node in nodes(expected))
    for point in _points(sorted(variables(actual) | variables(expected))):
        try:
            yield _exact(actual, point), _exact(expected, point)
        except ZeroDivisionError:
            continue
        except _NotRationalError:
            wanted = _numeric(expected, point)
            if wanted is not None and (has_i or _is_real(wanted)):
                yield _numeric(actual, point), wanted


def _points(names: list[str]) -> Iterator[Point]:
    """Odd fractions of both signs, another for every variable; one empty point if there is none."""
    for index in range(_NUM_POINTS if names else 1):
        sign = 1 if index % 2 else -1
        yield {
            name: Fraction(
                sign * (1009 + 347 * index * index + 613 * (place + 1) * (index + 3)), 997
            )
            for place, name in enumerate(names)
        }


@cache
def _mp() -> Any:  # noqa: ANN401 - mpmath has no types
    """Arithmetic with our digits, whatever others set mpmath to."""
    from mpmath import mp

    context = mp.clone()
    context.dps = _DIGITS
    return context


def _is_zero(difference: Real, scale: Real) -> bool:
    if isinstance(difference, Fraction):
        return difference == 0
    # Small values are compared by their digits, too; below the floor lies the noise of zero.
    size = max(abs(scale), _mp().mpf(10) ** -_ZERO_DIGITS)
    return bool(abs(difference) <= _mp().mpf(10) ** -_EQUAL_DIGITS * size)


def _is_real(number: Real) -> bool:
    return isinstance(number, Fraction) or _is_zero(number.imag + _mp().mpf(0), abs(number))


def _exact(node: Node, point: Point) -> Fraction:
    """The value by exact arithmetic.

    Raises:
        _NotRationalError: Something in it is irrational, or no arithmetic.
        ZeroDivisionError: It divides by zero.
        TooLargeError: It is too large.
    """
    if node.kind == "number":
        return node.value
    if node.kind == "variable":
        return point[node.name]
    if node.kind not in ("sum", "product", "quotient", "negative", "power"):
        raise _NotRationalError
    parts = [_exact(part, point) for part in node.parts]
    if node.kind == "power":
        base, exponent = parts
        if exponent.denominator != 1:
            raise _NotRationalError
        return _bounded(base, max(abs(int(exponent)), 1)) ** int(exponent)
    if node.kind == "negative":
        return -parts[0]
    if node.kind == "quotient":
        return _bounded(parts[0] / parts[1])
    result = parts[0]
    for part in parts[1:]:
        result = _bounded(result + part if node.kind == "sum" else result * part)
    return result


def _bounded(number: Fraction, exponent: int = 1) -> Fraction:
    """The number, if that power of it can be written down."""
    num_bits = max(number.numerator.bit_length(), number.denominator.bit_length())
    if num_bits > 1 and num_bits * exponent > MAX_BITS:
        raise TooLargeError(f"a value has more than {MAX_BITS} bits")
    return number


def _numeric(node: Node, point: Point) -> Real | None:
    """The value to our digits; None if it has none there."""
    try:
        return _evaluate(node, point)
    except (ZeroDivisionError, ValueError, OverflowError) as error:
        if isinstance(error, TooLargeError):
            raise
        return None


def _evaluate(node: Node, point: Point) -> Real:
    mp = _mp()
    if node.kind in ("number", "variable"):
        number = node.value if node.kind == "number" else point[node.name]
        return mp.mpf(number.numerator) / number.denominator
    if node.kind == "constant":
        return {"pi": mp.pi, "e": mp.e, "i": mp.j}[node.name] + 0
    parts = [_evaluate(part, point) for part in node.parts]
    if node.kind in ("sum", "product"):
        result = parts[0]
        for part in parts[1:]:
            result = result + part if node.kind == "sum" else result * part
    elif node.kind == "quotient":
        result = parts[0] / parts[1]
    elif node.kind == "negative":
        result = -parts[0]
    elif node.kind == "power":
        result = mp.power(*parts)
    elif node.kind == "root":
        result = _root(node, *parts)
    else:
        result = _apply(node.kind, parts)
    if not mp.isfinite(result):
        raise ZeroDivisionError
    if result and abs(mp.mag(result)) > MAX_BITS:
        raise TooLargeError(f"a value has more than {MAX_BITS} bits")
    return result


def _root(node: Node, radicand: Real, index: Real) -> Real:
    """The real root where there is one: the cube root of -8 is -2."""
    is_odd = node.parts[1].value % 2 == 1
    if is_odd and _is_real(radicand) and radicand.real < 0:
        return -_mp().root(-radicand.real, int(index))
    return _mp().root(radicand, int(index))


def _apply(name: str, parts: list[Real]) -> Real:
    mp = _mp()
    if name == "factorial":
        return mp.factorial(_small(parts[0]))
    if name == "binom":
        return mp.binomial(_small(parts[0]), _small(parts[1]))
    if name == "abs":
        return abs(parts[0])
    if name == "log":
        return mp.log(*(parts if len(parts) > 1 else [parts[0], 10]))
    names = {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "ln": "log"}
    return getattr(mp, names.get(name, name))(*parts)


def _small(number: Real) -> Real:
    if abs(number) > _LARGEST_FACTORIAL:
        raise TooLargeError(f"a factorial beyond {_LARGEST_FACTORIAL}!")
    return number
