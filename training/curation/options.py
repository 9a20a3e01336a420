"""Choices in columns of their own: appended to the question, and the answer becomes a letter."""

import string
from collections.abc import Sequence

from training.curation.refused import Refused

LETTERS = string.ascii_uppercase


def with_options(question: str, options: Sequence[str]) -> str:
    """The question with one line for each choice: `(A) red`."""
    lines = [f"({letter}) {text}" for letter, text in zip(LETTERS, options, strict=False)]
    return "\n".join([question, *lines])


def check_options(options: Sequence[str]) -> None:
    """Checks that choices can be told apart by letters.

    Raises:
        Refused: There is one choice, or more than the alphabet has letters, or two are equal.
    """
    if len(options) == 1:
        raise Refused("one option alone")
    if len(options) > len(LETTERS):
        raise Refused(f"more than {len(LETTERS)} options")
    if len(set(map(_plain, options))) < len(options):
        raise Refused("two equal options")


def letter_of(answer: str, options: Sequence[str]) -> str:
    """The letter of the right choice, which the answer names by letter or by text.

    `B`, `b`, `(B)` and `B.` are letters; a text is compared apart from case and spaces.

    Raises:
        Refused: It names none, or means one as a letter and another one as a text.
    """
    letters = LETTERS[: len(options)]
    bare = answer.strip().strip("().:").upper()
    by_letter = bare if len(bare) == 1 and bare in letters else None
    plain = [_plain(option) for option in options]
    by_text = letters[plain.index(_plain(answer))] if _plain(answer) in plain else None
    if by_letter and by_text and by_letter != by_text:
        raise Refused("answer that is one option's letter and another one's text")
    found = by_letter or by_text
    if found is None:
        raise Refused("answer that is none of the options")
    return found


def letter_at(answer: str, options: Sequence[str]) -> str:
    """The letter of the right choice by its index, from 0.

    Raises:
        Refused: There is no such choice.
    """
    number = answer.removesuffix(".0")  # of a column of floats
    if not number.isdecimal() or len(number) > 2 or int(number) >= len(options):
        raise Refused("answer that is no index of the options")
    return LETTERS[int(number)]


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
