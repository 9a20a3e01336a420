"""One judged response: a row of `predictions.parquet`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypedDict

from datasets import Features, Value

from training.answers import Outcome
from training.evaluation.items import RuleKind
from training.tables import write_rows


class Judged(TypedDict):
    """What a metric needs of a judged response.

    Fields:
        problem_id: The problem's id.
        sample: Which of the problem's responses it is, from 0.
        cluster: What it shares with problems that are no independent evidence, or its own id.
        part: Which part of its cluster the problem is, or None.
        rule: By which rule it was judged.
        outcome: The rule's verdict.
    """

    problem_id: str
    sample: int
    cluster: str
    part: str | None
    rule: RuleKind
    outcome: Outcome


class Prediction(Judged):
    """One judged response: a row of `predictions.parquet`.

    Fields:
        policy: Name of the policy: `base`, a training stage, or the model that was evaluated.
        benchmark: Name of the benchmark.
        level: The problem's level, or None.
        family: The problem's topic.
        prompt_digest: SHA-256, in hex, of what was asked, images included.
        question: The bare question, without choices and instructions.
        prompt: What was asked; None of an older version, which did not keep it.
        answer: The reference answer.
        response: The whole response.
        extracted: The answer found in the response, or None.
        chosen: What a vote counts it as, `training.evaluation.votes.reading`: the choices that it
            names, or its numbers; None if the rule reads neither.
        judged_by: `judge` if the rules found no answer and the judge did; else `rule`.
        judge_finding: What the judge found in it, a `training.evaluation.judge.Finding`; None if it
            was not asked.
        judge_reply: Its reply as it came, or None.
        judge_outcome: The rule's verdict on what it found, or None.
        failure: Why there is no response, in few words; None if there is one.
        truncated: True if the response ran out of tokens.
        reading_right: Whether the response transcribed the problem's givens rightly; None if the
            problem has no reading.
        num_tokens: Length of the response, tokens.
        num_prompt_tokens: Length of what was asked, tokens, with images and system prompt; None if
            an endpoint did not say, or there is no response.
    """

    policy: str
    benchmark: str
    level: int | None
    family: str
    prompt_digest: str
    question: str
    prompt: str | None
    answer: str
    response: str
    extracted: str | None
    chosen: str | None
    judged_by: Literal["rule", "judge"]
    judge_finding: str | None
    judge_reply: str | None
    judge_outcome: Outcome | None
    failure: str | None
    truncated: bool
    reading_right: bool | None
    num_tokens: int
    num_prompt_tokens: int | None


PREDICTION_FEATURES = Features(
    {
        "policy": Value("string"),
        "benchmark": Value("string"),
        "problem_id": Value("string"),
        "sample": Value("int32"),
        "level": Value("int32"),
        "family": Value("string"),
        "cluster": Value("string"),
        "part": Value("string"),
        "prompt_digest": Value("string"),
        "question": Value("string"),
        "prompt": Value("string"),
        "answer": Value("string"),
        "rule": Value("string"),
        "response": Value("string"),
        "extracted": Value("string"),
        "chosen": Value("string"),
        "outcome": Value("string"),
        "judged_by": Value("string"),
        "judge_finding": Value("string"),
        "judge_reply": Value("string"),
        "judge_outcome": Value("string"),
        "failure": Value("string"),
        "truncated": Value("bool"),
        "reading_right": Value("bool"),
        "num_tokens": Value("int32"),
        "num_prompt_tokens": Value("int32"),
    }
)


def write_predictions(predictions: Iterable[Prediction], path: Path) -> None:
    """Writes predictions as one Parquet file; parent folders are created."""
    write_rows(predictions, PREDICTION_FEATURES, path)


def is_right(prediction: Judged) -> bool:
    """Whether the response was judged right."""
    return prediction["outcome"] == "right"
