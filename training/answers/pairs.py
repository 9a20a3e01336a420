"""What two values in brackets, or two capitals, stand for: a point or an interval, a segment."""

import re
from functools import lru_cache

from training.answers.options import read_options

_MOST_CHARACTERS = 2000  # of a question, from its end
_POINT = re.compile(
    r"\b(?:coordinates?|points?|(?:ordered )?(?:pairs?|triples?)|midpoint|vertex|vertices"
    r"|cent(?:er|re)|vectors?|intersections?|foci|focus)\b|\(\s*[a-z]\s*,\s*[a-z]\s*\)",
    re.IGNORECASE,
)
_INTERVAL = re.compile(
    r"\b(?:intervals?|inequalit\w+|domain|range|increasing|decreasing|concave|converges?)\b"
    r"|\bfor (?:what|which) \w+|\bset of all\b|\ball (?:real )?(?:values|numbers)\b"
    r"|[<>≤≥]|\\[lg]eq?\b",
    re.IGNORECASE,
)
_BOUNDS = re.compile(r"[<>≤≥∪∈]")
_SEVERAL_NAMES = re.compile(r"\([a-zA-Z],[a-zA-Z]\)=|[a-zA-Z]=[^=]+,[a-zA-Z]=")
_COLUMN = re.compile(r"\\begin\{[pb]?matrix\}|\\begin\{array\}")
_PAIR = re.compile(r"[(\[].+,.+[)\]]")
# What two capitals name, where the question lists no choices.
_POINTS = re.compile(
    r"\b(?:segments?|lines?|rays?|sides?|chords?|edges?|diameters?|radius|radii|angles?|sets?|legs?"
    r"|hypotenuse|matri(?:x|ces))\b",
    re.IGNORECASE,
)


def is_other_kind_of_pair(answer: str, reference: str, question: str) -> bool:
    """Whether `2 < x < 5` is said of the point (2, 5), or `(x, y) = (2, 5)` of the interval.

    Args:
        answer: Normalised.
        reference: Normalised; a pair that does not say by itself which one it is.
        question: As it was asked: it tells points from intervals.
    """
    if not _PAIR.fullmatch(reference):
        return False
    asked = question[-_MOST_CHARACTERS:]
    points, intervals = (pattern.search(asked) is not None for pattern in (_POINT, _INTERVAL))
    if points == intervals:
        return False
    if points:
        return _BOUNDS.search(answer) is not None
    squeezed = answer.replace(" ", "")
    return any(pattern.search(squeezed) is not None for pattern in (_SEVERAL_NAMES, _COLUMN))


@lru_cache(maxsize=4096)
def names_points(question: str) -> bool:
    """Whether two capitals such as AB are a segment, a set or a product, and no two choices."""
    return _POINTS.search(question[-_MOST_CHARACTERS:]) is not None and not read_options(question)
