"""What every step of curation gives back: the problems it keeps, and every reject with a reason."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Features, Value

from training.records import PROBLEM_FEATURES, Problem
from training.tables import write_rows
from training.texts import MAX_TEXT_CHARACTERS


@dataclass(frozen=True)
class Reject:
    """A problem that a step dropped.

    Attributes:
        problem: The problem as the step saw it.
        step: Which step dropped it.
        reason: Why, in words that are the same for all problems with that fault.
        detail: What it was found by, such as the problem that stays; empty where nothing is.
    """

    problem: Problem
    step: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class StepResult:
    """Rows in = `kept` + `rejects`, always."""

    kept: list[Problem]
    rejects: list[Reject]


def split(
    problems: Sequence[Problem],
    reasons: Sequence[str | None],
    step: str,
    details: Mapping[int, str] | None = None,
) -> StepResult:
    """Splits problems by their reason for rejection; None keeps the problem.

    Args:
        problems: The problems.
        reasons: One for each.
        step: The step that gives them.
        details: Place of a rejected problem -> what it was found by.
    """
    found = details or {}
    pairs = list(zip(problems, reasons, strict=True))
    return StepResult(
        kept=[problem for problem, reason in pairs if reason is None],
        rejects=[
            Reject(problem, step, reason, found.get(place, ""))
            for place, (problem, reason) in enumerate(pairs)
            if reason is not None
        ],
    )


SHOWN_CHARACTERS = 1000
REJECT_FEATURES = Features(
    {
        **PROBLEM_FEATURES,
        "reject_step": Value("string"),
        "reject_reason": Value("string"),
        "reject_detail": Value("string"),
    }
)


def write_rejects(rejects: Iterable[Reject], path: Path) -> None:
    """Writes rejects as one Parquet file: a problem's columns, then step, reason and detail.

    Of texts that are longer than any that is used, the beginning is kept: a small file may hold one
    of them a million times.
    """
    rows: Iterator[dict[str, Any]] = (
        {field: _beginning(value) for field, value in reject.problem.items()}
        | {
            "reject_step": reject.step,
            "reject_reason": reject.reason,
            "reject_detail": reject.detail,
        }
        for reject in rejects
    )
    write_rows(rows, REJECT_FEATURES, path)


def _beginning(value: object) -> object:
    if isinstance(value, str) and len(value) > MAX_TEXT_CHARACTERS:
        return value[:SHOWN_CHARACTERS]
    return value
