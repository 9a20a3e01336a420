"""The corpus: pairs of every class, and how many of them a verifier judges well."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from experiments.answers import asked as asked_for
from experiments.answers import conversions, forms, things, writings
from experiments.answers.right import RIGHT
from experiments.answers.wrong import WRONG

PAIRS_PER_CLASS = 110


@dataclass(frozen=True)
class Case:
    """One pair whose truth is known.

    Attributes:
        kind: Its class.
        answer: What the response boxes.
        reference: The reference answer.
        right: The truth.
        question: What was asked; "" where it does not matter.
    """

    kind: str
    answer: str
    reference: str
    right: bool
    question: str = ""

    @property
    def response(self) -> str:
        """A response with the answer in a box."""
        return rf"<think> so it is </think> The answer is $\boxed{{{self.answer}}}$."


def corpus(seed: int = 0, pairs_per_class: int = PAIRS_PER_CLASS) -> list[Case]:
    """The same cases for the same seed, no pair twice."""
    cases: dict[tuple[str, str, str], Case] = {}
    for makers, right in ((RIGHT, True), (WRONG, False)):
        for kind, make in makers.items():
            rng = Random(f"{seed} {kind}")
            for _ in range(pairs_per_class):
                pair = make(rng)
                cases.setdefault((*pair, ""), Case(kind, *pair, right))
    with_questions = (asked_for, forms, things, writings, conversions)
    for right in (True, False):
        makers_by_class = (each.RIGHT if right else each.WRONG for each in with_questions)
        for kind, ask in (pair for makers in makers_by_class for pair in makers.items()):
            rng = Random(f"{seed} {kind}")
            for _ in range(pairs_per_class):
                answer, reference, question = ask(rng)
                case = Case(kind, answer, reference, right, question)
                cases.setdefault((answer, reference, question), case)
    return list(cases.values())


def errors(cases: Sequence[Case], rewarded: Sequence[bool]) -> dict[str, tuple[int, int]]:
    """By class: how many cases, and how many of them were judged against the truth."""
    totals = Counter(case.kind for case in cases)
    wrong = Counter(
        case.kind for case, paid in zip(cases, rewarded, strict=True) if paid != case.right
    )
    return {kind: (total, wrong[kind]) for kind, total in totals.items()}
