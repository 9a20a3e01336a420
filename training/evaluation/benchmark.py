"""What every benchmark is: a small module with these functions."""

from collections.abc import Sequence
from typing import Protocol

from training.answers import Outcome, Verifier
from training.evaluation.scores import Prediction, Score
from training.records import Problem
from training.rollout.protocol import Prompt


class Benchmark(Protocol):
    """Load, prompt, extract, score, aggregate. A module of training.evaluation satisfies it."""

    def load(self, num_problems: int | None) -> list[Problem]:
        """The held-out problems, the first `num_problems` or all; the same in every run."""
        ...

    def prompt(self, problem: Problem) -> Prompt:
        """What the policy is asked."""
        ...

    def extract(self, response: str) -> str | None:
        """The answer in a response, or None if there is none."""
        ...

    def score(
        self, problems: Sequence[Problem], responses: Sequence[str], verifier: Verifier
    ) -> list[Outcome]:
        """The verdict on each response."""
        ...

    def aggregate(self, predictions: Sequence[Prediction]) -> Score:
        """One policy's predictions as a score."""
        ...
