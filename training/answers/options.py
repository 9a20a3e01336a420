"""The choices that a question lists, and answers that copy one with its text: `B. heart`."""

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import takewhile

from training.answers.normal import normalize

_MOST_CHARACTERS = 4000  # of a question, from its end
_LETTERS = "ABCDEFGHIJ"
# How a list may mark its choices; each list keeps to one way.
_MARKS = tuple(
    re.compile(mark)
    for mark in (
        r"\(([A-J])\)",
        r"(?<![\w(\\])([A-J])\)",
        r"(?<![\w\\])([A-J])\.(?:(?=\s|\$)|(?<=\n[A-J].))",
        r"(?<![\w\\])([A-J]):(?:(?=\s|\$)|(?<=\n[A-J].))",
    )
)
_LETTER = re.compile(r"\(?([A-J])\)?[.:)]?")
# `(B) heart`, `B. heart`, `B - heart`, `B (heart)`, `heart (B)`.
_LABELLED = (
    re.compile(r"\((?P<letter>[A-J])\) ?[.:]? ?(?P<text>.+)", re.DOTALL),
    re.compile(r"(?P<letter>[A-J]) ?[.):=-] ?(?P<text>.+)", re.DOTALL),
    re.compile(r"(?P<letter>[A-J]) ?\((?P<text>.+)\)", re.DOTALL),
    re.compile(
        r"(?!.*\b(?:option|choice|answer|is):? ?\()(?P<text>.+?) ?\((?P<letter>[A-J])\)",
        re.DOTALL | re.IGNORECASE,
    ),
)
_STYLED = re.compile(r"\\(?:text|math)(?:bf|rm)?\s*\{\s*(\([A-J]\))\s*\}")
_NO_MEANING = re.compile(r"\b(?:a|an|the)\b|[\s.,;{}$]")


@lru_cache(maxsize=4096)
def read_options(question: str) -> Mapping[str, str]:
    """The text of each choice by its letter; empty unless the question lists A, B and so on."""
    text = _STYLED.sub(r"\1", question[-_MOST_CHARACTERS:])
    run = _run_of_letters(text)
    if not run:
        return {}
    ends = [match.start() for match in run[1:]]
    last = text[run[-1].end() :].strip().partition("\n")[0]
    texts = [text[match.end() : end] for match, end in zip(run, ends, strict=False)]
    texts.append(last)
    return {match[1]: normalize(_without_dollar(t)) for match, t in zip(run, texts, strict=True)}


def _without_dollar(text: str) -> str:
    """A text without the dollar sign that closes the formula of a whole list of choices."""
    is_odd = (text.count("$") - text.count(r"\$")) % 2 == 1
    return text.strip().removesuffix("$" if is_odd else "").strip()


def without_options(question: str) -> str:
    """What a question says before it lists its choices."""
    question = _STYLED.sub(r"\1", question)
    run = _run_of_letters(question)
    return question[: run[0].start()] if run else question


def _run_of_letters(text: str) -> list[re.Match[str]]:
    """Where the choices A, B and so on of a text begin; empty if it lists none."""
    for mark in _MARKS:
        matches = list(mark.finditer(text))
        first = max((i for i, match in enumerate(matches) if match[1] == "A"), default=None)
        if first is None:
            continue
        pairs = zip(_LETTERS, matches[first:], strict=False)
        run = [match for _, match in takewhile(lambda pair: pair[0] == pair[1][1], pairs)]
        if len(run) > 1:
            return run
    return []


def labelled(answer: str) -> tuple[str, str] | None:
    """The letter and the text of a normalised answer such as `B. heart`; None if it is no such."""
    for pattern in _LABELLED:
        if match := pattern.fullmatch(answer):
            return match["letter"], match["text"].strip()
    return None


def letter_of(reference: str) -> str | None:
    """The letter that a normalised reference is; None if it is more, or something else."""
    match = _LETTER.fullmatch(reference)
    return match[1] if match else None


def letter_meant(reference: str, options: Mapping[str, str]) -> str | None:
    """The letter of the one choice whose text a normalised reference is, alone or labelled."""
    label = labelled(reference)
    text = label[1] if label else reference
    found = [letter for letter, option in options.items() if same_words(text, option)]
    if len(found) != 1 or (label is not None and label[0] != found[0]):
        return None
    return found[0]


def same_words(text: str, option: str) -> bool:
    """Whether two normalised texts say the same, apart from case, articles, spaces and commas."""
    first, second = (_NO_MEANING.sub("", each.lower()) for each in (text, option))
    return first == second
