"""Reading the kinds of answers: numbers, choices, words, sets, intervals, matrices, expressions."""

import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from operator import itemgetter

from training.answers import numeric
from training.answers.expressions import read_expression
from training.answers.normal import split_name
from training.answers.numbers import Number, parse_number
from training.answers.tree import Node, variables
from training.answers.units import parse_unit
from training.answers.values import Expression, Items, Relation, Value, Words

_MAX_ITEMS = 100
_MAX_NESTING = 6
_OPENING, _CLOSING = "([{⟨", ")]}⟩"


def parse(text: str) -> Value | None:
    """Reads a normalised answer; None if it is none of the kinds known here."""
    return _parse(text) if nesting(text) <= _MAX_NESTING else _parse_expression(text)


def is_enumeration(text: str) -> bool:
    """Whether a normalised answer names several values, such as `3 or 4` or `1, 2`."""
    several = "±" in text or len(_split(text) or []) > 1
    return several and not isinstance(parse(text), Number)


def num_parts(text: str) -> int:
    """How many values a normalised text lists outside of brackets."""
    return len(_split(text) or [text])


def may_be_several(text: str) -> bool:
    """Whether a normalised reference may stand for several values."""
    is_one = isinstance(parse(text), Number | Relation)
    return not is_one and bool(
        _SEPARATOR.search(text) or re.search(r"[±∪<>≤≥≠]|𝔻R", text) or _LETTERS.fullmatch(text)
    )


@lru_cache(maxsize=4096)
def _parse(text: str) -> Value | None:
    return (
        parse_number(text)
        or _parse_real_numbers(text)
        or _parse_words(text)
        or _parse_matrix(text)
        or _parse_bracketed(text)
        or _parse_enumeration(text)
        or _parse_inequality(text)
        or _parse_relation(text)
        or _parse_expression(text)
    )


_CHOICE = re.compile(
    r"(?:(?:the )?(?:correct |right )?(?:option|choice|answer)(?: is)?:? ?)?"
    r"(?:\(?([A-Za-z])\)?[.:)]?|\[([A-Za-z])\])",
    re.IGNORECASE,
)
_WORDS = re.compile(r"[^\W\d_]{2,40}(?:[ '-][^\W\d_]{1,40}){0,8}")
_LETTERS = re.compile(r"[A-J]{2,10}")  # the choices `ACD`
_CAPITALS = re.compile(r"[A-Z]{2}")  # a segment, a Roman number: no product
_TIME = re.compile(r"\d{1,2}:\d{2}")
_PREPOSITION = re.compile(r"^(?:on|in|at|the) (?=\w{3})")  # `on Friday`
_SIGNS = ("<", ">", "=", "≤", "≥", "∞", "∅", "𝔻R", "𝔻Z", "𝔻N", "𝔻Q", "𝔻C")
_SAME_SIGNS = {
    **{"-∞": "-∞", "+∞": "∞", "infinitely many": "∞"},
    **{"no solution": "∅", "no solutions": "∅", "no real solutions": "∅", "⟨⟩": "∅"},
}
# Enumerations, and names that mean something in an expression.
_NO_WORDS = re.compile(r"\b(?:or|and|pi|sin|cos|tan|log|ln|exp|sqrt|inf|infty)\b", re.IGNORECASE)


def _parse_words(text: str) -> Words | None:
    if text in _SIGNS or text.lower() in _SAME_SIGNS:
        return Words(_SAME_SIGNS.get(text.lower(), text))
    if match := _CHOICE.fullmatch(text):
        letter = match[1] or match[2]
        return Words(letter.lower() if letter.upper() in "ABCDEFGHIJ" else letter)
    if _TIME.fullmatch(text):
        return Words(text.zfill(5))
    is_word = len(text) > 2 or text.lower() == "no" or _CAPITALS.fullmatch(text)
    if _WORDS.fullmatch(text) and is_word and not _NO_WORDS.search(text):
        return Words(_PREPOSITION.sub("", text.lower()))
    return None


_REALS = re.compile(
    r"𝔻R|(?:the )?(?:set of )?all (?:reals?|real (?:numbers|values|x))", re.IGNORECASE
)
_ALL_BUT = re.compile(
    r"(?:[A-Za-z] ?∈ ?𝔻R, ?)?(?P<name>[A-Za-z]) ?≠ ?(?P<one>[^≠]+"
    r"(?:(?:,| and) (?P=name) ?≠[^≠]+)*)"
    r"|[Aa]ll real (?:numbers|values)(?: of [a-z])? (?:except|but)(?: for)? "
    r"(?:[a-z] ?= ?)?(?P<but>.+)"
    r"|𝔻R ?(?:\\(?:setminus|backslash)|\\|-) ?⟨(?P<some>.+)⟩"
)
_UNEQUAL = re.compile(r"[A-Za-z] ?≠ ?")
_NO_END, _LAST_END = Words("-∞"), Words("∞")


def _parse_real_numbers(text: str) -> Items | None:
    """All real numbers as the interval from -∞ to ∞; `x ≠ 3` as two, `ℝ - {1, 2}` as three."""
    if _REALS.fullmatch(text):
        return Items("()", (_NO_END, _LAST_END))
    match = _ALL_BUT.fullmatch(text)
    parts = (_split(match["one"] or match["but"] or match["some"]) if match else None) or []
    ends: list[tuple[Fraction, Value]] = []
    parts = _with_both_signs([_UNEQUAL.sub("", part) for part in parts])
    for part in parts:
        value = _parse(part)
        if value is not None and (number := _real(value)) is not None:
            ends.append((number, value))
    if match is None or len(ends) != len(parts):
        return None
    ordered = (value for _, value in sorted(ends, key=itemgetter(0)))
    values = [_NO_END, *ordered, _LAST_END]
    return Items(
        "set",
        tuple(Items("()", pair) for pair in pairwise(values)),
        name=match["name"] or "",
    )


def _real(value: Value) -> Fraction | None:
    """The place of a value without a unit on the number line."""
    if isinstance(value, Number):
        return value.value if value.unit is None else None
    return numeric.value(value.tree) if isinstance(value, Expression) else None


def choices(text: str) -> Items | None:
    """The choices that a run of capitals such as `ACD` names; None if it is no such run."""
    if not _LETTERS.fullmatch(text) or len(set(text)) < len(text):
        return None
    return Items("set", tuple(Words(letter.lower()) for letter in text))


_MATRIX = re.compile(
    r"\\begin\{([pbB]?matrix|array)\}(?:\s*\{[clr|]*\})?(.*)\\end\{\1\}", re.DOTALL
)


_FACTOR = re.compile(r"(.{1,40}?) ?\*? ?(?=\\begin\{)")


def _parse_matrix(text: str) -> Items | None:
    """A matrix; a fraction in front of it is multiplied in, a whole number is work left undone."""
    before = _FACTOR.match(text)
    factor = parse_number(before[1]) if before else None
    match = _MATRIX.fullmatch(text[before.end() :] if before and factor else text)
    if match is None:
        return None
    matrix = _matrix([row.split("&") for row in match[2].split("\\\\") if row.strip()])
    return matrix if factor is None or matrix is None else _scaled(matrix, factor)


def _scaled(matrix: Items, factor: Number) -> Items | None:
    if factor.form != "fraction" or factor.unit is not None:
        return None
    rows: list[Value] = []
    for row in matrix.items:
        assert isinstance(row, Items)
        cells = [each for each in row.items if isinstance(each, Number) and each.unit is None]
        if len(cells) < len(row.items):
            return None
        products = (replace(each, value=each.value * factor.value) for each in cells)
        rows.append(replace(row, items=tuple(products)))
    return replace(matrix, items=tuple(rows))


def _matrix(cells: list[list[str]]) -> Items | None:
    rows = [_parse_all(row) for row in cells[:_MAX_ITEMS]]
    kept = [Items("row", row) for row in rows if row is not None]
    return Items("matrix", tuple(kept)) if 0 < len(kept) == len(cells) else None


_CONDITION = re.compile(r"\s*(?P<name>[a-zA-Z])\s*(?:∈\s*𝔻R\s*)?[|:](?P<says>.*)", re.DOTALL)


def _parse_bracketed(text: str) -> Value | None:
    """A set, a tuple, an interval, or a list of lists (a matrix)."""
    if len(text) < 2 or text[0] not in _OPENING or text[-1] not in _CLOSING:
        return None
    parts = _split(text[1:-1])
    if parts is None:
        return None
    if text[0] == "⟨" and (condition := _CONDITION.fullmatch(text[1:-1])):
        value = _parse(condition["says"].strip())
        is_bound = isinstance(value, Items) and value.name == condition["name"]
        return value if is_bound else None
    if text[0] == "[" and all(part.startswith("[") and part.endswith("]") for part in parts):
        return _matrix([_split(part[1:-1]) or [] for part in parts])
    values = _parse_all(_with_both_signs(parts) if text[0] in "{⟨" else parts)
    if values is None:
        return None
    is_matrix = isinstance(values[0], Items) and values[0].kind == "matrix"
    if (
        len(values) == 1
        and (text[0] != "[" or is_matrix)
        and not (text[0] == "⟨" and _is_set(values[0]))
    ):
        return values[0]
    if text[0] in "{⟨":
        return Items("set", values)
    # Brackets tell open from closed intervals; around more or fewer than two values they are style.
    return Items(text[0] + text[-1] if len(values) == 2 else "()", values)


def _is_set(value: Value) -> bool:
    return value == Words("∅") or (isinstance(value, Items) and value.kind == "set")


def _parse_enumeration(text: str) -> Items | None:
    """Values with commas, `or`, `and` or a union's sign between them, or one with `±`."""
    parts = [split_name(part) for part in _with_both_signs(_split(text) or [])]
    if len(parts) < 2:
        return None
    names = {name for name, _ in parts if name is not None}
    values = _parse_all([rest for _, rest in parts])
    if values is None:
        return None
    if len(names) > 1:
        named = zip((name for name, _ in parts), values, strict=True)
        all_named = len(names) == len(parts) and "" not in names
        return Items("set", tuple(Items(f"{n} =", (v,)) for n, v in named)) if all_named else None
    if "∪" in _outside_brackets(text) and all(isinstance(value, Words) for value in values):
        return Items("union", values)  # of sets with letters: no list of these
    intervals = {value.name for value in values if isinstance(value, Items) and value.name}
    # `x > 1 and x < 3` is where both hold: not the union that `or` makes.
    if intervals and (len(intervals) > 1 or re.search(r"\band\b|,", _outside_brackets(text))):
        return _where_both_hold(values) if len(intervals) == 1 else None
    return Items("set", values, name=min(intervals | names, default=""))


def _with_both_signs(parts: Sequence[str]) -> list[str]:
    """`0` and `± 1` as 0, 1 and -1."""
    signs = (("+", "-") if part.count("±") == 1 else ("",) for part in parts)
    return [
        part.replace("±", sign).removeprefix("+").strip()
        for part, both in zip(parts, signs, strict=True)
        for sign in both
    ]


def _where_both_hold(values: tuple[Value, ...]) -> Items | None:
    """`x > 1` and `x < 3` as the interval between."""
    halves = [value for value in values if isinstance(value, Items) and len(value.items) == 2]
    lower = [half for half in halves if half.items[1] == _LAST_END and half.items[0] != _NO_END]
    upper = [half for half in halves if half.items[0] == _NO_END and half.items[1] != _LAST_END]
    if not (len(values) == 2 and len(lower) == len(upper) == 1):
        return None
    kind = lower[0].kind[0] + upper[0].kind[1]
    return Items(kind, (lower[0].items[0], upper[0].items[1]), name=lower[0].name)


def _parse_all(parts: list[str]) -> tuple[Value, ...] | None:
    """Parses every part; None if one can't be, or if there are too many or none."""
    if not 1 <= len(parts) <= _MAX_ITEMS:
        return None
    values = [_parse(part.strip()) for part in parts]
    known = tuple(value for value in values if value is not None)
    return known if len(known) == len(parts) else None


_BOUNDED = re.compile(r"[A-Za-z](?:\([a-z]\))?")
_COMPARISON = re.compile(r"\s*([<>≤≥])\s*")


def _parse_inequality(text: str) -> Items | None:
    """`x > 2` or `1 < x ≤ 3` as an interval; `x ∈ (1, 3]` is one by `split_name`."""
    parts = _COMPARISON.split(text)
    sides, signs = [part.strip() for part in parts[::2]], parts[1::2]
    place = next((i for i, side in enumerate(sides) if _BOUNDED.fullmatch(side)), None)
    if place is None or not (len(sides) == 2 or (len(sides) == 3 and place == 1)):
        return None
    if len(sides) == 3 and (signs[0] in "<≤") != (signs[1] in "<≤"):
        return None
    ends: list[tuple[bool, Value, str]] = []  # whether it is the lower end, the end, the sign
    for i, side in enumerate(sides):
        if i != place:
            value, sign = _parse(side), signs[min(i, place)]
            is_open_end = value in (_NO_END, _LAST_END) and sign in "<>"
            if not isinstance(value, Number | Expression | Words) or _has_variables(value):
                return None
            if isinstance(value, Words) and not is_open_end:
                return None
            ends.append(((sign in "<≤") == (i < place), value, sign))
    lower = next(((v, "([ "[s in "≤≥"]) for is_lower, v, s in ends if is_lower), None)
    upper = next(((v, ")] "[s in "≤≥"]) for is_lower, v, s in ends if not is_lower), None)
    first, opening = lower or (Words("-∞"), "(")
    last, closing = upper or (Words("∞"), ")")
    return Items(opening + closing, (first, last), name=sides[place])


def _has_variables(value: Value) -> bool:
    return isinstance(value, Expression) and bool(variables(value.tree))


def _parse_relation(text: str) -> Relation | None:
    """An equation or inequality, as the difference of its sides; a strict one stays strict."""
    parts = re.split(r"\s*([=<>≤≥])\s*", text)
    if len(parts) != 3:
        return None
    left, right = read_expression(parts[0]), read_expression(parts[2])
    if isinstance(left, str) or isinstance(right, str):
        return None
    if parts[1] in "<≤":
        left, right = right, left
    sign = {"<": ">", "≤": "≥"}.get(parts[1], parts[1])
    return Relation(sign, Node("sum", (left, Node("negative", (right,)))))


_WITH_UNIT = re.compile(
    r"(.*?[\w)}\]|π])\s+((?:square |cubic |sq )?[a-zA-Z]{1,12}\s*(?:\^.{1,3}|[²³])?"
    r"(?:(?: per |/)[a-zA-Z]{1,12})?|%|°)"
)


def _parse_expression(text: str) -> Expression | None:
    match = _WITH_UNIT.fullmatch(text.removesuffix("°").rstrip() + " °" if "°" in text else text)
    unit = parse_unit(match[2], separated=False) if match else None
    if match and unit:
        tree = read_expression(match[1])
        if isinstance(tree, Node) and not variables(tree):
            return Expression(tree, unit)
    tree = read_expression(text)
    return Expression(tree) if isinstance(tree, Node) else None


_SEPARATOR = re.compile(r",\s*(?:(?:and|or)\s+)?|;\s*|\s+(?:and|or)\s+|\s*∪\s*")


def _split(text: str) -> list[str] | None:
    """Cuts at the separators that lie in no bracket; None if the brackets don't balance."""
    parts, depth, start, position = [], 0, 0, 0
    while position < len(text):
        character = text[position]
        if character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth -= 1
            if depth < 0:
                return None
        elif depth == 0 and (match := _SEPARATOR.match(text, position)):
            parts.append(text[start:position].strip())
            start = position = match.end()
            continue
        position += 1
    return [*parts, text[start:].strip()] if depth == 0 else None


def _outside_brackets(text: str) -> str:
    kept, depth = [], 0
    for character in text:
        depth += (character in _OPENING) - (character in _CLOSING)
        if depth == 0:
            kept.append(character)
    return "".join(kept)


def nesting(text: str) -> int:
    """Deepest nesting of brackets."""
    depth = deepest = 0
    for character in text:
        if character in _OPENING:
            depth += 1
            deepest = max(deepest, depth)
        elif character in _CLOSING:
            depth -= 1
    return deepest
