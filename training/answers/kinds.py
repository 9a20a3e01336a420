"""What kind of quantity a question asks for where it names no unit: an area, money, a number."""

import re

_ASKS = (
    r"\b(?:find|what(?: is|'s| are| will be| was)?|determine|compute|calculate|give|state)\s+"
    r"(?:the |its |their |\w+'s )?(?:(?!of\b)\w+ ){0,2}?"
)
MONEY = frozenset({"dollar", "euro", "sterling", "yen"})
COUNT = frozenset({"count"})  # nothing that is measured, but a thing may be named
NUMBER = frozenset({"number"})  # nothing that is measured or counted
# What a figure may show of an unknown; another measure must be the question's.
FIGURE = frozenset({"length", "length^2", "length^3", "angle", "unit", "unit^2", "unit^3"})
_TIME = frozenset({"time", "month"})
_LENGTH = frozenset({"length", "unit"})
_MASS = frozenset({"mass", "force"})
_LENGTHS = (
    r"perimeter|circumference|distance|length|height|width|radius|diameter|hypotenuse|diagonal|altitude"
    r"|(?:missing |third |other )?(?:side|leg|edge)(?: length)?"
)
_TALL = r"tall(?:er)?|high(?:er)?|deep(?:er)?|wide(?:r)?|thick(?:er)?|shorter"
LENGTH_OR_TIME = _LENGTH | _TIME
_ANGLE = frozenset({"angle", "radian"})
# A number that is worked out from others, and has no unit whatever they measure.
_NUMBER_NAMES = (
    r"discriminant|determinant|slope|gradient|gcd|gcf|hcf|lcm|greatest common \w+|exponent"
    r"|least common \w+|highest common \w+|coefficient|eigenvalues?|rank|trace|degree of the \w+"
    r"|scale factor|(?:units?|ones|tens|last) digit|[xyz]-(?:intercept|coordinate)"
    r"|(?:mean|median|mode|range|average) of (?:the |these )?(?:numbers|integers)"
    r"|(?:sum|product|difference|number) of (?:all |the |its |two |real )*"
    r"(?:roots|solutions|zeros|digits|coefficients|integers|divisors|factors)"
)
_RESULTS = "median|mean|mode|range|average|sum|product|difference|quotient"
_NUMBERS = r"(?:the )?(?:numbers?|set|data|values)?[\s:]*-?\d[\d\s,.;-]*(?:and -?\d[\d.]*)?"
# Nothing but numbers, signs and functions, as markup leaves them.
_FORMULA = (
    r"(?:[\d+*/^()=!.,|\s_&·×÷√π-]"
    r"|(?:[dt]?frac|sqrt|times|cdot|div|pi|log|ln|binom|[pb]?mod)(?![a-z]))++"
)
# The word that a pattern of `_ASKS` cannot do without: `force` of `(?:net )?force\b`.
_NEEDED = re.compile(re.escape(_ASKS) + r"(?:\(\?:[^()]*\)\?)*([a-z ]+)(?:\\b[^|]*)?")


def _needed(pattern: str) -> str:
    found = _NEEDED.fullmatch(pattern)
    return found[1] if found else ""


# The first that fits decides.
_KINDS = tuple(
    (_needed(pattern), re.compile(pattern, re.IGNORECASE), dimensions)
    for pattern, dimensions in (
        (rf"{_ASKS}(?:{_NUMBER_NAMES})\b|\b(?:by )?what factor\b", NUMBER),
        (
            r"\b(?:what is|what's|evaluate|compute|calculate|find|simplify)\s+"
            rf"(?:the (?:exact )?value of\s+)?(?=.*\d){_FORMULA}\??\s*$",
            NUMBER,
        ),
        (rf"{_ASKS}(?:{_RESULTS}) of {_NUMBERS}[?.]?\s*$", NUMBER),
        (rf"\b(?:what is|find|calculate|compute)\s+[\d.]+\s?%\s+of\s+{_NUMBERS}[?.]?\s*$", NUMBER),
        (
            r"\bsolve\b(?![^.?]*(?:°|degree|radian|\b(?:sin|cos|tan)))[^.?]*[=<>≤≥]",
            NUMBER,
        ),
        (
            r"\b(?:what is|find|evaluate|compute)\s+(?:the (?:exact )?value of\s+)?"
            r"(?:the )?(?:sin|cos|tan|cot|sec|csc|sine|cosine|tangent)\b",
            NUMBER,
        ),
        (r"\b(?:what|which) (?:is the )?(?:(?:next|missing) )?number\b(?! of)", NUMBER),
        (
            r"\bevaluate (?:the |this |each )?expression\b"
            r"|\b(?:domain|range) of (?:the function|[a-z]\b(?! and))",
            NUMBER,
        ),
        (rf"{_ASKS}population\b", COUNT),
        (r"\b(?:find|what is|determine|compute)\s+(?-i:[A-Z]{2})\s*(?:[.?]|$|if\b)", _LENGTH),
        (r"\b(?:what|which) year\b|\b\d+(?:st|nd|rd|th) term\b", NUMBER),
        (rf"{_ASKS}(?:probability|chance)\b|\bhow likely\b", frozenset({"share"})),
        (rf"{_ASKS}area\b(?! of \w+ and)", frozenset({"length^2", "unit^2"})),
        (rf"{_ASKS}volume\b", frozenset({"length^3", "unit^3", "volume"})),
        (
            rf"{_ASKS}(?:{_LENGTHS})\b(?! of (?:the |a |this )?(?:book|film|movie|song|trip|list))",
            _LENGTH,
        ),
        (rf"\bhow (?:much )?(?:{_TALL})\b", _LENGTH),
        (r"\bhow (?:heavy\b|much (?:heavier|lighter)\b|much\b[^.?]*\bweighs?\b)", _MASS),
        (rf"\bhow much (?:older|younger)\b|{_ASKS}age\b", frozenset({"month"})),
        (r"\bhow much (?:more )?(?:time|longer does)\b", _TIME),
        (rf"{_ASKS}(?:measure of (?:\$|\\\()?\s*(?:m\s*)?(?:\\?angle|∠))", _ANGLE),
        (rf"{_ASKS}(?:(?:measure|size) of (?:the |this |each )?(?:\w+ )?)?angle\b(?! and)", _ANGLE),
        (rf"{_ASKS}density\b", frozenset({"mass/length^3", "mass/volume^1"})),
        (rf"{_ASKS}acceleration\b", frozenset({"length/time^2"})),
        (rf"{_ASKS}(?:voltage)\b", frozenset({"voltage"})),
        (rf"{_ASKS}pressure\b", frozenset({"pressure", "force/length^2"})),
        (rf"{_ASKS}(?:net )?force\b", frozenset({"force"})),
        (rf"{_ASKS}(?:\w+ )?energy\b", frozenset({"energy"})),
        (rf"{_ASKS}resistance\b", frozenset({"resistance"})),
        (rf"{_ASKS}current\b(?= (?:in|through|flowing)\b|[^\w ]|$)", frozenset({"current"})),
        (rf"{_ASKS}molar mass\b", frozenset({"mass/amount^1"})),
        (rf"{_ASKS}mass\b", frozenset({"mass"})),
        (rf"{_ASKS}weight\b", _MASS),
        (
            rf"{_ASKS}temperature\b",
            frozenset({"temperature C", "temperature F", "temperature K", "angle"}),
        ),
        (rf"{_ASKS}(?:average )?speed\b|\bhow fast\b", frozenset({"length/time^1"})),
        (r"\bhow far\b", _LENGTH),
        (r"\bhow long (?:does|did|will|would) (?:it|this|that)\b[^.?]*\btake\b", _TIME),
        (r"\bhow long (?:is|are|was|were|does|will)\b", LENGTH_OR_TIME),
        (
            r"\bhow much\b[^.?]*\b(?:cost|costs|pay|paid|spend|spent|earn|earned|charged?|money|owe"
            r"|profit|change|make|makes)\b|\b(?:salary|income|profit)\b[^.]*\?",
            MONEY,
        ),
        (
            r"\b(?:find|solve for|what is|determine|compute|calculate)\s+(?:the values? of\s+)?"
            r"[a-zA-Z]\s*(?:[.?,]|$|in the (?:figure|picture|diagram)|if\b|such\b|when\b)",
            FIGURE,
        ),
        (r"\bwhat (?:do|does|did|will|would)\b[^.?]*\bcost\b", MONEY),
        (rf"{_ASKS}(?:cost|price)\b", MONEY),
    )
)


def kind_of(sentence: str) -> frozenset[str] | None:
    """The dimensions that an answer may have by the sentence that asks; None if it is open."""
    text = sentence.casefold()
    return next(
        (kind for word, pattern, kind in _KINDS if word in text and pattern.search(sentence)), None
    )
