"""A question without the choices at its end: a leak may bring none, others, or another order.

Choices are lettered from A on without a gap (`(A) 3 (B) 4`, `A. 3`, `A: 3`, a line or not between
them; `A: 3` on lines alone), perhaps behind `Choices:` or `Options:`, and nothing follows them but
a sentence that tells to choose, or a prompt's sentences that say how to answer and ask nothing.
Small letters are parts of a question, and `P(A)` is a value.
"""

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass

from training.curation.wording import Wording, read

_MARK = re.compile(r"(?<!\w)\(([A-J])\)|(?<![\w\\(])([A-J])\s?[.)]|^\s?([A-J])\s?:", re.MULTILINE)
_HEADING = re.compile(r"(?:answer\s)?(?:choices|options)\s?(?::\s{0,9}$|:\s{0,9}\n)", re.IGNORECASE)
# What stands between a stem and a mark in LaTeX: `$\textbf{(A)}\ 3`.
_OPENING = re.compile(r"[\s$]{0,9}(?:\\(?:text|math)[a-z]{0,6}\s?\{\s?)?$")
_TELLS = re.compile(
    r"(?:^|(?<=[.?!:)\n\s]))\s?(?:please\s)?(?:"
    r"(?:choose|select|pick)(?:\s(?:one|the\s(?:correct|right|best)\s(?:answer|option|choice|letter)))?"
    r"(?:\s(?:from|among|out\sof))?(?:\s(?:the\s)?(?:following|given|above)?\s?(?:options|choices)"
    r"|\s?:?\s?[A-J](?:(?:,\s?(?:or\s|and\s)?|\s(?:or|and)\s|/)[A-J])+)?"
    r"|(?:answer|respond)\s(?:directly\s)?with\sthe\s(?:option|choice|letter|correct)[^.?!\n]{0,80}"
    r")[.!:]?\s?$",
    re.IGNORECASE,
)
_TAIL_CHARACTERS = 300  # of a text, where such a sentence is looked for
# Behind choices, where a prompt says how to answer: all that follows is of the prompt.
_SAYS_HOW = re.compile(
    r"(?:\n(?!\s{0,9}\(?[A-J]\s?[).:])|\s(?=(?:please|let['’]?s|think|explain|show|put|give|output|return"
    r"|format|remember|your|you\s(?:first|should|must|need))\s))"
    r"(?=[^\n?]{0,200}?(?:\bstep[- ]by[- ]step|\\boxed|<(?:think|answer)>|\b(?:letter|response)\b"
    r"|\b(?:your|final|correct)\s(?:answer|choice|option)|(?:answer|solution)\s?:))",
    re.IGNORECASE,
)
_ASKS = re.compile(r"\?|\b(?:find|determine|compute|calculate|how\s(?:many|much))\b", re.IGNORECASE)
_PROMPT_CHARACTERS = 1000  # of a text, where such lines are looked for
# Behind the last choice: the question goes on. A choice on lines of its own may be two sentences.
_FURTHER, _FURTHER_LINE = re.compile(r"\?|[.!]\s+\S|\n\s*\S"), re.compile(r"\?|\n\s*\S")
_POINTS_AT_CHOICES = re.compile(
    r"\b(?:following|statements?|options?|choices?|which\sof|one\sof|these)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Stem:
    """What is asked, and the choices apart.

    Attributes:
        wording: The question without its choices.
        choices: How each choice reads, sorted; empty if there are none.
        needs_choices: Whether it asks about its choices: without them it is no problem.
    """

    wording: Wording
    choices: tuple[str, ...]
    needs_choices: bool

    def matches(self, other: "Stem") -> bool:
        """Whether the two may be compared without choices, of which one at least has some."""
        if not self.choices and not other.choices:
            return False
        return not (self.needs_choices or other.needs_choices) or self.choices == other.choices


def stem_of(question: str, whole: Wording) -> Stem:
    """Takes the choices off a question.

    Args:
        question: The question's text.
        whole: How it reads.
    """
    text = _without_tells(_without_prompt(question))
    marks = _lettered(text)
    start = marks[0].start() if marks else len(text)
    choices = _between(text, marks)
    heading = next(reversed(list(_HEADING.finditer(text[:start]))), None)
    if heading and not _goes_on(text[heading.end() : start]):
        lines = text[heading.end() : start].split("\n")
        choices += [line for line in lines if line.strip()]
        start = heading.start()
    stem = _without_tells(_OPENING.sub("", text[:start]))
    if stem == question or not stem.strip():
        return Stem(whole, (), needs_choices=False)
    told = tuple(sorted(read(choice).squeezed for choice in choices)) or ("",)
    return Stem(read(stem), told, bool(_POINTS_AT_CHOICES.search(stem)))


def _without_tells(text: str) -> str:
    text = text.rstrip()
    head, tail = text[:-_TAIL_CHARACTERS], text[-_TAIL_CHARACTERS:]
    return head + _TELLS.sub("", tail).rstrip()


def _without_prompt(text: str) -> str:
    """Without the sentences behind lettered choices that say how to answer."""
    for found in _SAYS_HOW.finditer(text, max(len(text) - _PROMPT_CHARACTERS, 0)):
        head = text[: found.start()]
        if not _ASKS.search(text, found.start()) and _lettered(_without_tells(head)):
            return head
    return text


def _lettered(text: str) -> Sequence[re.Match[str]]:
    """The marks of the choices at the end, A first; none unless nothing follows the last one."""
    marks = list(_MARK.finditer(text))
    if not marks:
        return []
    is_on_a_line = not text[: marks[-1].start()].rpartition("\n")[2].strip()
    further = _FURTHER_LINE if is_on_a_line else _FURTHER
    if further.search(text[marks[-1].end() :].strip()):
        return []
    num = string.ascii_uppercase.index(_letter(marks[-1])) + 1
    block = marks[-num:]
    letters = "".join(map(_letter, block))
    is_block = num > 1 and letters == string.ascii_uppercase[:num]
    return block if is_block and len({mark[0].strip()[-1] for mark in block}) == 1 else []


def _letter(mark: re.Match[str]) -> str:
    return mark[1] or mark[2] or mark[3]


def _between(text: str, marks: Sequence[re.Match[str]]) -> list[str]:
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    found = (text[mark.end() : end] for mark, end in zip(marks, ends, strict=False))
    return [_OPENING.sub("", choice).lstrip("}\\ ") for choice in found]


def _goes_on(text: str) -> bool:
    return "?" in text
