"""Which of several choices an answer names."""

import re
from collections.abc import Sequence

import numpy as np

from training.answers.normal import normalize
from training.answers.numbers import parse_number

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ONE = re.compile(
    r"[(\[{]?\s*(?:(?:option|choice)\s+)?[(\[]?([A-Za-z])[)\]]?\s*[)\]}]?\s*[.:]?", re.I
)
_LABELLED = re.compile(r"[(\[]?([A-Z])(?:[)\]][.:]?|[.:])\s*(\S.*)", re.DOTALL)
_SEVERAL = re.compile(
    r"(?:(?:options?|choices?)\s*:?\s+)?"
    r"[A-Z](?:(?:\s*(?:,|;|&|\band\b)\s*|\s+)(?:and\s+)?[A-Z])*",
    re.I,
)
_TOGETHER = re.compile(r"[A-Z]{2,8}")
# What follows a label names another choice, or takes the first one back.
_FURTHER = re.compile(
    r"\b[A-Z]\b|\b(?:not|and|(?i:or|but|rather|maybe|perhaps|possibly|instead|however|actually|wait"
    r"|is (?:wrong|incorrect)))\b"
)
# Words that deny what stands beside them, and beginnings of a word that deny the word.
_DENIAL = re.compile(r"\b(?:no|not|non|cannot|never|neither|nor|none|without)\b|n['’]t\b")
_DENYING = ("un", "in", "im", "ir", "il", "non", "dis", "a")
_HEDGED = re.compile(r"\b[A-Z]\b\W+(?:or|and|,|/)\W*\b[A-Z]\b")
MAX_COMPARED_CHARACTERS = 1000


def lettered(question: str, choices: Sequence[str]) -> str:
    """The question with its choices below, one a line: `A. text`."""
    lines = [f"{letter}. {text}" for letter, text in zip(LETTERS, choices, strict=False)]
    return "\n".join([question, *lines])


def letter_at(index: int) -> str:
    """The letter of a choice, counted from 0."""
    return LETTERS[index]


def read_letter(answer: str, choices: Sequence[str]) -> str | None:
    """The one choice that an answer names, or None.

    Args:
        answer: What was taken from the response.
        choices: The texts of the choices, in the order of their letters; empty if not known.

    Returns:
        The letter of `B`, `(b)`, `B. 12 cm` (unless the text is another choice's) or `12 cm`; None
        for several letters, for a letter that is no choice, and for a text of no choice or of two.
    """
    text = _plain(answer)
    if (found := _ONE.fullmatch(text)) and (letter := _if_choice(found[1].upper(), choices)):
        return letter
    if labelled := _LABELLED.fullmatch(text):
        named, rest = _if_choice(labelled[1], choices), _text_letters(labelled[2], choices)
        if rest:
            return named if named in rest else None
        return None if _FURTHER.search(labelled[2]) else named
    letters = _text_letters(text, choices)
    return letters[0] if len(letters) == 1 else None


def read_letters(answer: str) -> str | None:
    """The set of choices that an answer names, such as `B, D`: sorted, each once; or None.

    Alternatives (`B or D`) are no set. One choice is read as by `read_letter`.
    """
    text = _plain(answer)
    if _TOGETHER.fullmatch(text) and len(set(text)) == len(text):
        return ", ".join(sorted(text))
    without_brackets = re.sub(r"[()\[\]{}⟨⟩.]", " ", text).strip()
    if not _SEVERAL.fullmatch(without_brackets):
        return read_letter(answer, ())
    return ", ".join(sorted(set(re.findall(r"\b[A-Z]\b", without_brackets.upper()))))


def nearest_letter(answer: str, choices: Sequence[str]) -> str | None:
    """As `read_letter`, or the letter of the text with the smallest edit distance.

    Of choices with the same text, which is the answer's, it is the first. A number is near to
    nothing but itself; nor is an answer near that differs from the text in more than half of the
    text's characters, that is as near to another one, or that denies it or is denied by it.
    """
    if (letter := read_letter(answer, choices)) is not None:
        return letter
    if letters := _text_letters(_plain(answer), choices):
        return letters[0]
    text = _plain(answer)[:MAX_COMPARED_CHARACTERS].casefold()
    if not text or parse_number(normalize(text)) or _HEDGED.search(_plain(answer)):
        return None
    texts = [_plain(choice)[:MAX_COMPARED_CHARACTERS].casefold() for choice in choices]
    distances = [edit_distance(text, one) for one in texts]
    if not distances:
        return None
    best = min(distances)
    index = distances.index(best)
    if distances.count(best) > 1 or 2 * best > len(texts[index]) or _denies(text, texts[index]):
        return None
    return LETTERS[index]


def same_choice(given: str | None, wanted: str, choices: Sequence[str]) -> bool:
    """Whether a letter is the wanted one, or of a choice with the same text."""
    if given is None or given == wanted or not choices:
        return given == wanted
    mine, theirs = (_key(choices[LETTERS.index(letter)]) for letter in (given, wanted))
    return mine == theirs != ""


def _denies(text: str, choice: str) -> bool:
    """Whether one of two texts denies the other: `not congruent` or `incongruent`, `congruent`."""
    if bool(_DENIAL.search(text)) != bool(_DENIAL.search(choice)):
        return True
    mine, theirs = (set(re.findall(r"\w+", one)) for one in (text, choice))
    return any(
        f"{beginning}{word}" in others
        for words, others in ((mine, theirs), (theirs, mine))
        for word in words - others
        for beginning in _DENYING
    )


def edit_distance(first: str, second: str) -> int:
    """Levenshtein's: the least number of characters to insert, delete or replace."""
    steps = np.arange(len(second) + 1)
    codes = np.array([ord(character) for character in second], dtype=np.int64)
    row = steps
    for character in first:
        replaced = row[:-1] + (codes != ord(character))
        best = np.concatenate(([row[0] + 1], np.minimum(row[1:] + 1, replaced)))
        # Insertions run along the row: best[j] = min over i <= j of best[i] + (j - i).
        row = np.minimum.accumulate(best - steps) + steps
    return int(row[-1])


def _if_choice(letter: str, choices: Sequence[str]) -> str | None:
    return letter if not choices or letter in LETTERS[: len(choices)] else None


def _text_letters(text: str, choices: Sequence[str]) -> list[str]:
    """The letters of the choices with this text; equal numbers are equal texts."""
    wanted = _key(text)
    return [
        letter
        for letter, choice in zip(LETTERS, choices, strict=False)
        if wanted and _key(choice) == wanted
    ]


def _key(text: str) -> str:
    return re.sub(r"\s+", "", normalize(text)).casefold()


def _plain(text: str) -> str:
    """Without LaTeX styles, dollar signs and a full stop."""
    return normalize(text).strip()
