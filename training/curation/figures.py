"""The code of a figure in a question: it says `draw` to a computer, and nothing to a reader."""

import re

_MARK = re.compile(
    r"(?P<begin>\[asy\]|\\begin\{(?P<begun>asy|tikz\w*)\})|\[/asy\]|\\end\{(?P<ended>asy|tikz\w*)\}"
)


def without_figures(question: str) -> str:
    """A question without the code of its figures, read once however many of these do not end."""
    pieces, place = list[str](), 0
    for start, end in _figures(question):
        if start >= place:  # it lies in no other
            pieces.append(question[place:start])
            place = end
    return " ".join([*pieces, question[place:]])


def _figures(question: str) -> list[tuple[int, int]]:
    """Where figures begin and end, by their beginnings.

    From the last beginning of a name to the first end behind it: none goes over another's
    beginning of its name, of which that one may have lost its end.
    """
    begun, found = dict[str | None, int](), list[tuple[int, int]]()
    for mark in _MARK.finditer(question):
        if mark["begin"]:
            begun[mark["begun"]] = mark.start()
        elif (start := begun.pop(mark["ended"], None)) is not None:
            found.append((start, mark.end()))
    return sorted(found)
