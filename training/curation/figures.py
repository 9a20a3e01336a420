"""The code of a figure in a question: it says `draw` to a computer, and nothing to a reader."""

import re

# No match goes over another figure's beginning.
_FIGURE = re.compile(
    r"(?s)(\[asy\]|\\begin\{(?:asy|tikz\w*)\})(?:(?!\1).)*?(?:\[/asy\]|\\end\{(?:asy|tikz\w*)\})"
)


def without_figures(question: str) -> str:
    """A question without the code of its figures."""
    return _FIGURE.sub(" ", question)
