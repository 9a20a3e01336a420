r"""Finding the answer of a response: the content of its last \boxed{}."""

import re

from training.answers.units import Unit, noun_of, parse_unit, singular

MAX_ANSWER_CHARS = 1000

_BOX = re.compile(r"\\boxed\s*\{")
# What may stand between two boxes of one enumeration: "\boxed{3}$ or $\boxed{4}", "maybe".
_CONNECTOR = re.compile(
    r"(?:[\s$.,;:/|&*()∨–—-]|\\[\s,;!()\[\]\\]|\\text|[{}]|\\q?quad|\\lor"
    r"|\b(?:or|and|but|no|not|maybe|perhaps|possibly|probably|alternatively|instead|rather|hmm+|else"
    r"|either|also|it|is|could|might|may|be|oder|ou|o|the|second|other|another|answer|this|one"
    r"|[a-z](?=\s*=))\b|=)*",
    re.IGNORECASE,
)
# Words that make two boxes alternatives: "\boxed{6} if red, or else \boxed{7}", "option 2".
_ALTERNATIVE = re.compile(
    r"\b(?:or|if|option|case|otherwise|unless|maybe|perhaps)\b", re.IGNORECASE
)
# What makes a box a part of something, or denies it, where it stands before the box.
_BEFORE = re.compile(
    r"(?:"
    + "|".join(
        (
            r"\d|[/^_+−-] ?|[-+−\d] ?\( ?|\\(?:cdot|times|div|pm|mp) ?|[\^_]\{ ?",
            r"\\(?:sqrt|[dt]?frac)\s*(?:\{[^{}]*\}\s*){0,2}\{?\s*",
            r"\\(?:log|ln|sin|cos|tan|exp|gcd|max|min|not|neg|lnot) *[({]? ?",
            r"(?:[<>≤≥≠∈]|!=|\\not ?=)\s*\$? ?",
            r"\\(?:neq?|leq?|geq?|lt|gt|in|notin|sim)(?![a-zA-Z])\s*\$? ?",
            r"(?i:(?:\b(?:not|never|cannot)|n't)\s+(?:be |equal |equal to |simply )?)\$?",
            r"\d\$? +or +\$?|(?:^|[:.\n] *|\b(?:is|are) )\$?-?\d+\$?(?:, *\$?-?\d+\$?)+, *\$?",
            r"\\\{[^{}$\n]{0,60}|[([] *-?[\w.]+ *, *",  # a member of a set, a tuple, an interval
        )
    )
    + r")$"
)
_LIST_ITEM = re.compile(r"(?:^|\n) *[-+] $")
# The same behind the box.
_OR = r"(?:or|and|alternatively|maybe|perhaps|possibly|probably|even|also)\b[,}\s]*"
_AFTER = re.compile(
    "|".join(
        (
            r"[.,]?\d|[a-zA-Z]|\s*\$?\s*(?:\\text\s*\{\s*)?(?:hundred|thousand|million|billion"
            r"|trillion|dozen|pairs?|squared|cubed|halves|thirds|quarters|factorial)\b",
            rf"\s*\$?[\s,(]*(?:\\text\s*\{{ *)?{_OR}\s*(?:{_OR}\s*)*[-$]*\d",
            r"\s*\$?, *\$?-?\d+\$? *(?:,|\bor\b|\band\b|$)|\s*\$? *!\s*=|!\$",
            r" *(?:[/^_+=<>≤≥≠]|[-−] *\d|!=)",
            r" *\\(?:cdot|times|div|pm|mp|frac|sqrt|pi|neq?|leq?|geq?|lt|gt|to|sim)(?![a-zA-Z])",
            r" *, *-?[\w.]+ *(?:[)\]]|\\\})| *\\\}",
            r"\s*\$?\s*(?:is|was|seems|looks) (?:wrong|incorrect|not|false|impossible|invalid)\b",
            r"\s*\$?,?\s*(?:isn't|no,? wait|wait,|hmm)",
        )
    )
)
# What belongs to an answer though it stands behind its box.
_PER_CENT = re.compile(r" *\\?%|\$? *per ?cent\b")
_DEGREES = re.compile(r" *(?:\^ *\{? *\\circ *\}?|\\degree\b|°)(?! *[CF\d])")
_BASE = re.compile(r" *_ *(?:(\d{1,2})\b|\{ *(\d{1,2}) *\})")
_UNIT = re.compile(
    r"\$? *(?:\\[,;: ]|~)* *(?:\\(?:text|mathrm|mbox) *\{ *(?P<text>[^{}]{1,30}?) *\}"
    r"|(?P<word>[a-zA-Z]{2,12}(?:(?: per |/)[a-z]{1,10})?)(?![a-zA-Z]))"
    r"(?P<power>\$? *\^ *\{? *[23] *\}?)?"
)
# What a formula begins with, right before a box: `x =`, `AB =`; and `6 =`.
_START = r"(?:^|[$\n]|\\[(\[]|[,;:] |\\(?:Rightarrow|implies|therefore|quad)) *"
_LABEL = re.compile(rf"{_START}([A-Za-z](?:_\{{?\w{{1,4}}\}}?)?|[A-Z]{{2}}) *= *$")
_NUMBER_IS = re.compile(rf"{_START}(-?\d[\d.]*) *= *$")
_MAX_CONNECTOR_CHARS = 40


def extract_boxed(text: str) -> str | None:
    r"""The content of the last `\boxed{...}`, nested braces included.

    A box around a single box is opened. Boxes that follow one another with nothing but "or", "and"
    or punctuation between them are one enumeration and come back as "3 or 4", so that listing
    several answers does not count as giving the last of them. A percent sign behind the box belongs
    to the answer.

    Returns:
        The answer; None if there is no box, if it is empty or holds several boxes, if its braces
        don't balance, if it is longer than MAX_ANSWER_CHARS, or if the box is only a part of what
        stands there, as in `-\boxed{5}`.
    """
    found = _last_answer(text)
    return found[0] if found else None


def extract_labelled(text: str) -> str | None:
    r"""The content of the last box with the name before it: `$y = \boxed{5}$` is `y = 5`.

    Returns:
        As `extract_boxed`; with the letter, letter with an index or two points before the box if a
        formula begins with it and the content has no `=` of its own.
    """
    found = _last_answer(text)
    if found is None:
        return None
    answer, before = found
    label = _LABEL.search(before)
    return f"{label[1]} = {answer}" if label and "=" not in answer else answer


def _last_answer(text: str) -> tuple[str, str] | None:
    """The answer of `extract_boxed`, and what stands before its box."""
    last_start = text.rfind("\\boxed")
    # All that can belong to the answer lies in here, however long the response is.
    window = text[max(last_start - MAX_ANSWER_CHARS, 0) : last_start + MAX_ANSWER_CHARS + 16]
    last_start = min(last_start, MAX_ANSWER_CHARS)
    boxes = _outer_boxes(window)
    if not boxes or not boxes[-1][0] <= last_start < boxes[-1][1]:
        return None
    answers, first = [_content(window, boxes[-1])], boxes[-1]
    for box, following in zip(boxes[-2::-1], boxes[:0:-1], strict=True):
        gap = window[box[1] : following[0]]
        if len(gap) > _MAX_CONNECTOR_CHARS or not (
            _CONNECTOR.fullmatch(gap) or _ALTERNATIVE.search(gap)
        ):
            break
        answers.append(_content(window, box))
        first = box
    distinct = list(dict.fromkeys(reversed(answers)))
    if any(not answer or "\\boxed" in answer for answer in distinct):
        return None
    before, after = window[: first[0]], window[boxes[-1][1] :]
    if _BEFORE.search(before) and not _LIST_ITEM.search(before):
        return None
    number = _NUMBER_IS.search(before)
    if number and len(distinct) == 1 and number[1] != distinct[0]:
        return None  # `6 = \\boxed{5}`
    if len(distinct) == 1 and (belonging := _belonging(after)):
        return distinct[0] + belonging, before
    return None if _AFTER.match(after) else (" or ".join(distinct), before)


def _belonging(after: str) -> str:
    """A sign for per cent or degrees, a base or a unit right behind a box; else nothing."""
    if _PER_CENT.match(after):
        return "%"
    if _DEGREES.match(after):
        return r"^\circ"
    if base := _BASE.match(after):
        return f"_{base[1] or base[2]}"
    found = _UNIT.match(after)
    if found is None:
        return ""
    written = found["text"] or found["word"]
    unit = parse_unit(written, separated=True)
    is_word = found["word"] is not None
    if unit is None or not unit.known or (is_word and not _is_measure_in_prose(written, unit)):
        return ""
    return f" {written}{re.sub('[ $]', '', found['power'] or '')}"


def _is_measure_in_prose(word: str, unit: Unit) -> bool:
    """`cm` or `miles`, but no `in`, and no noun, which may go on with the sentence."""
    first = word.partition(" ")[0]
    is_sign_or_plural = len(word) == 2 or singular(first) != first
    return word != "in" and noun_of(unit) is None and is_sign_or_plural


def _outer_boxes(text: str) -> list[tuple[int, int]]:
    """Start and end of every balanced box that lies in no other, in order."""
    boxes: list[tuple[int, int]] = []
    for match in _BOX.finditer(text):
        if boxes and match.start() < boxes[-1][1]:
            continue
        end = _closing_brace(text, match.end())
        if end is not None and end - match.end() <= MAX_ANSWER_CHARS:
            boxes.append((match.start(), end + 1))
    return boxes


def _closing_brace(text: str, start: int) -> int | None:
    r"""Where the brace opened just before `start` closes; `\{` and `\}` don't count."""
    depth = 1
    position = start
    while position < len(text):
        character = text[position]
        if character == "\\":
            position += 1
        elif character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
            if depth == 0:
                return position
        position += 1
    return None


def _content(text: str, box: tuple[int, int]) -> str:
    """What a box holds, opened as long as that is exactly one box."""
    content = text[box[0] : box[1]]
    while (match := _BOX.match(content)) and _closing_brace(content, match.end()) == len(
        content
    ) - 1:
        content = content[match.end() : -1].strip()
    return content
