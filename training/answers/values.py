"""Reading the common kinds of answers: numbers, choices, words, sets, intervals, matrices."""

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from training.answers.normal import without_variable
from training.answers.units import Unit, parse_unit

_MAX_ITEMS = 100
_MAX_EXPONENT = 60
_MAX_NESTING = 6
_OPENING, _CLOSING = "([{⟨", ")]}⟩"


@dataclass(frozen=True)
class Number:
    """A rational number, perhaps with a unit.

    Attributes:
        value: Exactly as written.
        decimals: Digits after the point; None for whole numbers and fractions.
        unit: None if none is written.
        is_fraction: Whether it is written as one.
    """

    value: Fraction
    decimals: int | None = None
    unit: Unit | None = None
    is_fraction: bool = False


@dataclass(frozen=True)
class Words:
    """The letter of a choice, a sign of comparison, a time of day or a few words, lower case."""

    text: str


@dataclass(frozen=True)
class Items:
    """Several values.

    Attributes:
        kind: `set` (braces or no bracket: the order is free), `matrix` (of rows), `row`, or the
            two brackets of a tuple or interval.
        items: The values.
    """

    kind: str
    items: "tuple[Value, ...]"


Value = Number | Words | Items


def parse(text: str) -> Value | None:
    """Reads a normalised answer; None if it is none of the kinds known here."""
    return _parse(text) if nesting(text) <= _MAX_NESTING else None


def is_enumeration(text: str) -> bool:
    """Whether a normalised answer names several values, such as `3 or 4` or `1, 2`."""
    return not isinstance(parse(text), Number) and len(_split(text) or []) > 1


def may_be_several(text: str) -> bool:
    """Whether a normalised reference may stand for several values."""
    is_number = isinstance(parse(text), Number)
    return not is_number and bool(_SEPARATOR.search(text) or "\\pm" in text or "±" in text)


@lru_cache(maxsize=4096)
def _parse(text: str) -> Value | None:
    return (
        _parse_number(text)
        or _parse_words(text)
        or _parse_matrix(text)
        or _parse_bracketed(text)
        or _parse_enumeration(text)
    )


_DIGITS = r"(?:\d{1,3}(?:,\d{3}){1,19}|\d{1,60})(?:\.\d{0,60})?|\.\d{1,60}"
_DECIMAL = re.compile(rf"(?P<sign>[+-]?)\s*(?P<digits>{_DIGITS})(?P<rest>.*)", re.DOTALL)
_POWER_OF_TEN = re.compile(
    r"\s*\*\s*10\s*\^\s*(?:\{\s*([+-]?\d{1,3})\s*\}|([+-]?\d{1,3}))|[eE]([+-]?\d{1,3})"
)
_SLASH = re.compile(rf"\s*/\s*(?P<digits>{_DIGITS})")
_FRACTION = re.compile(
    r"(?P<sign>[+-]?)\s*(?P<whole>\d{1,9}(?=\s*\\)|(?=\\|\d+/)|\d{1,9} (?=\d+/))\s*"
    r"(?:\\frac\s*(?:\{\s*(?P<top>[+-]?[\d.]{1,40})\s*\}|(?P<t>\d))\s*"
    r"(?:\{\s*(?P<bottom>[+-]?[\d.]{1,40})\s*\}|(?P<b>\d))"
    r"|(?P<over>\d{1,40})/(?P<under>\d{1,40}))(?P<rest>.*)",
    re.DOTALL,
)


def _parse_number(text: str) -> Number | None:
    try:
        number, rest = _leading_fraction(text) or _leading_decimal(text) or (None, "")
    except (ValueError, ZeroDivisionError):
        return None
    if number is None or not rest:
        return number
    unit = parse_unit(rest, separated=rest.startswith(" "))
    return Number(number.value, number.decimals, unit, number.is_fraction) if unit else None


def _leading_fraction(text: str) -> tuple[Number, str] | None:
    r"""A fraction or mixed number, `3/4`, `\frac{3}{4}`, `1 3/4`, and what follows it."""
    match = _FRACTION.fullmatch(text)
    if match is None:
        return None
    top = Fraction(match["top"] or match["t"] or match["over"])
    value = int(match["whole"] or 0) + top / Fraction(
        match["bottom"] or match["b"] or match["under"]
    )
    return Number(_signed(value, match), is_fraction=True), match["rest"]


def _leading_decimal(text: str) -> tuple[Number, str] | None:
    """A whole or decimal number, perhaps times a power of ten, and what follows it."""
    match = _DECIMAL.fullmatch(text)
    if match is None:
        return None
    digits, rest = match["digits"].replace(",", ""), match["rest"]
    value = Fraction(digits)
    decimals = len(digits.partition(".")[2]) or None
    if power := _POWER_OF_TEN.match(rest):
        exponent = int(power[1] or power[2] or power[3])
        if abs(exponent) > _MAX_EXPONENT:
            return None
        value *= Fraction(10) ** exponent
        decimals = max((decimals or 0) - exponent, 0) or None
        rest = rest[power.end() :]
    elif over := _SLASH.match(rest):
        value /= Fraction(over["digits"].replace(",", ""))
        return Number(_signed(value, match), is_fraction=True), rest[over.end() :]
    return Number(_signed(value, match), decimals), rest


def _signed(value: Fraction, match: re.Match[str]) -> Fraction:
    return -value if match["sign"] == "-" else value


_CHOICE = re.compile(r"\(?([A-Za-z])\)?[.:)]?")
_WORDS = re.compile(r"[^\W\d_]{2,40}(?:[ '-][^\W\d_]{1,40}){0,8}")
_TIME = re.compile(r"\d{1,2}:\d{2}")
_SIGNS = {"<": "<", ">": ">", "=": "=", "≤": "≤", "≥": "≥", "\\lt": "<", "\\gt": ">"}
_SIGNS |= {"\\leq": "≤", "\\le": "≤", "\\geq": "≥", "\\ge": "≥", "<=": "≤", ">=": "≥"}
_INFINITIES = {"\\infty": "∞", "+\\infty": "∞", "-\\infty": "-∞", "∞": "∞", "-∞": "-∞"}
# Enumerations, and names that mean something to a computer algebra system.
_NO_WORDS = re.compile(r"\b(?:or|and|pi|sin|cos|tan|log|ln|exp|sqrt|inf|infty)\b", re.IGNORECASE)


def _parse_words(text: str) -> Words | None:
    if text in _SIGNS or text in _INFINITIES:
        return Words(_SIGNS.get(text) or _INFINITIES[text])
    if match := _CHOICE.fullmatch(text):
        return Words(match[1].lower())
    if _TIME.fullmatch(text):
        return Words(text.zfill(5))
    if _WORDS.fullmatch(text) and len(text) > 2 and not _NO_WORDS.search(text):
        return Words(text.lower())
    return None


_MATRIX = re.compile(
    r"\\begin\{([pbvB]?matrix|array)\}(?:\s*\{[clr|]*\})?(.*)\\end\{\1\}", re.DOTALL
)


def _parse_matrix(text: str) -> Items | None:
    match = _MATRIX.fullmatch(text)
    if match is None:
        return None
    return _matrix([row.split("&") for row in match[2].split("\\\\") if row.strip()])


def _matrix(cells: list[list[str]]) -> Items | None:
    rows = [_parse_all(row) for row in cells[:_MAX_ITEMS]]
    kept = [Items("row", row) for row in rows if row is not None]
    return Items("matrix", tuple(kept)) if 0 < len(kept) == len(cells) else None


def _parse_bracketed(text: str) -> Value | None:
    """A set, a tuple, an interval, or a list of lists (a matrix)."""
    if len(text) < 2 or text[0] not in _OPENING or text[-1] not in _CLOSING:
        return None
    parts = _split(text[1:-1])
    if parts is None:
        return None
    if text[0] == "[" and all(part.startswith("[") and part.endswith("]") for part in parts):
        return _matrix([_split(part[1:-1]) or [] for part in parts])
    values = _parse_all(parts)
    if values is None:
        return None
    if len(values) == 1 and text[0] != "[":
        return values[0]
    if text[0] in "{⟨":
        return Items("set", values)
    # Brackets tell open from closed intervals; around more or fewer than two values they are style.
    return Items(text[0] + text[-1] if len(values) == 2 else "()", values)


def _parse_enumeration(text: str) -> Items | None:
    """Values with commas, `or` or `and` between them."""
    parts = without_variable(_split(text) or [])
    values = _parse_all(parts) if parts and len(parts) > 1 else None
    return Items("set", values) if values is not None else None


def _parse_all(parts: list[str]) -> "tuple[Value, ...] | None":
    """Parses every part; None if one can't be, or if there are too many or none."""
    if not 1 <= len(parts) <= _MAX_ITEMS:
        return None
    values = [_parse(part.strip()) for part in parts]
    known = tuple(value for value in values if value is not None)
    return known if len(known) == len(parts) else None


_SEPARATOR = re.compile(r",\s*(?:(?:and|or)\s+)?|;\s*|\s+(?:and|or)\s+")


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
