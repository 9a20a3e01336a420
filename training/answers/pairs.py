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
    r"|\bfor (?:what|which) \$?\w+|\bset of all\b|\ball (?:real )?(?:values|numbers)\b"
    r"|\bwhere (?:is|are|do|does)\b[^?]{0,150}\b(?:below|above|negative|positive)\b",
    re.IGNORECASE,
)
_ONE_UNKNOWN = re.compile(
    r"\bfor (?:what|which) (?:real |positive |values? of )*\$?[a-z]\b(?!\$? *(?:,|and\b))", re.I
)
_COMPARED = re.compile(r"[<>≤≥]|\\[lg](?:t|eq?)\b")
_BOUNDS = re.compile(r"[<>≤≥∪∈]")
_SEVERAL_NAMES = re.compile(r"\([a-zA-Z],[a-zA-Z]\)=|[a-zA-Z]=[^=]+,[a-zA-Z]=")
_NAMED_PAIR = re.compile(r"\(([a-zA-Z]),([a-zA-Z])\)=")
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
    points, intervals, compared = (
        pattern.search(asked) is not None for pattern in (_POINT, _INTERVAL, _COMPARED)
    )
    if points:
        return not intervals and _BOUNDS.search(answer) is not None
    if not intervals and not compared:
        return False
    squeezed = answer.replace(" ", "")
    if _SEVERAL_NAMES.search(squeezed):
        return not _are_unknowns(squeezed, asked, defined=intervals)
    return _COLUMN.search(squeezed) is not None


def _are_unknowns(answer: str, question: str, *, defined: bool) -> bool:
    """Whether all letters that an answer gives values are the question's, as a and b are in `Find a
    and b with a > b`.

    With `defined`, a letter that the question defines, the y of `y = x^2 - 4`, is no unknown.
    """
    pair = _NAMED_PAIR.match(answer)
    names = set(pair.groups()) if pair else set(re.findall(r"(?<![\w\\])[a-zA-Z](?==)", answer))
    if _ONE_UNKNOWN.search(question):
        return False
    for name in names:
        article = r"(?! (?!and\b|or\b|is\b|with\b|such\b)[a-z]{2})" if name in "aA" else ""
        if (
            re.search(rf"(?<![A-Za-z\\'])(?<!\\[a-z]){name}{article}(?![A-Za-z'])", question)
            is None
        ):
            return False
        if defined and re.search(rf"(?:^|[^\w+*/^ -]) *{name} *=|[a-z]{{2}} {name} *=", question):
            return False
    return bool(names)


@lru_cache(maxsize=4096)
def names_points(question: str) -> bool:
    """Whether two capitals such as AB are a segment, a set or a product, and no two choices."""
    return _POINTS.search(question[-_MOST_CHARACTERS:]) is not None and not read_options(question)
