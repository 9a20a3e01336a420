"""Reading numbers, with their units."""

import re
from dataclasses import dataclass, replace
from fractions import Fraction

from training.answers.units import Unit, parse_unit, split_scale

_MAX_EXPONENT = 60


@dataclass(frozen=True)
class Number:
    """A rational number, perhaps with a unit.

    Attributes:
        value: Exactly as written.
        decimals: Digits after the point; None for whole numbers, fractions and repeating decimals.
        unit: None if none is written.
        form: How it is written; a `fraction` is in lowest terms, or else `reducible`.
    """

    value: Fraction
    decimals: int | None = None
    unit: Unit | None = None
    form: str = "plain"  # fraction, reducible, scientific, repeating, compound

    @property
    def is_fraction(self) -> bool:
        """Whether it is written as a fraction or a mixed number."""
        return self.form in ("fraction", "reducible")


_DIGITS = r"(?:\d{1,3}(?:,\d{3}){1,19}|\d{1,60})(?:\.\d{0,60})?|\.\d{1,60}"
_DECIMAL = re.compile(rf"(?P<sign>[+-]?)\s*(?P<digits>{_DIGITS})(?P<rest>.*)", re.DOTALL)
_POWER_OF_TEN = re.compile(
    r"\s*\*\s*10\s*\^\s*(?:\{\s*([+-]?\d{1,3})\s*\}|([+-]?\d{1,3}))|[eE]([+-]?\d{1,3})"
)
_SLASH = re.compile(rf"\s*/\s*(?P<digits>{_DIGITS})(?![\d/])")
_FRACTION = re.compile(
    r"(?P<sign>[+-]?)\s*(?P<whole>\d{1,9}(?=\s*\\)|(?=\\|\d+/)|\d{1,9} (?=\d+/))\s*"
    r"(?:\\frac\s*(?:\{\s*(?P<top>[+-]?\d{1,40})\s*\}|(?P<t>\d))\s*"
    r"(?:\{\s*(?P<bottom>[+-]?\d{1,40})\s*\}|(?P<b>\d))"
    r"|(?P<over>\d{1,40})/(?P<under>\d{1,40})(?![\d/]))(?P<rest>.*)",
    re.DOTALL,
)
_REPEATING = re.compile(
    r"(?P<sign>[+-]?)\s*(?P<whole>\d{0,40})\.(?P<once>\d{0,40})"
    r"\\(?:overline|bar|dot)\s*(?:\{(?P<cycle>\d{1,40})\}|(?P<one>\d))(?P<rest>.*)",
    re.DOTALL,
)
_COMPOUND = re.compile(
    r"(?P<first>\d[\d,.]*\s*[a-zA-Z°]+)\s*(?:,|\band\b)*\s*(?P<second>\d[\d.]*\s*[a-zA-Z]+)"
)


def parse_number(text: str) -> Number | None:
    """Reads a normalised text; None if it is no number, or one followed by something else."""
    try:
        found = _leading_repeating(text) or _leading_fraction(text) or _leading_decimal(text)
    except (ValueError, ZeroDivisionError):
        return None
    if found is None:
        return None
    number, rest = found
    scale, rest = split_scale(rest)
    if scale > 1:
        number = replace(number, value=number.value * scale, decimals=_shifted(number, scale))
    if not rest:
        return number
    unit = parse_unit(rest, separated=rest.startswith(" ") or scale > 1)
    return replace(number, unit=unit) if unit else _parse_compound(text)


def _shifted(number: Number, scale: int) -> int | None:
    """Decimals of a number times a power of ten."""
    return max((number.decimals or 0) - len(str(scale)) + 1, 0) or None


def _parse_compound(text: str) -> Number | None:
    """Two parts of one measure, `1 hour 30 minutes` or `5 ft 3 in`, in the first one's unit."""
    match = _COMPOUND.fullmatch(text)
    first = parse_number(match["first"]) if match else None
    second = parse_number(match["second"]) if match else None
    if first is None or second is None or first.unit is None or second.unit is None:
        return None
    rest = second.value * second.unit.factor / first.unit.factor
    if first.unit.dimension != second.unit.dimension or not second.unit.known:
        return None
    if not first.value or first.decimals or rest >= 1:
        return None  # `0 hours 90 minutes` is no other writing of 90 minutes
    return Number(first.value + rest, unit=first.unit, form="compound")


def _leading_repeating(text: str) -> tuple[Number, str] | None:
    r"""A decimal whose last digits repeat for ever, `0.1\overline{6}`, and what follows it."""
    match = _REPEATING.fullmatch(text)
    if match is None:
        return None
    cycle = match["cycle"] or match["one"]
    once = Fraction(f"{match['whole'] or 0}.{match['once'] or 0}")
    tail = Fraction(int(cycle), (10 ** len(cycle) - 1) * 10 ** len(match["once"]))
    return Number(_signed(once + tail, match), form="repeating"), match["rest"]


def _leading_fraction(text: str) -> tuple[Number, str] | None:
    r"""A fraction or mixed number, `3/4`, `\frac{3}{4}`, `1 3/4`, and what follows it."""
    match = _FRACTION.fullmatch(text)
    if match is None:
        return None
    top = Fraction(match["top"] or match["t"] or match["over"])
    bottom = Fraction(match["bottom"] or match["b"] or match["under"])
    if match["whole"] and not 0 < top < bottom:
        return None  # `2 5/3` is no mixed number, and `2\frac{-1}{3}` none, either
    value = int(match["whole"] or 0) + top / bottom
    return Number(_signed(value, match), form=_form(top, bottom)), match["rest"]


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
        return Number(_signed(value, match), decimals, form="scientific"), rest[power.end() :]
    if over := _SLASH.match(rest):
        bottom = Fraction(over["digits"].replace(",", ""))
        number = Number(_signed(value / bottom, match), form=_form(value, bottom))
        return number, rest[over.end() :]
    return Number(_signed(value, match), decimals), rest


def _form(top: Fraction, bottom: Fraction) -> str:
    ratio = top / bottom
    return "fraction" if abs(ratio.denominator) == abs(bottom) != 1 else "reducible"


def _signed(value: Fraction, match: re.Match[str]) -> Fraction:
    return -value if match["sign"] == "-" else value
