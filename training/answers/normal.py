"""Taking from an answer what carries no meaning: LaTeX spacing and styling, `x =`, a full stop."""

import re
from functools import lru_cache


def _patterns(*pairs: tuple[str, str]) -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(pattern), replacement) for pattern, replacement in pairs)


_STYLE = r"text|textbf|textit|textrm|mathrm|mathbf|mathit|mbox|operatorname"
_REPLACEMENTS = _patterns(
    (r"^\s*\\boxed\s*\{(.*)\}\s*$", r"\1"),  # a reference may come boxed
    (r"\\?[$]|[€£¥]|\\[()]", ""),
    (r"\\(?:left|right|displaystyle|limits|[bB]igg?[lr]?)(?![a-zA-Z])", ""),
    (r"\\[dtc]frac", r"\\frac"),
    (rf"\\(?:{_STYLE})\s*\{{([^{{}}]*)\}}", r" \1 "),
    (r"(?<!\\)\\!|(?<=\d)\\,(?=\d{3})|\{,\}(?=\d{3})", ""),
    (r"(?<!\\)\\[,;: ]|~|\\q?quad(?![a-zA-Z])", " "),
    (r"\^\s*\{?\s*\\circ\s*\}?|\\degree(?![a-zA-Z])", "°"),
    (r"\\%", "%"),
    (r"[−–]", "-"),
    (r"×|\\times(?![a-zA-Z])|\\cdot(?![a-zA-Z])", "*"),
    (r"\\\{", "⟨"),  # braces of a set, apart from braces of a group
    (r"\\\}", "⟩"),
)
_ASSIGNMENT = re.compile(r"^([A-Za-z](?:_\{?\w\}?)?)\s*(?:=|\\in(?![a-zA-Z])|∈)\s*")
_EQUALS = re.compile(r"(?<![<>!~:])=|≈|\\approx(?![a-zA-Z])")


@lru_cache(maxsize=4096)
def normalize(text: str) -> str:
    """One spelling for what means the same; a single `x =` in front is dropped."""
    for pattern, replacement in _REPLACEMENTS:
        text = pattern.sub(replacement, text)
    text = " ".join(text.split())
    if text.endswith(".") and not text.endswith(".."):
        text = text[:-1].rstrip()
    return _ASSIGNMENT.sub("", text, count=1) if text.count("=") <= 1 else text


def without_equations(text: str) -> str:
    """The last side of a chain such as `12 + 7 = 19`."""
    return _EQUALS.split(text)[-1].strip()


def without_variable(parts: list[str]) -> list[str] | None:
    """`x = 1`, `x = 2` without `x =`; None if the variables differ."""
    matches = [_ASSIGNMENT.match(part) for part in parts]
    names = {match[1] for match in matches if match}
    if len(names) > 1:
        return None
    return [
        part[match.end() :] if match else part for part, match in zip(parts, matches, strict=True)
    ]
