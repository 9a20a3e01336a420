"""Units of measurement, and the nouns that an answer may count."""

import re
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache

from training.answers.nouns import ADJECTIVES, NOUNS, ONLY_PLURAL


@dataclass(frozen=True)
class Unit:
    """A unit as a multiple of its dimension's base unit.

    Attributes:
        dimension: What is measured; a noun is a dimension of its own.
        factor: How many base units it is.
        known: Whether it is a unit or a noun of ours, so that a reference may be without it. Other
            words say something: `5 squared` is no 5, and `5m` may be a product.
        parts: Dimension and factor of the units that it is made of: of km and h for km/h.
        rate: What is above and below the line of km/h.
        beside: Words that say more of what is counted, in the singular: of `red apples`, of `cups
            of flour`.
    """

    dimension: str
    factor: Fraction
    known: bool = True
    parts: frozenset[tuple[str, Fraction]] = frozenset()
    rate: "tuple[Unit, Unit] | None" = None
    beside: frozenset[str] = field(default=frozenset(), compare=False)


def noun_of(unit: Unit) -> str | None:
    """The noun that is counted, in the singular; None for a measure."""
    counted = unit.dimension.removeprefix(_COUNTED)
    return counted if counted != unit.dimension else None


MAX_UNIT_CHARACTERS = 100
_COUNTED = "counted "
_NAMES = {
    "length": {
        "nm nanometer nanometre": "1/1000000000",
        "µm micrometer micrometre micron": "1/1000000",
        "mm millimeter millimetre": "1/1000",
        "cm cms centimeter centimetre": "1/100",
        "dm decimeter decimetre": "1/10",
        "m meter metre": "1",
        "km kms kilometer kilometre": "1000",
        "in inch inches": "0.0254",
        "ft foot feet": "0.3048",
        "yd yds yard": "0.9144",
        "mi mile": "1609.344",
    },
    "mass": {
        "mg milligram": "1/1000",
        "g gram": "1",
        "kg kgs kilogram": "1000",
        "ton tonne": "1000000",
        "lb lbs pound": "453.59237",
        "oz ounce": "28.349523125",
    },
    "time": {
        "ms millisecond": "1/1000",
        "s sec second": "1",
        "min minute": "60",
        "h hr hrs hour": "3600",
        "day": "86400",
        "week": "604800",
    },
    "month": {"month": "1", "yr yrs year": "12"},
    "volume": {
        "ml milliliter millilitre": "1/1000",
        "cl": "1/100",
        "dl": "1/10",
        "l liter litre": "1",
        "gal gallon": "3.785411784",
    },
    "angle": {"degree deg °": "1"},
    "radian": {"rad radian": "1"},
    "share": {"% percent": "1"},
    "dollar": {"dollar usd buck $": "1", "cent ¢": "1/100"},
    "euro": {"euro eur €": "1"},
    "sterling": {"gbp £": "1"},
    "yen": {"yen jpy ¥": "1"},
    "temperature C": {"°c celsius": "1"},
    "temperature F": {"°f fahrenheit": "1"},
    "temperature K": {"k kelvin": "1"},
    "force": {"n newton": "1"},
    "energy": {"j joule": "1", "kj kilojoule": "1000"},
    "power": {"w watt": "1", "kw kilowatt": "1000"},
    "voltage": {"volt": "1"},
    "current": {"ampere amp": "1"},
    "resistance": {"ohm": "1"},
    "frequency": {"hertz": "1"},
    "pressure": {"pascal": "1"},
    "amount": {"mol mole": "1"},
    "molarity": {"molar": "1"},
    "unit": {"unit": "1"},
}
# Signs whose case counts: `mA` is no `MA`, `M` no `m`.
_CASED_NAMES = {
    "energy": {
        **{"meV": "1.602176634e-22", "eV": "1.602176634e-19", "keV": "1.602176634e-16"},
        **{"MeV": "1.602176634e-13", "GeV": "1.602176634e-10", "TeV": "1.602176634e-7"},
    },
    "voltage": {"mV": "1/1000", "V": "1", "kV": "1000"},
    "current": {"mA": "1/1000", "A": "1"},
    "resistance": {"Ω": "1", "kΩ": "1000", "MΩ": "1000000"},
    "frequency": {"Hz": "1", "kHz": "1000", "MHz": "1000000", "GHz": "1000000000"},
    "pressure": {"Pa": "1", "kPa": "1000", "MPa": "1000000"},
    "molarity": {"M": "1", "mol/L": "1"},
}
_UNITS = {
    name: Unit(dimension, Fraction(factor), parts=frozenset({(dimension, Fraction(factor))}))
    for dimension, units in _NAMES.items()
    for names, factor in units.items()
    for name in names.split()
}
_CASED = {
    name: Unit(dimension, Fraction(factor), parts=frozenset({(dimension, Fraction(factor))}))
    for dimension, units in _CASED_NAMES.items()
    for name, factor in units.items()
}
# Other spellings: `\frac{m}{s^2}`, `m s^{-2}`, `° C`, `degrees Celsius`, `\Omega`.
_SPELLINGS = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^\\frac ?\{ ?([^{}]+?) ?\} ?\{ ?([^{}]+?) ?\}$", r"\1/\2"),
        (r"^(\S+) (\S+) ?\^ ?\{ ?-1 ?\}$", r"\1/\2"),
        (r"^(\S+) (\S+) ?\^ ?\{ ?-([23]) ?\}$", r"\1/\2^\3"),
        (r"^(?:° ?|[dD]egrees? )(?=[CF]$|[cC]elsius$|[fF]ahrenheit$)", "°"),
        (r"^°(?=[cC]elsius|[fF]ahrenheit)", ""),
        (r" ?\\Omega$|Ω$", "Ω"),
        (r"^\\mu ?|μ", "µ"),
    )
)
_CAPITALS = ("k", "n", "j", "w")
_SPEED = re.compile(r"\b(?:mph|kph|kmh|kmph)\b")
_SPEEDS = {"mph": "mi/h", "kph": "km/h", "kmh": "km/h", "kmph": "km/h"}
_POWER = re.compile(r"\s*(?:\^\s*\{?([23])\}?|([²³]))$")
_POWERS = {"2": 2, "3": 3, "²": 2, "³": 3}
_PREFIXES = {"square ": 2, "sq ": 2, "sq. ": 2, "cubic ": 3}
_WORDS = re.compile(r"[a-z]{2,20}(?: [a-z]{2,20}){0,4}")
# Words that make another number of the one before, or another answer.
_NO_UNIT = re.compile(r"\b(?:or|and|not|if|pi|sqrt|sin|cos|tan|ln|log|exp|infty)\b")
_SCALES = {"thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_SCALE = re.compile(rf"\s*({'|'.join(_SCALES)})s?\b\s*(.*)", re.DOTALL | re.IGNORECASE)


def is_sign(text: str) -> bool:
    """Whether it is a unit's sign with capitals, `mA` or `V`."""
    return text in _CASED


def split_scale(text: str) -> tuple[int, str]:
    """`million people` as 1,000,000 and `people`; 1 and the text if no such word begins it."""
    match = _SCALE.fullmatch(text)
    return (10 ** _SCALES[match[1].lower()], match[2]) if match else (1, text)


@lru_cache(maxsize=4096)
def parse_unit(text: str, *, separated: bool) -> Unit | None:
    """Reads what follows a number.

    Args:
        text: Such as `cm`, `square metres`, `m^2`, `km/h`, or words like `red apples`.
        separated: Whether a space lies between: only then may it be words that are no unit
            (`5x` is no number, `5 boxes` is).
    """
    if len(text) > MAX_UNIT_CHARACTERS:
        return None
    text = _respelled(text.strip())
    if cased := _CASED.get(text):
        # Without a space a letter may be a factor; `5 M` may be five million.
        return replace(cased, known=(separated or len(text) > 1) and text != "M")
    name = _SPEED.sub(lambda match: _SPEEDS[match[0]], text.strip().lower().rstrip("."))
    power, name = _split_power(name)
    name = re.sub(r" (?:per|an?) ", "/", name)
    top, slash, bottom = (part.strip() for part in name.partition("/"))
    unit = _known(top)
    if slash:
        below = _known(bottom)
        if unit is None or below is None:
            return None
        dimension = f"{unit.dimension}/{below.dimension}^{power}"
        factor = unit.factor / below.factor**power
        return Unit(dimension, factor, parts=unit.parts | below.parts, rate=(unit, below))
    if unit is not None and len(text.strip()) == 1 and text.strip().isalpha():
        if name != "l" and text.strip().islower() == (name in _CAPITALS):
            return None
        if name == "k":  # it may be five thousand
            return replace(unit, known=False)
        return replace(unit, known=separated or text.strip().isupper())
    if unit is not None:
        if power == 1:
            return unit
        if unit.dimension not in ("length", "unit"):
            return None  # no square people or degrees
        return Unit(f"{unit.dimension}^{power}", unit.factor**power, parts=unit.parts)
    if separated and power == 1 and _WORDS.fullmatch(name) and not _NO_UNIT.search(name):
        return Unit(name, Fraction(1), known=False)
    return None


def _respelled(text: str) -> str:
    """A unit in the spelling that is listed."""
    if text.isalpha():
        return text
    for pattern, replacement in _SPELLINGS:
        text = pattern.sub(replacement, text)
    return text


def _split_power(name: str) -> tuple[int, str]:
    """The power of a unit, and the unit: of `cubic metres` and `m^3` alike."""
    power = 1
    if match := _POWER.search(name):
        power, name = _POWERS[match[1] or match[2]], name[: match.start()]
    for prefix, value in _PREFIXES.items():
        if power == 1 and name.startswith(prefix):
            return value, name.removeprefix(prefix)
    return power, name


def _known(name: str) -> Unit | None:
    """A unit, or something to count: `apples`, `red apples`, `cups of flour`."""
    if unit := _UNITS.get(name) or _UNITS.get(singular(name)):
        return unit
    counted, of, content = name.partition(" of ")
    if of and not _known(content):
        return None
    *adjectives, noun = counted.split() or [""]
    if noun in ONLY_PLURAL:
        return None
    inside = frozenset(singular(word) for word in content.split())
    if not set(adjectives) <= ADJECTIVES or singular(noun) not in NOUNS:
        measure = _UNITS.get(counted) or _UNITS.get(singular(counted))
        return replace(measure, beside=inside) if of and measure else None
    return Unit(f"{_COUNTED}{singular(noun)}", Fraction(1), beside=inside.union(adjectives))


_IRREGULAR = {
    **{"people": "person", "men": "man", "women": "woman", "children": "child", "feet": "foot"},
    **{"mice": "mouse", "geese": "goose", "teeth": "tooth", "vertices": "vertex", "dice": "die"},
    **{"loaves": "loaf", "leaves": "leaf", "shelves": "shelf", "knives": "knife"},
    **{"halves": "half", "inches": "inch", "axes": "axis", "faces": "face", "edges": "edge"},
    **{"quizzes": "quiz", "zeroes": "zero"},
}


@lru_cache(maxsize=4096)  # questions say the same words again and again
def singular(name: str) -> str:
    """One of what a plural counts."""
    if name in _IRREGULAR:
        return _IRREGULAR[name]
    if name.endswith("ies") and name[:-1] in NOUNS:
        return name[:-1]  # `cookies`, `movies`
    if name.endswith("ies") and len(name) > 4:
        return f"{name[:-3]}y"
    if re.search(r"(?:[sxz]|ch|sh|to)es$", name):
        return name[:-1] if name[:-1] in NOUNS else name[:-2]
    return name[:-1] if len(name) > 3 and name.endswith("s") and not name.endswith("ss") else name
