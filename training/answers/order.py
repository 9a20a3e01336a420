"""Where a question fixes the order of several values, and what it calls them."""

import re
from collections.abc import Sequence
from functools import lru_cache

_MOST_CHARACTERS = 2000  # of a question, from its end
_SORTED = re.compile(
    # Not `ordered pairs`, `in order to`, `second-order`, `an increasing function`.
    r"\bin (?:\w+ )?order\b(?! to\b)|\b(?:ascending|descending)\b"
    r"|(?:^|[.!?:;,]\s*|\b(?:and|then|please)\s+)(?:order|sort|arrange|rank)\b"
    r"|\b(?:ordered|sorted|arranged|ranked) (?:from|by)\b"
    r"|\b(?:(?:smallest|least|lowest|shortest|lightest|greatest|largest|highest|tallest|longest|biggest"
    r"|heaviest|oldest|youngest|slowest|fastest|first|earliest) to (?:the )?\w+)\b",
    re.IGNORECASE,
)
_IN_TURN = re.compile(
    r"\brespectively\b|\bin (?:what|which) sequence\b"
    r"|\b(?:next|first|last|following) (?:two|three|four|five|six|\d) (?:terms|numbers|elements)\b",
    re.IGNORECASE,
)
_ASKS = (
    r"\b(?:find|what (?:is|are|were)|determine|compute|calculate|give|state|solve for|how many"
    r"|evaluate|how old (?:are|were|will))\s+"
)
_OF = r"(?:(?:the |its |their |both )?(?:values?|coordinates|measures?|lengths?|numbers?) of )?"
_MATHS = r"(?:\$[^$=]{1,20}\$|\\\([^$=]{1,20}?\\\)|[A-Za-z](?![\w']))"
_PHRASE = (
    r"(?:the |its |their |how many )?(?!all|any|every|two|both|values?\b)"
    r"(?:\$[a-z]\$-)?[A-Za-z]{2,}"
)
# `find x, y and z`; `what are the mean and the median`, `how many boys and girls`.
_SEVERAL = (
    re.compile(
        rf"{_ASKS}{_OF}(?P<names>{_MATHS}(?:, ?{_MATHS})*,?\s+and\s+{_MATHS})", re.IGNORECASE
    ),
    re.compile(rf"{_ASKS}{_OF}{_PHRASE}(?:, {_PHRASE})*(?: of \w+)?,?\s+and\s+{_PHRASE}\b", re.I),
)
_TUPLE = re.compile(r"\(\s*([a-zA-Z](?:\s*,\s*[a-zA-Z])+)\s*\)")
_NAME = re.compile(r"[A-Za-z](?:_\{?\w+\}?)?")


@lru_cache(maxsize=4096)
def is_ordered(question: str) -> bool:
    """Whether the order of a list is part of the answer: one to sort, or values that are asked for
    one by one, such as `x and y` or `the quotient and the remainder`.
    """
    asked = question[-_MOST_CHARACTERS:]
    return any(pattern.search(asked) for pattern in (_SORTED, _IN_TURN, *_SEVERAL))


def ordered_names(names: Sequence[str], question: str) -> list[str]:
    """The names of values in the order in which the question asks for them, else alphabetically."""
    asked = question[-_MOST_CHARACTERS:]
    several = _SEVERAL[0].search(asked)
    texts = [match[1] for match in _TUPLE.finditer(asked)] + ([several["names"]] if several else [])
    for text in texts:
        found = [re.sub(r"[{}]", "", name) for name in _NAME.findall(text.replace(" and ", ","))]
        if sorted(found) == sorted(names):
            return found
    return sorted(names)
