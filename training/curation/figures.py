"""The code of a figure in a question: it says `draw` to a computer, and nothing to a reader."""

import re

# No match goes over another figure's beginning.
_FIGURE = re.compile(
    r"(?s)\[asy\](?:(?!\[asy\]).)*?\[/asy\]"
    r"|\\begin\{(asy|tikz\w*)\}(?:(?!\\begin\{\1\}).)*?\\end\{\1\}"
)


def without_figures(question: str) -> str:
    """A question without the code of its figures."""
    return _FIGURE.sub(" ", question)
