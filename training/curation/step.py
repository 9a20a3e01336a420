"""What every step of curation gives back: the problems it keeps, and every reject with a reason."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from datasets import Dataset, Features, Value

from training.records import PROBLEM_FEATURES, Problem
from training.texts import MAX_TEXT_CHARACTERS


@dataclass(frozen=True)
class Reject:
    """A problem that a step dropped.

    Attributes:
        problem: The problem as the step saw it.
        step: Which step dropped it.
        reason: Why, in words that are the same for all problems with that fault.
    """

    problem: Problem
    step: str
    reason: str


@dataclass(frozen=True)
class StepResult:
    """Rows in = `kept` + `rejects`, always."""

    kept: list[Problem]
    rejects: list[Reject]


def split(problems: Sequence[Problem], reasons: Sequence[str | None], step: str) -> StepResult:
    """Splits problems by their reason for rejection; None keeps the problem."""
    pairs = list(zip(problems, reasons, strict=True))
    return StepResult(
        kept=[problem for problem, reason in pairs if reason is None],
        rejects=[Reject(problem, step, reason) for problem, reason in pairs if reason is not None],
    )


SHOWN_CHARACTERS = 1000
REJECT_FEATURES = Features(
    {**PROBLEM_FEATURES, "reject_step": Value("string"), "reject_reason": Value("string")}
)


def reject_dataset(rejects: Iterable[Reject]) -> Dataset:
    """Collects rejects into a `datasets.Dataset`: a problem's columns, the step and the reason.

    Of texts that are longer than any that is used, the beginning is kept: a small file may hold one
    of them a million times.
    """
    rows: list[dict[str, Any]] = [
        {field: _beginning(value) for field, value in reject.problem.items()}
        | {"reject_step": reject.step, "reject_reason": reject.reason}
        for reject in rejects
    ]
    columns = {name: [row[name] for row in rows] for name in REJECT_FEATURES}
    return Dataset.from_dict(columns, features=REJECT_FEATURES)


def _beginning(value: object) -> object:
    if isinstance(value, str) and len(value) > MAX_TEXT_CHARACTERS:
        return value[:SHOWN_CHARACTERS]
    return value
