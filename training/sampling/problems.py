"""Problems with a reference answer as requests, and their answers by an engine that exists."""

from collections.abc import Sequence

from training.answers import AnswerVerifier
from training.records import Problem
from training.rollout.protocol import Prompt, Request, RolloutEngine, SamplingSettings
from training.runtime.metrics import MetricsLog
from training.sampling.chunks import Answer
from training.sampling.job import SamplingJob
from training.sampling.verdicts import REFERENCE, compare_with_reference


def request_of(problem: Problem, settings: SamplingSettings) -> Request:
    """Asks a problem's question; the responses are compared with its answer."""
    return Request(
        id=problem["id"],
        prompt=Prompt(problem["question"], problem["images"]),
        settings=settings,
        reference=problem["answer"],
        judge=REFERENCE,
    )


def answer(
    engine: RolloutEngine,
    verifier: AnswerVerifier,
    problems: Sequence[Problem],
    settings: SamplingSettings,
    seed: int,
) -> list[list[Answer]]:
    """Asks a policy problems in the middle of its training, and verifies the responses.

    The draws are those of the seed and the problems: no generator of the training moves, and with
    the same seed two states of a policy are compared on the same random numbers.

    Args:
        engine: Samples from the policy; every process has one.
        verifier: Decides whether an answer is right.
        problems: With unique ids, the same on every process. They call this together, and each
            takes problems as it has room.
        settings: How responses are drawn, and how many.
        seed: Of the draws.

    Returns:
        For each problem its responses by sample, on every process.
    """
    requests = [request_of(problem, settings) for problem in problems]
    judges = {REFERENCE: compare_with_reference(verifier)}
    with SamplingJob(seed=seed, judges=judges, log=MetricsLog(None)) as job:
        job.ask(requests, lambda: engine)
        return job.answers(requests)
