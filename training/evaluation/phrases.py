"""The answer in a sentence that gives one: `The answer is B because the triangle is isosceles.`

What follows the answer, a reason or a further sentence, is no part of it. Where that takes the
answer back or names another, the sentence gives none.
"""

import re
import string
from collections.abc import Collection

from training.answers import MAX_ANSWER_CHARS

# What is left of the line after `The final answer is: `, `Answer: ` and the like, if it says
# anything. Nothing is tried twice (`*+`): a long run of spaces takes as long as it is.
_PHRASE = re.compile(
    r"(?:\banswer\s*+(?:\*\*)?+\s*+(?:is\b|(?:should|must)\s++be\b|:|=)"
    r"|\bcorrect\s++(?:option|choice)\s*+(?:is\b|:))"
    r"[ \t:*]*+(?:(?:therefore|thus|hence|then|clearly|simply|indeed)\b[ \t:*,]*+)?+"
    r"((?=[^\n]*[^\W_]|[^\n]*[∞∅])[^\n]++)",
    re.IGNORECASE,
)
# A choice's letter, behind which its text may follow, or a sentence that begins like one.
_LABEL = re.compile(r"(?:[(\[][A-Z][)\]]|[A-Z][.:)])(?=\s)")
_SENTENCE = re.compile(
    r"[\s*]*(?:This|That|It|These|Because|Since|As|We|Thus|Hence|Therefore|So|Note|Here)\b"
)
# The end of a sentence, or a reason.
_END = re.compile(
    r"(?<!\bsq)(?<!\bcu)\.(?=[\s*]+[A-Za-z$\\(])"
    r"|(?<![\w\\])(?:because|since|due to|given that"
    r"|as(?!\s+(?:well|long|soon|far|much|many|or|and|is|are|was|were|does|do|did)\b))\b"
    r"|,\s*(?:which|by|using)\b",
    re.IGNORECASE,
)
# A number or a choice's letter; `or` and `might be` in a reason may stand before much else.
_OTHER = (
    r"(?:(?:the\s+)?(?:answer|option|choice)\s+)?(?:is\s+)?"
    r"[$*(\[]{0,3}[-+−]?(?:[.\d]|\\?(?:[dt]?frac|sqrt|pi)\b|(?-i:[A-Z])\b)"
)
_TAKEN_BACK = re.compile(
    r"\b(?:but|however|otherwise|unless|alternatively|instead(?!\s+of\b)|rather(?!\s+than\b)"
    r"|maybe|perhaps|possibly|wait|actually|hmm+|sorry|correction|mistaken?|oops)\b"
    rf"|\bor\s++{_OTHER}"
    rf"|\bmight\s++(?:(?:also|well|even)\s+)?be\s++(?:{_OTHER}|wrong\b|incorrect\b)"
    r"|[.!?]\W{0,5}no\b"
    r"|\b(?:it|this|that|which)(?:'s| is| was)(?:n't| not| wrong| incorrect| impossible)\b",
    re.IGNORECASE,
)
# Of choices alone: in other reasons the centre of a circle `is O.`
_CHOSEN = re.compile(
    r"\b(?:is|choose|pick|take)\s+\(?((?-i:[A-Z]))\)?\s*(?:[.,;!]|$)", re.IGNORECASE
)
# So a later line, or a later sentence of one, begins that takes the answer back.
_WITHDRAWN = re.compile(
    r"(?:^|[.!?]\s)[^\w\n]{0,5}(?:no(?:[,.!]| wait\b)|(?:but )?wait\b|actually\b|hmm+\b|sorry\b"
    r"|correction\b|oops\b|on second thoughts?\b)",
    re.IGNORECASE | re.MULTILINE,
)
_TRAILING = f"{string.whitespace}\u00a0*.,;:(–—"


def answer_said(
    response: str, texts: Collection[str] = (), letters: Collection[str] = ()
) -> str | None:
    """What stands behind the last phrase that announces the answer, to the end of the answer.

    Args:
        response: A whole response.
        texts: Answers that are whole sentences, perhaps; these are not cut.
        letters: Those of the choices; nothing where an answer is no choice.

    Returns:
        None if there is no phrase, if nothing stands behind it or more than `MAX_ANSWER_CHARS`, or
        if what follows takes it back.
    """
    response = response[-20 * MAX_ANSWER_CHARS :]
    phrases = [*_PHRASE.finditer(response)]
    if not phrases:
        return None
    line, after = phrases[-1][1], phrases[-1].end()
    end = _end(line, frozenset(map(_plain, texts)))
    if _TAKEN_BACK.search(line, end) or _WITHDRAWN.search(response, after):
        return None
    if any(found[1] in letters for found in _CHOSEN.finditer(line, end)):
        return None
    answer = line[:end].rstrip(_TRAILING)
    return answer if 0 < len(answer) <= MAX_ANSWER_CHARS else None


def _end(line: str, texts: frozenset[str]) -> int:
    """Where the answer that a line begins with ends."""
    label = _LABEL.match(line)
    start = label.end() if label else 0
    if _plain(line) in texts or _plain(line[start:]) in texts:
        return len(line)
    if label is not None and _SENTENCE.match(line, start):
        return start
    end = _END.search(line, start)
    return end.start() if end else len(line)


def _plain(text: str) -> str:
    return text.strip().rstrip(_TRAILING).casefold()
