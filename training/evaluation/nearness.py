"""Which choice's text is the nearest to an answer that is the text of none."""

import re
from collections.abc import Sequence

import numpy as np

from training.evaluation.alike import is_value, plain

MAX_COMPARED_CHARACTERS = 1000
# Words that deny what stands beside them, and beginnings of a word that deny the word.
DENIAL = re.compile(r"\b(?:no|not|non|cannot|never|neither|nor|none|without)\b|n['’]t\b")
_DENYING = ("un", "in", "im", "ir", "il", "non", "dis", "a")
_HEDGED = re.compile(r"\b[A-Z]\b\W+(?:or|and|,|/)\W*\b[A-Z]\b")
# What a thing is called, in which a single letter says another one: `angle ABC`, `x is larger`.
_NAME = re.compile(r"\b(?:[A-Z]{2,4}|[A-Zb-z])\d?\b(?!['’])")


def nearest(answer: str, choices: Sequence[str]) -> int | None:
    """Which text has the smallest edit distance to an answer; None if none is near.

    A value is near to nothing but itself; nor is a text near that has other digits or names, that
    differs in half of the choice's characters or more, that is as near to another one, or that
    denies it or is denied by it.
    """
    given = plain(answer)[:MAX_COMPARED_CHARACTERS]
    if not given or not choices or is_value(given.casefold()) or _HEDGED.search(given):
        return None
    texts = [plain(choice)[:MAX_COMPARED_CHARACTERS] for choice in choices]
    distances = [edit_distance(given.casefold(), one.casefold()) for one in texts]
    best = min(distances)
    near = texts[distances.index(best)]
    if distances.count(best) > 1 or 2 * best >= len(near):
        return None
    if _denies(given.casefold(), near.casefold()) or not _same_names(given, near):
        return None
    return distances.index(best) if _digits(given) == _digits(near) else None


def _same_names(text: str, choice: str) -> bool:
    """Whether what either calls a thing by stands in the other, too, if the choice names any.

    Where both name as many things, in one order: `A is larger than B` is not `B is larger than A`.
    """
    theirs = {name.casefold() for name in _NAME.findall(choice)}
    names = theirs | {name.casefold() for name in _NAME.findall(text)}
    said, meant = (
        [word for word in re.findall(r"\w+", one.casefold()) if word in names]
        for one in (text, choice)
    )
    is_same = said == meant or (len(said) != len(meant) and set(said) == set(meant))
    return not theirs or is_same


def _denies(text: str, choice: str) -> bool:
    """Whether one of two texts denies the other: `not congruent` or `incongruent`, `congruent`."""
    if bool(DENIAL.search(text)) != bool(DENIAL.search(choice)):
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


def _digits(text: str) -> list[str]:
    return re.findall(r"\d", text)
