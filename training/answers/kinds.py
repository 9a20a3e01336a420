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
# The first that fits decides. Each is tried only where one of its words stands, which it cannot do
# without: to try all of them took most of the time of reading a question.
_KINDS = tuple(
    (words.split(","), re.compile(pattern, re.IGNORECASE), dimensions)
    for words, pattern, dimensions in (
        (
            "discriminant,determinant,slope,gradient,gcd,gcf,hcf,lcm,common,exponent,coefficient"
            ",eigenvalue,rank,trace,degree,factor,digit,-intercept,-coordinate,numbers,integers"
            ",roots,solutions,zeros,divisors",
            rf"{_ASKS}(?:{_NUMBER_NAMES})\b|\b(?:by )?what factor\b",
            NUMBER,
        ),
        (
            "what,evaluate,compute,calculate,find,simplify",
            r"\b(?:what is|what's|evaluate|compute|calculate|find|simplify)\s+"
            rf"(?:the (?:exact )?value of\s+)?(?=.*\d){_FORMULA}\??\s*$",
            NUMBER,
        ),
        (
            "median,mean,mode,range,average,sum,product,difference,quotient",
            rf"{_ASKS}(?:{_RESULTS}) of {_NUMBERS}[?.]?\s*$",
            NUMBER,
        ),
        (
            "%",
            rf"\b(?:what is|find|calculate|compute)\s+[\d.]+\s?%\s+of\s+{_NUMBERS}[?.]?\s*$",
            NUMBER,
        ),
        (
            "solve",
            r"\bsolve\b(?![^.?]*(?:°|degree|radian|\b(?:sin|cos|tan)))[^.?]*[=<>≤≥]",
            NUMBER,
        ),
        (
            "sin,cos,tan,cot,sec,csc",
            r"\b(?:what is|find|evaluate|compute)\s+(?:the (?:exact )?value of\s+)?"
            r"(?:the )?(?:sin|cos|tan|cot|sec|csc|sine|cosine|tangent)\b",
            NUMBER,
        ),
        (
            "number",
            r"\b(?:what|which) (?:is the )?(?:(?:next|missing) )?number\b(?! of)",
            NUMBER,
        ),
        (
            "evaluate,domain,range",
            r"\bevaluate (?:the |this |each )?expression\b"
            r"|\b(?:domain|range) of (?:the function|[a-z]\b(?! and))",
            NUMBER,
        ),
        ("population", rf"{_ASKS}population\b", COUNT),
        (
            "find,what is,determine,compute",
            r"\b(?:find|what is|determine|compute)\s+(?-i:[A-Z]{2})\s*(?:[.?]|$|if\b)",
            _LENGTH,
        ),
        ("year,term", r"\b(?:what|which) year\b|\b\d+(?:st|nd|rd|th) term\b", NUMBER),
        (
            "probability,chance,how likely",
            rf"{_ASKS}(?:probability|chance)\b|\bhow likely\b",
            frozenset({"share"}),
        ),
        ("area", rf"{_ASKS}area\b(?! of \w+ and)", frozenset({"length^2", "unit^2"})),
        ("volume", rf"{_ASKS}volume\b", frozenset({"length^3", "unit^3", "volume"})),
        (
            "perimeter,circumference,distance,length,height,width,radius,diameter,hypotenuse"
            ",diagonal,altitude,side,leg,edge",
            rf"{_ASKS}(?:{_LENGTHS})\b(?! of (?:the |a |this )?(?:book|film|movie|song|trip|list))",
            _LENGTH,
        ),
        ("how", rf"\bhow (?:much )?(?:{_TALL})\b", _LENGTH),
        (
            "how heavy,how much",
            r"\bhow (?:heavy\b|much (?:heavier|lighter)\b|much\b[^.?]*\bweighs?\b)",
            _MASS,
        ),
        (
            "how much,age",
            rf"\bhow much (?:older|younger)\b|{_ASKS}age\b",
            frozenset({"month"}),
        ),
        ("how much", r"\bhow much (?:more )?(?:time|longer does)\b", _TIME),
        (
            "angle,∠",
            rf"{_ASKS}(?:measure of (?:\$|\\\()?\s*(?:m\s*)?(?:\\?angle|∠))",
            _ANGLE,
        ),
        (
            "angle",
            rf"{_ASKS}(?:(?:measure|size) of (?:the |this |each )?(?:\w+ )?)?angle\b(?! and)",
            _ANGLE,
        ),
        ("density", rf"{_ASKS}density\b", frozenset({"mass/length^3", "mass/volume^1"})),
        ("acceleration", rf"{_ASKS}acceleration\b", frozenset({"length/time^2"})),
        ("voltage", rf"{_ASKS}(?:voltage)\b", frozenset({"voltage"})),
        ("pressure", rf"{_ASKS}pressure\b", frozenset({"pressure", "force/length^2"})),
        ("force", rf"{_ASKS}(?:net )?force\b", frozenset({"force"})),
        ("energy", rf"{_ASKS}(?:\w+ )?energy\b", frozenset({"energy"})),
        ("resistance", rf"{_ASKS}resistance\b", frozenset({"resistance"})),
        (
            "current",
            rf"{_ASKS}current\b(?= (?:in|through|flowing)\b|[^\w ]|$)",
            frozenset({"current"}),
        ),
        ("molar mass", rf"{_ASKS}molar mass\b", frozenset({"mass/amount^1"})),
        ("mass", rf"{_ASKS}mass\b", frozenset({"mass"})),
        ("weight", rf"{_ASKS}weight\b", _MASS),
        (
            "temperature",
            rf"{_ASKS}temperature\b",
            frozenset({"temperature C", "temperature F", "temperature K", "angle"}),
        ),
        (
            "speed,how fast",
            rf"{_ASKS}(?:average )?speed\b|\bhow fast\b",
            frozenset({"length/time^1"}),
        ),
        ("how far", r"\bhow far\b", _LENGTH),
        (
            "how long",
            r"\bhow long (?:does|did|will|would) (?:it|this|that)\b[^.?]*\btake\b",
            _TIME,
        ),
        ("how long", r"\bhow long (?:is|are|was|were|does|will)\b", LENGTH_OR_TIME),
        (
            "how much,salary,income,profit",
            r"\bhow much\b[^.?]*\b(?:cost|costs|pay|paid|spend|spent|earn|earned|charged?|money|owe"
            r"|profit|change|make|makes)\b|\b(?:salary|income|profit)\b[^.]*\?",
            MONEY,
        ),
        (
            "find,solve for,what is,determine,compute,calculate",
            r"\b(?:find|solve for|what is|determine|compute|calculate)\s+(?:the values? of\s+)?"
            r"[a-zA-Z]\s*(?:[.?,]|$|in the (?:figure|picture|diagram)|if\b|such\b|when\b)",
            FIGURE,
        ),
        ("cost", r"\bwhat (?:do|does|did|will|would)\b[^.?]*\bcost\b", MONEY),
        ("cost,price", rf"{_ASKS}(?:cost|price)\b", MONEY),
    )
)


def kind_of(sentence: str) -> frozenset[str] | None:
    """The dimensions that an answer may have by the sentence that asks; None if it is open."""
    text = sentence.casefold()
    for words, pattern, kind in _KINDS:
        if any(word in text for word in words) and pattern.search(sentence):
            return kind
    return None
