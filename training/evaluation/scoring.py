"""The ways of scoring: from a problem to a prompt, and from responses to verdicts and a score."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from contracts.scores import Score
from training.answers import Outcome, Verifier
from training.evaluation import single_answer
from training.evaluation.registry import find_benchmark
from training.evaluation.scores import Prediction
from training.records import Problem
from training.rollout.protocol import Prompt, Request


class Scoring(Protocol):
    """Prompt, extract, score, aggregate. A module of training.evaluation satisfies it."""

    def prompt(self, problem: Problem) -> Prompt:
        """What the policy is asked."""
        ...

    def extract(self, response: str) -> str | None:
        """The answer in a response, or None if there is none."""
        ...

    def score(
        self, requests: Sequence[Request], responses: Sequence[str], verifier: Verifier
    ) -> list[Outcome]:
        """The verdict on one response to each request."""
        ...

    def aggregate(self, predictions: Sequence[Prediction], generator: np.random.Generator) -> Score:
        """One policy's predictions as a score, with an interval that may need random draws."""
        ...


SCORINGS: dict[str, Scoring] = {"single_answer": single_answer}


def scoring_of(benchmark: str) -> Scoring:
    """How a benchmark's responses are scored.

    Raises:
        RecipeError: There is no benchmark of that name.
    """
    return SCORINGS[find_benchmark(benchmark).SCORING]
