"""One form for expressions that differ in their dress alone: order, brackets, `1·x`, `+0`."""

from fractions import Fraction
from typing import cast

from training.answers.tree import Node, rational

Form = tuple[object, ...]


def canonical(tree: Node) -> Form:
    """Equal for two trees exactly if no arithmetic but that of 0 and 1 leads from one to the other.

    Terms and factors are put in order, nested sums and products opened, signs gathered, zeros
    among terms and ones among factors and below fractions dropped. Nothing is multiplied out.
    """
    sign, form = _signed(tree)
    return ("negative", form) if sign < 0 else form


def shape(tree: Node) -> Form:
    """What an expression is built of, whatever its numbers are: signs and coefficients are dropped.

    `2x + 1` and `x/3 - 5` have one shape, `2(x - 1) + 3` has another one. Exponents count.
    """
    return _without_numbers(canonical(tree))


def _without_numbers(form: Form) -> Form:
    kind, *parts = cast("tuple[str, *tuple[Form, ...]]", form)
    if kind == "number":
        return _ANY_NUMBER
    if kind in ("constant", "variable"):
        return form
    if kind == "negative":
        return _without_numbers(parts[0])
    if kind == "sum":
        terms = (_without_numbers(cast("Form", term)) for _, term in parts)
        return (kind, *sorted(terms, key=repr))
    built = [_without_numbers(part) for part in parts]
    if kind in ("power", "root"):
        return built[0] if built[0] == _ANY_NUMBER else (kind, built[0], parts[1])
    if kind == "quotient":
        is_dropped = built[1] == _ANY_NUMBER and built[0][0] != "sum"
        return built[0] if is_dropped else (kind, *built)
    if kind == "product":
        factors = sorted((each for each in built if each != _ANY_NUMBER), key=repr)
        return (kind, *factors) if len(factors) > 1 else (*factors, _ANY_NUMBER)[0]
    return (kind, *built)


_ANY_NUMBER: Form = ("number",)


def _signed(tree: Node) -> tuple[int, Form]:
    if tree.kind == "number":
        return (-1 if tree.value < 0 else 1), ("number", abs(tree.value))
    if tree.kind in ("constant", "variable"):
        return 1, (tree.kind, tree.name)
    if tree.kind == "negative":
        sign, form = _signed(tree.parts[0])
        return -sign, form
    if tree.kind == "sum":
        return _sum(tree)
    if tree.kind == "product":
        return _product(tree)
    if tree.kind == "quotient":
        (top_sign, top), (bottom_sign, bottom) = (_signed(part) for part in tree.parts)
        form = top if bottom == _ONE else ("quotient", top, bottom)
        return top_sign * bottom_sign, form
    parts = tuple(canonical(part) for part in tree.parts)
    if tree.kind == "power" and parts[1] == _ONE:
        return _signed(tree.parts[0])
    if tree.kind == "power" and (power := rational(tree.parts[1])) and power.numerator == 1:
        return 1, ("root", parts[0], ("number", Fraction(power.denominator)))  # `8^{0.5}`
    return 1, (tree.kind, *parts)


_ONE: Form = ("number", Fraction(1))
_ZERO: Form = ("number", Fraction(0))


def _sum(tree: Node) -> tuple[int, Form]:
    terms: list[tuple[int, Form]] = []
    for part in tree.parts:
        sign, form = _signed(part)
        terms += [(sign * each, term) for each, term in _opened_sum(form) if term != _ZERO]
    if len(terms) < 2:
        return terms[0] if terms else (1, _ZERO)
    terms.sort(key=_form_and_sign)
    first = terms[0][0]  # `3 - x` is the negative of `x - 3`
    return first, ("sum", *((first * sign, form) for sign, form in terms))


def _form_and_sign(term: tuple[int, Form]) -> tuple[str, int]:
    sign, form = term
    return repr(form), sign


def _opened_sum(form: Form) -> tuple[tuple[int, Form], ...]:
    return cast("tuple[tuple[int, Form], ...]", form[1:]) if form[0] == "sum" else ((1, form),)


def _product(tree: Node) -> tuple[int, Form]:
    product, factors = 1, list[Form]()
    for part in tree.parts:
        sign, form = _signed(part)
        product *= sign
        inner = cast("tuple[Form, ...]", form[1:]) if form[0] == "product" else (form,)
        factors += [factor for factor in inner if factor != _ONE]
    if len(factors) < 2:
        return product, (factors[0] if factors else _ONE)
    return product, ("product", *sorted(factors, key=repr))
