"""Figures go from a question whole; one that does not end takes nothing along."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.curation.figures import without_figures

# Says the same, and tries each beginning to the end of the text.
FIGURE = re.compile(
    r"(?s)\[asy\](?:(?!\[asy\]).)*?\[/asy\]"
    r"|\\begin\{(asy|tikz\w*)\}(?:(?!\\begin\{\1\}).)*?\\end\{\1\}"
)
NAMES = ("asy", "tikz", "tikzpicture", "tikzcd")
MARKS = [
    "[asy]",
    "[/asy]",
    *(rf"\{side}{{{name}}}" for side in ("begin", "end") for name in NAMES),
]
OTHERS = ["a", " ", "\n", "[", "]", "{", "}", "\\", r"\begin{pmatrix}", r"\end", "[asy", "tikz"]


@pytest.mark.parametrize(
    ("question", "left"),
    [
        ("no figure", "no figure"),
        ("What [asy]draw(a);\n[/asy] is it?", "What   is it?"),
        (r"\begin{tikzpicture}\draw;\end{tikzpicture}?", " ?"),
        ("[asy]a[asy]b[/asy]c", "[asy]a c"),
        (r"\begin{asy}a[asy]b\end{asy}c[/asy]d", " c[/asy]d"),
        (r"\begin{tikz}a\begin{tikzcd}b\end{tikz}c\begin{asy}d\end{tikzcd}e\end{asy}", " c "),
        (r"\begin{tikz}a\end{tikzcd}", r"\begin{tikz}a\end{tikzcd}"),
        ("[asy]1[/asy][asy]2[/asy]", "  "),
    ],
)
def test_figures_are_taken_out(question, left):
    assert without_figures(question) == left


@given(st.lists(st.sampled_from(MARKS) | st.sampled_from(OTHERS), max_size=40).map("".join))
def test_the_first_figures_that_end_are_taken_out_whatever_lies_in_them(question):
    assert without_figures(question) == FIGURE.sub(" ", question)


@pytest.mark.parametrize("side", ["begin", "end"])
def test_no_beginning_is_followed_to_the_end_of_the_text(side):
    """Each of a name of its own: hours, if each was."""
    marks = "".join(rf"\{side}{{tikz{number}}}" for number in range(200_000))
    figure = r"\begin{tikz}a\end{tikz}"
    assert without_figures(f"{marks}{figure}?") == f"{marks} ?"
    if side == "begin":
        ends = marks.replace("begin", "end")
        assert without_figures(marks + ends) == " " + ends.removeprefix(r"\end{tikz0}")
