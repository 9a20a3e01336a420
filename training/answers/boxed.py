r"""Finding the answer of a response: the content of its last \boxed{}."""

import re
from typing import NamedTuple

from training.answers.surroundings import belonging, follows_number, is_part, label

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
    return found.answer if found else None


def extract_listed(text: str) -> list[str]:
    """The contents of the boxes whose enumeration `extract_boxed` gives back; one or none else."""
    found = _last_answer(text)
    return found.parts if found else []


def extract_labelled(text: str) -> str | None:
    r"""The content of the last box with the name before it: `$y = \boxed{5}$` is `y = 5`.

    Returns:
        As `extract_boxed`; with the letter, letter with an index or two points before the box if a
        formula begins with it and the content has no `=` of its own.
    """
    found = _last_answer(text)
    if found is None:
        return None
    name = label(found.before)
    return f"{name} = {found.answer}" if name and "=" not in found.answer else found.answer


def behind_box(text: str) -> str | None:
    r"""What stands behind the last `\boxed{...}`; None if there is none or it does not close."""
    box = _BOX.match(text, max(text.rfind("\\boxed"), 0))
    end = _closing_brace(text, box.end()) if box else None
    return None if end is None else text[end + 1 :]


class _Found(NamedTuple):
    """An answer, what stands before its box, if it is a single one, and each box of a list."""

    answer: str
    before: str
    parts: list[str]


def _last_answer(text: str) -> _Found | None:
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
    if len(distinct) > 1:
        return None if is_part(before, after) else _Found(" or ".join(distinct), "", distinct)
    answer = distinct[0]
    more, end = belonging(after)
    if is_part(before, after[end:], after[:end]) or follows_number(before, answer):
        return None
    return _Found(answer + more, before, [answer + more])


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
