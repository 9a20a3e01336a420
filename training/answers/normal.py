"""Taking from an answer what carries no meaning: LaTeX spacing and styling, a full stop."""

import re
from functools import lru_cache

from training.answers.nouns import ADJECTIVES, NOUNS


def _patterns(*pairs: tuple[str, str]) -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(pattern), replacement) for pattern, replacement in pairs)


_STYLE = r"text|textbf|textit|textrm|textnormal|mathrm|mathbf|mathit|mbox|operatorname"
_REPLACEMENTS = _patterns(
    (r"^\s*\\boxed\s*\{(.*)\}\s*$", r"\1"),  # a reference may come boxed
    (r"[\u00a0\u2007\u2009\u202f]", " "),
    (r"\\\$|(?<![$\\])\$(?=[^$]*$)", "$"),  # a dollar, not a pair that begins mathematics
    (r"(?<!\\)\$(?=[^$]*\$)([^$]*)\$", r"\1"),
    (r"([-−–]?)\s*([$€£¥])\s*([\d.,{}]*\d)(?![\d$])", r"\1\3 \2"),  # the currency behind the number
    (r"\\[()]", ""),
    (r"\\(?:left|right|displaystyle|limits|[bB]igg?[lr]?)(?![a-zA-Z])", ""),
    (r"\\[dtc]frac", r"\\frac"),
    (r"\{([^{}]*)\\over(?![a-zA-Z])([^{}]*)\}", r"\\frac{\1}{\2}"),
    (rf"\\(?:{_STYLE})\s*\{{([^{{}}]*)\}}", r" \1 "),
    (r"(?<!\\)\\!|(?<=\d)\\,(?=\d{3})|\{,\}(?=\d{3})", ""),
    (r"(?<!\\)\\[,;: ]|~|\\q?quad(?![a-zA-Z])", " "),
    (r"\^\s*\{?\s*\\circ\s*\}?|\\degree(?![a-zA-Z])", "°"),
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
    (r"\\emptyset(?![a-zA-Z])|\\varnothing(?![a-zA-Z])", "∅"),
    (r"\\\{", "⟨"),  # braces of a set, apart from braces of a group
    (r"\\\}", "⟩"),
)
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?: \d{3})+(?!\d| ?/| \d)")
# What an answer may be said to be: `x`, `x_1`, `AB`, `f(x)`, `(x, y)`, `\angle ABC`, `Area`.
_VARIABLE = r"[A-Za-z](?:_\{?\w{1,8}\}?)?|\\[a-z]{2,10}"
_NAME = re.compile(
    rf"(?:(?P<variable>{_VARIABLE})"
    rf"(?:\s*\(\s*(?:{_VARIABLE})(?:\s*,\s*(?:{_VARIABLE}))*\s*\))?'*"
    rf"|(?P<tuple>\(\s*(?:{_VARIABLE})(?:\s*,\s*(?:{_VARIABLE}))+\s*\))"
    r"|m?\s*\\angle\s*[A-Z]{1,3}|(?P<points>[A-Z]{2,4})"
    r"|(?P<words>[A-Za-z]{2,20}(?: [A-Za-z]{1,20}){0,4}))"
    r"\s*(?P<sign>[=∈:]|≈)\s*"
)
# Words of a description that changes nothing, such as `the total area`; `not` is none of them.
_MORE_WORDS = """
    the of is are a an final total we get so thus therefore hence
    perimeter volume height width length distance speed time cost price mean median mode range
    probability sum difference product quotient average age result slope remainder ratio rate profit
"""
_DESCRIPTION = NOUNS | ADJECTIVES | frozenset(_MORE_WORDS.split())


@lru_cache(maxsize=4096)
def normalize(text: str) -> str:
    """One spelling for what means the same."""
    for pattern, replacement in _REPLACEMENTS:
        text = pattern.sub(replacement, text)
    text = _THOUSANDS.sub(lambda found: found[0].replace(" ", ""), " ".join(text.split()))
    if text.endswith(".") and not text.endswith(".."):
        text = text[:-1].rstrip()
    return text


def split_name(text: str) -> tuple[str | None, str]:
    r"""What a normalised answer says it is the value of, and the value.

    Returns:
        The name of the variable or the segment, or "" for a description such as `the area`, or
        None if the answer names nothing; and the rest.
    """
    match = _NAME.match(text)
    if match is None or (match["sign"] == ":" and not match["words"]):
        return None, text
    if match["words"] and not set(match["words"].lower().split()) <= _DESCRIPTION:
        return None, text
    name = match["variable"] or match["points"] or ""
    return name.replace("{", "").replace("}", ""), text[match.end() :]
