"""What kind of quantity a question asks for where it names no unit: an area, money, a time."""

import re

_ASKS = (
    r"\b(?:find|what(?: is|'s| are| will be| was)?|determine|compute|calculate|give)\s+"
    r"(?:the |its |their )?(?:(?!of\b)\w+ ){0,2}?"
)
_MONEY = frozenset({"dollar", "euro", "sterling", "yen"})
_TIME = frozenset({"time", "month"})
_LENGTH = frozenset({"length", "unit"})
# The first that fits decides.
_KINDS = tuple(
    (re.compile(pattern, re.IGNORECASE), dimensions)
    for pattern, dimensions in (
        (rf"{_ASKS}area\b(?! of \w+ and)", frozenset({"length^2", "unit^2"})),
        (rf"{_ASKS}volume\b", frozenset({"length^3", "unit^3", "volume"})),
        (rf"{_ASKS}(?:perimeter|circumference|distance|height|width|radius|diameter)\b", _LENGTH),
        (rf"{_ASKS}(?:measure of (?:\$|\\\()?\s*(?:m\s*)?(?:\\?angle|∠))", frozenset({"angle"})),
        (rf"{_ASKS}(?:voltage)\b", frozenset({"voltage"})),
        (rf"{_ASKS}(?:average )?speed\b|\bhow fast\b", frozenset({"length/time^1"})),
        (r"\bhow far\b", _LENGTH),
        (r"\bhow long (?:does|did|will|would) (?:it|this|that)\b[^.?]*\btake\b", _TIME),
        (r"\bhow long (?:is|are|was|were|does|will)\b", _LENGTH | _TIME),
        (
            r"\bhow much\b[^.?]*\b(?:cost|costs|pay|paid|spend|spent|earn|earned|charged?|money|owe"
            r"|profit|change|make|makes)\b|\b(?:salary|income|profit)\b[^.]*\?",
            _MONEY,
        ),
    )
)


def kind_of(sentence: str) -> frozenset[str] | None:
    """The dimensions that an answer may have by the sentence that asks; None if it is open."""
    return next((kind for pattern, kind in _KINDS if pattern.search(sentence)), None)


def is_money(kind: frozenset[str] | None) -> bool:
    """Whether it is a kind of which nothing else can be counted."""
    return kind == _MONEY
