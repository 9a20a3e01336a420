"""The parts that benchmarks with one verifiable answer a problem share."""

from collections.abc import Sequence

from training.answers import Outcome, Verifier, extract_boxed
from training.evaluation.scores import accuracy_score
from training.records import Problem
from training.rollout.protocol import Prompt, Request

aggregate = accuracy_score
extract = extract_boxed


def prompt(problem: Problem) -> Prompt:
    """The images, then the question."""
    return Prompt(problem["question"], problem["images"])


def score(
    requests: Sequence[Request], responses: Sequence[str], verifier: Verifier
) -> list[Outcome]:
    """The verdict of the verifier that also rewards the policy in training."""
    questions = [request.prompt.question for request in requests]
    return verifier.verify(responses, [one.reference for one in requests], questions)
