"""Taking from an answer what carries no meaning: LaTeX spacing and styling, a full stop."""

import re
from functools import lru_cache

from training.answers.expressions import GREEK
from training.answers.nouns import ADJECTIVES, NOUNS
from training.answers.units import singular


def _patterns(*pairs: tuple[str, str]) -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(pattern), replacement) for pattern, replacement in pairs)


_STYLE = (
    r"text(?:bf|it|rm|sf|tt|normal)?|math(?:rm|bf|it|sf|tt)|mbox|operatorname|boldsymbol|bm"
    r"|underline|emph|vec|overrightarrow"
    r"|(?:text)?color\s*\{[a-z]{1,20}\}"
)
_REPLACEMENTS = _patterns(
    (r"^\s*\\boxed\s*\{(.*)\}\s*$", r"\1"),  # a reference may come boxed
    (r"[\u00a0\u2007\u2009\u202f]", " "),
    (r"\\\$|(?<![$\\])\$(?=[^$]*$)", "$"),  # a dollar, not a pair that begins mathematics
    (r"(?<!\\)\$(?=[^$]*\$)([^$]*)\$", r"\1"),
    (r"\\[()]", ""),
    (r"\\(?:left|right|displaystyle|limits|[bB]igg?[lr]?)(?![a-zA-Z])", ""),
    (r"\\(?:tiny|small|normalsize|[lL]arge|LARGE|[hH]uge|bf|it|rm)(?![a-zA-Z])\s*", ""),
    (r"\\overset\s*\{\s*\\frown\s*\}", r"\\widehat"),
    (r"\\begin\{cases\}([^&]*=[^&]*)\\end\{cases\}", r"\1"),  # a system, no piecewise function
    (r"(?<=\\\\)\s*\[-?[\d.]+ ?[a-z]{2}\]", ""),  # the space between the rows of a matrix
    (r"\\[dtc]frac", r"\\frac"),
    (r"\\[dt]binom(?![a-zA-Z])", r"\\binom"),
    (r"\{([^{}]*)\\choose(?![a-zA-Z])([^{}]*)\}", r"\\binom{\1}{\2}"),
    (r"\\lor(?![a-zA-Z])", " or "),
    (r"\{([^{}]*)\\over(?![a-zA-Z])([^{}]*)\}", r"\\frac{\1}{\2}"),
    (rf"\\(?:{_STYLE})\s*\{{([^{{}}]*)\}}", r" \1 "),
    (r"^\s*\*\*(.*)\*\*\s*$", r"\1"),
    (r"(?<!\\)\\!|(?<=\d)\\,(?=\d{3})|\{,\}(?=\d{3})", ""),
    (r"\{:\}", ":"),
    (r"(?<!\\)\\[,;: ]|~|\\q?quad(?![a-zA-Z])", " "),
    # The currency behind the number: `-$5`, `US$5`, `$-5`, `$2.5 million`, `$1\frac14`.
    (
        r"([-−–]?)\s*(?:U\.?S\.?(?=\$))?([$€£¥])\s*([-−–]?\s*(?:\d[\d.,{}]*|\.\d+)(?<=\d)"
        r"(?:\s*(?:thousand|million|billion|trillion)\b|\s*\\frac\s*(?:\{\d+\}\{\d+\}|\d\d))?"
        r"|[-−–]?\s*\\frac\s*(?:\{\d+\}\s*\{\d+\}|\d\d))(?![\d$])",
        r"\1\3 \2",
    ),
    (r"∠", r"\\angle "),
    (r"\^\s*\{?\s*\\circ\s*\}?|\*?\\degree(?![a-zA-Z])|(?<=\d)\s*[º˚]", "°"),
    (r"_\s*\{\s*(?:\\triangle|△)\s*(?=[A-Z]{3}\s*\})", "_{"),  # the area `S_{\triangle ABC}`
    (r"(?<=\d)\s*\^\s*(?:\{\s*[oº˚°]\s*\}|[oº˚°](?![a-zA-Z]))", "°"),
    (r"\\%", "%"),
    (r"[−–]", "-"),
    (r"[×·⋅]|\\times(?![a-zA-Z])|\\cdot(?![a-zA-Z])", "*"),
    (r"\\l?vert(?![a-zA-Z])|\\rvert(?![a-zA-Z])|\\mid(?![a-zA-Z])", "|"),
    (r"\\leq?(?:slant)?(?![a-zA-Z])|<=|≦", "≤"),
    (r"\\geq?(?:slant)?(?![a-zA-Z])|>=|≧", "≥"),
    (r"\\lt(?![a-zA-Z])", "<"),
    (r"\\gt(?![a-zA-Z])", ">"),
    (r"\\approx(?![a-zA-Z])|\\simeq(?![a-zA-Z])", "≈"),
    (r"\\in(?![a-zA-Z])", "∈"),
    (r"\\pm(?![a-zA-Z])", "±"),
    (r"\\cup(?![a-zA-Z])", "∪"),
    (r"\\infty(?![a-zA-Z])", "∞"),
    (r"\\mathbb\s*\{?\s*([RZNQC])\s*\}?", r"𝔻\1"),
    (r"\\neq?(?![a-zA-Z])|\\not\s*=", "≠"),
    (r"\\langle(?![a-zA-Z])|〈", "("),
    (r"\\rangle(?![a-zA-Z])|〉", ")"),
    (r"\\emptyset(?![a-zA-Z])|\\varnothing(?![a-zA-Z])", "∅"),
    (r"\\\{", "⟨"),  # braces of a set, apart from braces of a group
    (r"\\\}", "⟩"),
)
_SPACES = re.compile(r"\s{2,}")
# Signs of Chinese type, and characters without a width.
_SIGNS = str.maketrans({"（": "(", "）": ")", "：": ":", "，": ",", "．": "."})
_NO_WIDTH = str.maketrans(dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff"))
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?: \d{3})+(?!\d| ?/| \d)")
# `x = 2,500`, `1,200 + 34 = 1,234`: beside such a sign commas without spaces are thousands'.
_WITH_COMMAS = re.compile(r"(?<![\w.,])\d{1,3}(?:,\d{3})+(?![\w,]|\.\d*,)")
_ABOUT = re.compile(r"^≈ *(?=\S)")
_EQUATION = re.compile(r"^[^=≈()\[\]{}⟨⟩]*[=≈][^()\[\]⟨⟩]*$")
# What an answer may be said to be: `x`, `x_1`, `AB`, `f(x)`, `(x, y)`, `\angle ABC`, `Area`.
_GREEK = rf"\\(?:{'|'.join(GREEK)})(?![a-zA-Z])"
_VARIABLE = rf"(?:[A-Za-z]|{_GREEK}|\\ell(?![a-zA-Z]))(?:_\{{?\w{{1,8}}\}}?)?"
_NAME = re.compile(
    rf"(?:(?:{_VARIABLE})'*(?:\s*\(\s*(?:{_VARIABLE}|-?\d{{1,4}})(?:\s*,\s*(?:{_VARIABLE}))*\s*\))?"
    rf"|\(\s*(?:{_VARIABLE})(?:\s*,\s*(?:{_VARIABLE}))+\s*\)"
    rf"|m?\s*\\angle\s*(?:[A-Z]{{1,3}}|[a-z]|{_GREEK}|\d)|[A-Z]{{2,4}}|\|\s*[A-Z]{{2}}\s*\|"
    r"|m?\s*\\(?:overline|widehat)\s*\{\s*[A-Z]{2,3}\s*\}"
    r"|[A-Za-z]\s*\^\s*\{?\s*-1\s*\}?\s*\(\s*[A-Za-z]\s*\)"
    r"|\\frac\s*\{\s*d\s*[a-z]?\s*\}\s*\{\s*d\s*[a-z]\s*\}"
    r"|(?P<words>[A-Za-z]{2,20}(?: [A-Za-z]{1,20}){0,4}))"
    r"\s*(?P<sign>[=∈:]|≈|(?<= )is(?= *[-\d\\$]))\s*"
)
_ANGLE = re.compile(rf"angle\\?([a-z]|{'|'.join(GREEK)})")
_NUMBER_IS = re.compile(r"((?:[^=≈<>≤≥:A-Za-z]|\\[a-z]+)+?)\s*=\s*([A-Za-z](?:_\{?\w{1,8}\}?)?)")
# Words of a description, such as `the total area`; `not` is none of them. These say nothing:
_NO_WORDS = "the of is are a an final total we get so thus therefore hence answer value result"
_EMPTY_WORDS = frozenset(_NO_WORDS.split())
_MORE_WORDS = """
    perimeter volume height width length distance speed time cost price mean median mode range
    probability sum difference product quotient average age slope remainder ratio rate profit
    radius circumference money left remaining
"""
_DESCRIPTION = NOUNS | ADJECTIVES | _EMPTY_WORDS | frozenset(_MORE_WORDS.split())


@lru_cache(maxsize=4096)
def normalize(text: str) -> str:
    """One spelling for what means the same."""
    if text.isascii() and text.isdigit():
        return text
    if not text.isascii():
        text = text.translate(_SIGNS | _NO_WIDTH)
    text = _SPACES.sub(" ", text)  # runs of them would take quadratic time below
    for pattern, replacement in _REPLACEMENTS:
        text = pattern.sub(replacement, text)
    text = _THOUSANDS.sub(lambda found: found[0].replace(" ", ""), " ".join(text.split()))
    if text.endswith(".") and not text.endswith(".."):
        text = text[:-1].rstrip()
    if r"\\" in text and r"\begin" not in text:
        text = re.sub(r" *\\\\ *", ", ", text).strip(", ")  # lines below one another
    if "," in text and _EQUATION.match(text):
        text = _WITH_COMMAS.sub(lambda found: found[0].replace(",", ""), text)
    return _ABOUT.sub("", text)


def split_name(text: str) -> tuple[str | None, str]:
    r"""What a normalised answer says it is the value of, and the value.

    Returns:
        The name, such as `x_1`, `f(x)`, `(x, y)`, `AB`, `\angle A` or `area`, without spaces and
        empty words ("" for `the answer`), or None if the answer names nothing; and the rest.
    """
    if flipped := _NUMBER_IS.fullmatch(text):  # `5 = x`
        return re.sub(r"[{}]", "", flipped[2]), flipped[1]
    match = _NAME.match(text)
    if match is None or (match["sign"] == ":" and not match["words"]):
        return None, text
    rest = text[match.end() :]
    if words := match["words"]:
        listed = words.lower().split()
        if not all(word in _DESCRIPTION or singular(word) in _DESCRIPTION for word in listed):
            return None, text
        return " ".join(word for word in listed if word not in _EMPTY_WORDS), rest
    name = re.sub(r"[\s{}|]", "", text[: match.start("sign")])
    return name.removeprefix("m\\").removeprefix("\\").removeprefix("overline"), rest


# Sorts of names that nothing has two of.
_NEVER_ALIKE = (
    {"points", "variable"}, {"points", "function"}, {"points", "angle"}, {"angle", "function"}
)  # fmt: skip


def names_differ(actual: str, expected: str) -> bool:
    """Whether two names of `split_name` are of different things, as far as that can be told."""
    mine, theirs = (letter_of_angle(name) or name for name in (actual, expected))
    if (mine, theirs) != (actual, expected):
        return mine != theirs and not any(map(_is_description, (mine, theirs)))
    kinds = kind_of_name(actual), kind_of_name(expected)
    if set(kinds) == {"function", "variable"}:  # `f` may be said for `f(x)`
        return actual.lower().partition("(")[0] != expected.lower().partition("(")[0]
    if set(kinds) == {"angle", "variable"}:
        letter, angle = (actual, expected) if kinds[0] == "variable" else (expected, actual)
        return letter.isupper() and letter != _vertex(angle.removeprefix("angle"))
    if kinds[0] != kinds[1]:
        return set(kinds) in _NEVER_ALIKE
    if kinds[0] == "words":
        words, others = set(actual.split()), set(expected.split())
        return not (words <= others or others <= words)
    if kinds[0] == "points":
        return expected not in (actual, actual[::-1])
    if kinds[0] == "angle":
        first, second = actual.removeprefix("angle"), expected.removeprefix("angle")
        if len(first) != len(second):
            return _vertex(first) != _vertex(second)
        return second not in (first, first[::-1])
    return actual.lower() != expected.lower()


def letter_of_angle(name: str) -> str | None:
    r"""The x of `angle x`, the theta of `angle\theta`; None for other names of `split_name`."""
    match = _ANGLE.fullmatch(name)
    return match[1] if match else None


def _is_description(name: str) -> bool:
    return kind_of_name(name) == "words" and name not in GREEK


def _vertex(points: str) -> str:
    """The B of the angle ABC, which may also be called B."""
    return points[len(points) // 2] if points else ""


def kind_of_name(name: str) -> str:
    """What a name of `split_name` is of: a tuple, an angle, a function, points, words, a letter."""
    if name.startswith("("):
        return "tuple"
    if name.startswith("angle"):
        return "angle"
    if "(" in name:
        return "function"
    if len(name) > 1 and name.isalpha() and name.isupper():
        return "points"
    return "words" if re.fullmatch(r"[a-z]{2,}(?: [a-z]+)*", name) else "variable"
