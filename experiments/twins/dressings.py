"""How one question is written in other ways, in LaTeX, Unicode and Markdown; none changes it.

What stands here is what people write, and knows nothing of how `training.curation` reads it.
"""

import re
from collections.abc import Callable

import numpy as np

Dressing = Callable[[str, np.random.Generator], str]


def _any(rng: np.random.Generator, *ways: str) -> str:
    return ways[rng.integers(len(ways))]


def _each(pattern: str, *ways: str) -> Dressing:
    """Writes each place that a pattern finds in one of some ways; `{0}` is its first group."""

    def dress(text: str, rng: np.random.Generator) -> str:
        return re.sub(pattern, lambda found: _any(rng, *ways).format(*found.groups()), text)

    return dress


def _all(*dressings: Dressing) -> Dressing:
    def dress(text: str, rng: np.random.Generator) -> str:
        for one in dressings:
            text = one(text, rng)
        return text

    return dress


def _case(text: str, rng: np.random.Generator) -> str:
    return text.upper() if rng.random() < 0.5 else text.lower()


def _markdown(text: str, rng: np.random.Generator) -> str:
    words = list(re.finditer(r"(?<= )[a-z]{3,}(?= )", text))
    if not words:
        return text
    place = words[rng.integers(len(words))]
    mark = _any(rng, "**", "*", "__", "_", "***", "`")
    marked = f"{text[: place.start()]}{mark}{place[0]}{mark}{text[place.end() :]}"
    return f"> {marked}" if rng.random() < 0.2 else marked


def _displayed(text: str, rng: np.random.Generator) -> str:
    """One formula for itself, in an environment."""
    formulas = re.findall(r"\$[^$]+\$", text)
    if not formulas:
        return text
    formula = formulas[rng.integers(len(formulas))]
    name = _any(rng, "align*", "equation", "gather", "aligned")
    shown = f"\n\\begin{{{name}}} {formula.strip('$')} \\end{{{name}}}\n"
    return text.replace(formula, shown, 1)


# Each leaves the text as it is where there is nothing of its kind. In an order in which one does
# not take away what another one would dress.
DRESSINGS: dict[str, Dressing] = {
    "displayed formulas": _displayed,
    "Markdown": _markdown,
    "fonts and wrappers": _all(
        _each(r"\\mathbb\{R\}", "R", "ℝ", r"\mathbf{{R}}", r"\mathbb R", r"\mathrm{{R}}", r"\R"),
        _each(r"\\overline\{AC\}", "AC", r"\overline {{AC}}", r"\textit{{AC}}"),
    ),
    "triangles and angles": _all(
        _each(r"triangle \$", "△ $", r"$\triangle "),
        _each(r"\\angle ", "∠", "∠ ", r"\measuredangle "),
    ),
    "degrees": _each(
        r"\^\\circ",
        "°",
        " degrees",
        r"^{{\circ}}",
        r"\degree",
        "º",
        r" ^{{ \circ }}",
        "^o",
        r"^{{\mathrm{{o}}}}",
    ),
    "Greek letters": _all(
        _each(r"\\theta", "θ", " theta", "ϑ", r"\vartheta"), _each(r"\\pi", "π", " pi")
    ),
    "functions": _each(
        r"\\(sin|cos|tan|log|gcd)", "{0}", r"\operatorname{{{0}}}", r"\mathrm{{{0}}}"
    ),
    "relations": _all(
        _each(r"\\neq", "≠", r"\ne", r"\not=", r"\not =", "!="),
        _each(r"\\leq", "≤", r"\le", r"\leqslant", "<=", "⩽"),
        _each(r"\\equiv", "≡"),
        _each(r"\\in(?= )", "∈"),
        _each(r"\\pmod\{(\d+)\}", "(mod {0})", r"\pmod {{{0}}}", r"(\bmod {0})"),
    ),
    "sums and floors": _all(
        _each(r"\\sum", "∑", r"\sum\limits"),
        _each(r"\\lfloor x \\rfloor", "⌊x⌋", r"\left\lfloor x \right\rfloor"),
    ),
    "ellipses": _each(r"\\[lc]dots", "...", "…", r"\dots", r"\ldots", r"\cdots", ". . ."),
    "sizes of brackets and bars": _all(
        _each(r"\\left\|(.*?)\\right\|", "|{0}|", r"\lvert{0}\rvert", r"\bigl|{0}\bigr|", "∣{0}∣"),
        _each(r"\\left\((.*?)\\right\)", "({0})", r"\bigl({0}\bigr)", r"\Big({0}\Big)"),
    ),
    "roots and binomials": _all(
        _each(r"\\sqrt\[3\]\{8\}", "∛8", r"\sqrt[3]8", "sqrt[3](8)"),
        _each(r"\\frac\{\\sqrt\{3\}\}\{2\}", "√3/2", r"\frac{{\sqrt3}}2", "sqrt(3)/2"),
        _each(r"\\binom\{(\d)(\d)\}\{2\}", r"\binom{{{0}{1}}}2", r"{{{0}{1} \choose 2}}"),
    ),
    "spaces at factorials": _all(
        _each(r"(\d)!/(\d)!", "{0} ! / {1} !", "{0}! / {1}!"),
        _each(r"(\w)!=(\d)", "{0}! = {1}", "{0}!= {1}", "{0}! ={1}"),
    ),
    "dashes": _each(r", and ", " -- and ", " — and ", " – and ", "—and ", " --- and "),
    "`\\frac` and `\\dfrac`": _all(
        _each(r"\((x - \d+)\)/2", r"\dfrac{{{0}}}{{2}}", r"\frac{{{0}}}{{2}}", r"\frac{{{0}}}2"),
        _each(r"\\frac34", "3/4", r"\dfrac{{3}}{{4}}", r"\tfrac34"),
    ),
    "LaTeX around numbers, brackets and units": _all(
        _each(r"\((x - \d+)\)/", r"\left( {0}\right)/"),
        _each(r"\*x", r" \cdot x", r"\times x"),
        _each(r" cm", r"\text{{ cm}}"),
        _each(r"(?<![\w.])(\d+)(?![\w)])", "${0}$"),
    ),
    # An ellipsis leaves members of a list out: it is no punctuation.
    "punctuation": _each(r"(?<!\.)(?<!\. )[,.?](?=\s|$)(?! \.)", ";", ""),
    "spaces": _each(" ", "  ", "\n", " \t", "   "),
    "case": _case,
}
