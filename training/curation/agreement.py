"""Whether rows that ask the same have the same answer."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from training.answers import AnswerVerifier
from training.answers.normal import normalize
from training.answers.options import labelled, letter_of, read_options, same_words
from training.answers.outcome import Verdict
from training.answers.quick import judge

CONFLICTING = "duplicates with conflicting answers"
INCOMPARABLE = "duplicates with answers that cannot be compared"
MAX_KINDS = 16  # of answers of one question, with which others are compared
_NO_SIGN = re.compile(r"[\d\s]+")
_BETWEEN_CHOICES = " ;,"  # `A. 12; B. 14`: no part of the text before it


class Conflict(NamedTuple):
    """Two rows that ask the same, and why neither may stay.

    Fields:
        first: The place of one of them.
        second: That of the other.
        reason: Their answers differ, or a comparison was killed or died, and nobody knows.
    """

    first: int
    second: int
    reason: str


def conflict(
    places: Iterable[int], answers: Sequence[str] | Mapping[int, str], verifier: AnswerVerifier
) -> Conflict | None:
    """The first two places whose answers are not the same, else two whose answers nobody knows.

    Each answer is compared with the first of each kind: `5` is `5 cm` and `5 m`, which are not the
    same. Of one kind are those with the same signs and letters.
    """
    kinds, unknown = dict[frozenset[str], int](), None
    for place in places:
        firsts = list(kinds.values())
        verdicts = iter(_both_ways([(answers[place], answers[one]) for one in firsts], verifier))
        for first, both in zip(firsts, zip(verdicts, verdicts, strict=True), strict=True):
            if any(one.outcome != "right" and not one.is_limit for one in both):
                return Conflict(first, place, CONFLICTING)
            if any(one.is_limit for one in both):
                unknown = unknown or Conflict(first, place, INCOMPARABLE)
        if len(kinds) < MAX_KINDS:
            kinds.setdefault(frozenset(_NO_SIGN.sub("", answers[place])), place)
    return unknown


def agree(first: str, second: str, verifier: AnswerVerifier) -> bool:
    """Whether of two answers each is right where the other one is the reference."""
    verdicts = _both_ways([(first, second)], verifier)
    return all(one.outcome == "right" for one in verdicts)


@lru_cache(maxsize=2**12)  # rows of one template, beside questions of it, have few answers
def agree_by_rule(first: str, second: str) -> bool:
    """`agree`, as far as it is known without algebra."""
    return judge(first, second) == judge(second, first) == Verdict("right")


def meant(answer: str, question: str) -> str:
    """An answer, or the text of the choice that it names: `B`, `(B)` or `B. 12`, of `(B) 12`."""
    text = normalize(answer)
    label = labelled(text)
    letter = label[0] if label else letter_of(text)
    choice = read_options(question).get(letter, "").rstrip(_BETWEEN_CHOICES) if letter else ""
    if not choice or (label and not same_words(label[1], choice)):
        return answer
    return choice


def _both_ways(pairs: Sequence[tuple[str, str]], verifier: AnswerVerifier) -> list[Verdict]:
    """What each answer is where the other one of its pair is the reference, [2 * len(pairs)]."""
    answers = [answer for pair in pairs for answer in pair]
    references = [answer for first, second in pairs for answer in (second, first)]
    return verifier.judge([f"\\boxed{{{answer}}}" for answer in answers], references)
