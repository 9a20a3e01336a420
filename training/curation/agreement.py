"""Whether rows that ask the same have the same answer."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from training.answers import AnswerVerifier
from training.answers.outcome import Verdict
from training.answers.quick import judge


def conflict(
    places: Iterable[int], answers: Sequence[str] | Mapping[int, str], verifier: AnswerVerifier
) -> tuple[int, int] | None:
    """The first two places whose answers are not the same, or None.

    Every two are compared: `5` is `5 cm` and `5 m`, which are not the same.
    """
    pairs = combinations(places, 2)
    return next(((a, b) for a, b in pairs if not agree(answers[a], answers[b], verifier)), None)


def agree(first: str, second: str, verifier: AnswerVerifier) -> bool:
    """Whether of two answers each is right where the other one is the reference."""
    boxed = [f"\\boxed{{{answer}}}" for answer in (first, second)]
    return verifier.verify(boxed, [second, first]) == ["right", "right"]


def agree_by_rule(first: str, second: str) -> bool:
    """`agree`, as far as it is known without algebra."""
    return judge(first, second) == judge(second, first) == Verdict("right")
