"""The answer in a sentence that gives one: `The answer is B because the triangle is isosceles.`

What follows the answer, a reason or a further sentence, is no part of it. Where that takes the
answer back or names another, the sentence gives none.
"""

import re
import string
from collections.abc import Collection

from training.answers import MAX_ANSWER_CHARS

# `The final answer is: `, `Answer: ` and the like, or a heading, `**Final Answer**`. Nothing is
# tried twice (`*+`): a long run of spaces takes as long as it is. A letter comes first, not `\b`,
# and case is ignored behind it: so `re` skips to such letters, ten times as fast.
_PHRASE = re.compile(
    r"[AaCc](?:(?i:(?<=\ba)nswers?+(?:\s*+(?:\*\*)?+\s*+"
    r"(?:is\b|are\b|(?:would|should|must)\s++be\b|:|=)|[ \t*]*+(?P<heading>$))"
    r"|(?<=\bc)orrect\s++(?:option|choice)s?\s*+(?:is\b|are\b|:))"
    r"[ \t:*]*+(?:(?:therefore|thus|hence|then|clearly|simply|indeed)\b[ \t:*,]*+)?+)",
    re.MULTILINE,
)
_BEFORE_HEADING = re.compile(
    r"(?:\A|\n)[ \t#*]*+(?:the[ \t]++)?(?:(?:final|correct)[ \t]++)?\Z", re.IGNORECASE
)
# What stands right before a phrase: one that supposes an answer gives none, and one that offers
# another leaves open which it is.
_ITS = r"[\s,]++(?:(?:that|the|its|my|our|correct|right|final|other|true|also)\s++)*+\**+\Z"
_SUPPOSED = re.compile(
    rf"\b(?:suppos(?:e|ing)|assum(?:e|ing)|imagine|if|whether|unless|false that|given that"
    r"|(?:not|cannot|\w{1,6}n['’]t) (?:think|believe|say|be|true|sure|certain)"
    rf"|i doubt|let(?:['’]s| us) (?:say|check)){_ITS}|\b(?:wrong|incorrect)\s++\**+\Z",
    re.IGNORECASE,
)
_OFFERED = re.compile(rf"\b(?:or|else|maybe|perhaps|possibly){_ITS}", re.IGNORECASE)
_MOST_BEFORE = 60  # characters
_SAYS_SOMETHING = re.compile(r"[^\W_]|[∞∅]")
# The paragraph below a heading or a colon, if it is one short line, or one formula.
_BELOW = re.compile(
    r"\s*+(?:(?:\$\$|\\\[)[ \t]*+\n[ \t]*+(?P<formula>[^\n]{1,80})\n[ \t]*+(?:\$\$|\\\])"
    r"|(?P<line>[^\n]{1,80}))(?=\s*+\Z|[ \t]*+\n[ \t]*+\n)"
)
# Bold letters around an answer, as Markdown has them, and quotation marks.
_BOLD = re.compile(r"(?<![\w*])\*\*(?=[^\s*])|(?<=[^\s*])\*\*(?=[\s.,;:!?)\"'`]|\Z)")
_QUOTED = re.compile(r"\A\s*(?:\"([^\"]+)\"|“([^”]+)”|``([^']+)''|`([^`]+)`|'([^']+)'(?!\w))")
# A choice's letter, behind which its text may follow, or a sentence that begins like one.
_LABEL = re.compile(r"(?:[(\[][A-Z][)\]]|[A-Z][.:)])(?=\s)")
_SENTENCE = re.compile(
    r"[\s*]*(?:This|That|It|These|Because|Since|As|We|Thus|Hence|Therefore|So|Note|Here)\b"
)
_CLAUSE = re.compile(
    r"[\s*]*[A-Z$\\][^\n]*?\s(?:is|are|was|were|has|have|had|does|do|gives?|follows?|fits?|shows?"
    r"|makes?|means?|must|can|will|would|equals?|we)\b"
)
# A number or a choice's letter; `or` and `might be` in a reason may stand before much else.
_OTHER = (
    r"(?:(?:the\s+)?(?:answer|option|choice)\s+)?(?:is\s+)?"
    r"[$*(\[\"'`]{0,3}[-+−]?(?:[.\d]|\\?(?:[dt]?frac|sqrt|pi)\b|(?-i:[A-Z])\b)"
)
# The end of a sentence, a reason, or what the answer is not.
_END = re.compile(
    r"(?<!\bsq)(?<!\bcu)\.(?=[\s*]+[A-Za-z$\\(])"
    r"|(?<![\w\\])(?:because|since|due to|given that"
    r"|as(?!\s+(?:well|long|soon|far|much|many|or|and|is|are|was|were|does|do|did)\b))\b"
    r"|,\s*(?:which|by|using)\b"
    rf"|,\s*(?:and\s+)?not\s+{_OTHER}",
    re.IGNORECASE,
)
_TAKEN_BACK = re.compile(
    r"\b(?:but|however|otherwise|unless|alternatively|instead(?!\s+of\b)|rather(?!\s+than\b)"
    r"|maybe|perhaps|possibly|wait|actually|hmm+|sorry|correction|mistaken?|oops)\b"
    rf"|\bor\s++{_OTHER}"
    rf"|\b(?:might|(?:it|that|answer)\s++(?:could|may))\s++(?:(?:also|well|even)\s+)?be\s++"
    rf"(?:{_OTHER}|wrong\b|incorrect\b)|\bscratch that\b"
    r"|[.!?]\W{0,5}no\b"
    r"|\b(?:it|this|that|which)(?:'s| is| was)(?:n't| not| wrong| incorrect| impossible"
    r"| false| absurd| a contradiction)\b|,\s*a contradiction\b",
    re.IGNORECASE,
)
# Of choices alone: in other reasons the centre of a circle `is O.`
_CHOSEN = re.compile(
    r"\b(?:is|(?:it|that|answer)['’]s|choose|pick|take)\s+\(?((?-i:[A-Z]))\)?\s*(?:[.,;!]|$)"
    r"|(?:^\s*+|[.;!?]\s++|\b(?:(?:and|or|so|both)\s+|(?:therefore|thus|hence),?\s+))"
    r"(?:(?:option|choice)\s+)?\(?((?-i:[A-Z]))\)?\s+"
    r"(?:(?:also\s+)?(?:fits?|works?|holds?)\b"
    r"|(?:is|are|seems?|(?:would|may|might|could)\s+(?:also\s+)?be)\s+"
    r"(?:(?:also|equally|just as|the)\s+)?(?:right|correct|possible|true|better|answer|likely)\b)",
    re.IGNORECASE,
)
# Of two choices that are not taken: `since A or C would be too small`.
_PAIR = re.compile(r"\b([A-Z])\s+or\s+([A-Z])(?=\s+[a-z])")
_OWN = re.compile(r"\W*([A-Z])\b")
# So a later line, or a later sentence of one, begins that takes the answer back.
_WITHDRAWN = re.compile(
    r"(?:^|[.!?]\s)[^\w\n]{0,5}(?:no(?:[,.!]| wait\b)|(?:but )?wait\b|actually\b|hmm+\b|sorry\b"
    r"|correction\b|oops\b|scratch that\b|on second thoughts?\b"
    r"|but the (?:correct|right|actual|true) one is\b"
    r"|alternatively,?\s[$(*]{0,3}(?:(?-i:[A-Z])|[-+]?\d[\d.,/]*)[$)*]{0,3}[ \t]*+(?:[.!]|$))",
    re.IGNORECASE | re.MULTILINE,
)
# And so a later line names another choice.
_IS_THE_ANSWER = re.compile(
    r"\b([A-Z])\)? is the (?:(?:correct|right|final) )?(?:answer|option|choice)\b"
)
_WRONG_ONE = re.compile(
    r"\b(?:wrong|incorrect) (?:answer|option|choice)s? (?:is|are)\b[^.\n]*", re.IGNORECASE
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
    found = _announced(response[-20 * MAX_ANSWER_CHARS :])
    if found is None:
        return None
    line, later = found
    line = _QUOTED.sub(lambda quoted: str(quoted[quoted.lastindex or 0]), _BOLD.sub("", line))
    end = _end(line, texts)
    answer, reason = line[:end].rstrip(_TRAILING), _WRONG_ONE.sub("", line[end:])
    own = _OWN.match(answer)
    others = {letter for letter in letters if own is None or letter != own[1]}
    if any((found[1] or found[2]) in others for found in _CHOSEN.finditer(reason)):
        return None
    if any(found[1] in others for found in _IS_THE_ANSWER.finditer(later)):
        return None
    if _TAKEN_BACK.search(_without_pairs(reason, own[1] if own else "")):
        return None
    if _WITHDRAWN.search(later) or not 0 < len(answer) <= MAX_ANSWER_CHARS:
        return None
    return answer


def announces(response: str) -> bool:
    """Whether a phrase announces an answer, taken back or not."""
    return _announced(response[-20 * MAX_ANSWER_CHARS :]) is not None


def _announced(response: str) -> tuple[str, str] | None:
    """What the last phrase announces, to the end of its line, and all behind that; or None."""
    last, last_end = None, 0
    for phrase in _PHRASE.finditer(response):
        before = response[max(phrase.start() - _MOST_BEFORE, 0) : phrase.start()]
        place = None if _SUPPOSED.search(before) else _place(response, phrase)
        if place is None:
            continue
        if not _OFFERED.search(before):
            last, last_end = place, place.stop
        elif place.stop > last_end:  # in a later line; in the same one it is read with the first
            last = slice(0, 0)
    return None if last is None else (response[last], response[last_end:])


def _place(response: str, phrase: re.Match[str]) -> slice | None:
    """Where the line is that a phrase announces: its own, or the one below a colon or heading."""
    start = phrase.end()
    end = response.find("\n", start)
    end = len(response) if end < 0 else end
    if _SAYS_SOMETHING.search(response, start, end):
        return slice(start, end)
    before = response[max(phrase.start() - _MOST_BEFORE, 0) : phrase.start()]
    is_heading = phrase["heading"] is not None and _BEFORE_HEADING.search(before)
    if ":" not in phrase[0] and not is_heading:
        return None
    below = _BELOW.match(response, end)
    if below is None:
        return None
    text = below["formula"] or below["line"]
    further = response[below.end() :].lstrip()
    is_list = bool(_LABEL.match(text) and _LABEL.match(further))
    if is_list or _PHRASE.search(text) or _CLAUSE.match(text) or not _SAYS_SOMETHING.search(text):
        return None
    return slice(*below.span("formula" if below["formula"] else "line"))


def _without_pairs(reason: str, own: str) -> str:
    """A reason without `A or C`, where neither is the answer."""
    return _PAIR.sub(lambda pair: pair[0] if own in pair.groups() else "they", reason)


def _end(line: str, texts: Collection[str]) -> int:
    """Where the answer that a line begins with ends."""
    label = _LABEL.match(line)
    start = label.end() if label else 0
    known = frozenset(map(_plain, texts))
    if _plain(line) in known or _plain(line[start:]) in known:
        return len(line)
    found = _END.search(line, start)
    end = found.start() if found else len(line)
    if label is None or _plain(line[start:end]) in known:
        return end
    is_clause = _CLAUSE.match(line, start) and not any(map(_CLAUSE.match, texts))
    return start if is_clause or _SENTENCE.match(line, start) else end


def _plain(text: str) -> str:
    return text.strip().rstrip(_TRAILING).casefold()
