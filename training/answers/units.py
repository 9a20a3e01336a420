"""Units of measurement that an answer may carry."""

import re
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Unit:
    """A unit as a multiple of its dimension's base unit.

    Attributes:
        dimension: What is measured; an unknown unit is a dimension of its own.
        factor: How many base units it is.
    """

    dimension: str
    factor: Fraction


_NAMES = {
    "length": {
        "mm millimeter millimetre": "1/1000",
        "cm centimeter centimetre": "1/100",
        "dm decimeter decimetre": "1/10",
        "m meter metre": "1",
        "km kilometer kilometre": "1000",
        "in inch inches": "0.0254",
        "ft foot feet": "0.3048",
        "yd yard": "0.9144",
        "mi mile": "1609.344",
    },
    "mass": {
        "mg milligram": "1/1000",
        "g gram": "1",
        "kg kilogram": "1000",
        "t ton tonne": "1000000",
        "lb lbs pound": "453.59237",
        "oz ounce": "28.349523125",
    },
    "time": {
        "ms millisecond": "1/1000",
        "s sec second": "1",
        "min minute": "60",
        "h hr hour": "3600",
        "day": "86400",
        "week": "604800",
    },
    "volume": {"ml milliliter millilitre": "1/1000", "cl": "1/100", "l liter litre": "1"},
    "angle": {"degree deg °": "1"},
    "share": {"% percent": "1"},
    "dollar": {"dollar usd": "1", "cent": "1/100"},
}
_UNITS = {
    name: Unit(dimension, Fraction(factor))
    for dimension, units in _NAMES.items()
    for names, factor in units.items()
    for name in names.split()
}
_POWER = re.compile(r"\s*(?:\^\s*\{?([23])\}?|([²³]))$")
_POWERS = {"2": 2, "3": 3, "²": 2, "³": 3}
_PREFIXES = {"square ": 2, "sq ": 2, "cubic ": 3}
_UNKNOWN = re.compile(r"[a-z]{2,20}(?: [a-z]{2,20}){0,2}")
_NO_UNIT = re.compile(r"\b(?:or|and|not|if|dozen|hundred|thousand|million|billion|trillion)\b")


def parse_unit(text: str, *, separated: bool) -> Unit | None:
    """Reads what follows a number.

    Args:
        text: Such as `cm`, `square metres`, `m^2`, `km/h`, or words like `red apples`.
        separated: Whether a space lies between: only then may it be words that are no unit
            (`5x` is no number, `5 boxes` is).
    """
    name = text.strip().lower().rstrip(".")
    power = 1
    if match := _POWER.search(name):
        power, name = _POWERS[match[1] or match[2]], name[: match.start()]
    for prefix, value in _PREFIXES.items():
        if name.startswith(prefix):
            power, name = value, name.removeprefix(prefix)
    top, slash, bottom = (part.strip() for part in name.replace(" per ", "/").partition("/"))
    unit = _known(top)
    if slash:
        below = _known(bottom)
        if unit is None or below is None:
            return None
        dimension = f"{unit.dimension}/{below.dimension}^{power}"
        return Unit(dimension, unit.factor / below.factor**power)
    if unit is not None:
        return unit if power == 1 else Unit(f"{unit.dimension}^{power}", unit.factor**power)
    if separated and power == 1 and _UNKNOWN.fullmatch(name) and not _NO_UNIT.search(name):
        return Unit(_singular(name), Fraction(1))
    return None


def _known(name: str) -> Unit | None:
    return _UNITS.get(name) or _UNITS.get(_singular(name))


def _singular(name: str) -> str:
    return name[:-1] if len(name) > 3 and name.endswith("s") else name
