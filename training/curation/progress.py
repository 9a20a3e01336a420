"""What curation tells of its steps while it runs: that each begins, and what became of its rows.

The lines are read by whoever watches the stage (`contracts.steps`), who shows the steps as tasks.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from contracts.steps import StepLine
from training.runtime.log import say

PASS_RATE, LEVEL = "pass rate by the base", "level by the larger model"
TRACES, EMBEDDINGS, TOPICS = "traces", "embeddings", "topics"
NAMES, SETS = "topic names", "sets"
MAX_REASONS = 12  # that are told; a rule of somebody's own may give each row another


def begin(step: str) -> None:
    """Tells that a step begins."""
    say(str(StepLine(step, None)))


def end(step: str, told: str) -> None:
    """Tells that a step has ended, and what became of it; of one that fails nothing is told."""
    say(str(StepLine(step, told)))


@contextmanager
def step(name: str) -> Iterator[list[str]]:
    """Tells that a step begins, and at the end of a `with` what was put into the list meanwhile."""
    told: list[str] = []
    begin(name)
    yield told
    end(name, "; ".join(told))


def counts(num_in: int, reasons: Counter[str]) -> str:
    """How many rows came into a step and are left, and how many went for which reason."""
    return f"{num_in} rows in, {num_in - reasons.total()} left; {rejected(reasons)}"


def rejected(reasons: Counter[str]) -> str:
    """How many rows were rejected, for which reasons, the most frequent first."""
    told = [f"{count} {why}" for why, count in reasons.most_common(MAX_REASONS)]
    if (num_more := len(reasons) - len(told)) > 0:
        rest = reasons.total() - sum(count for _, count in reasons.most_common(MAX_REASONS))
        told.append(f"{rest} for {num_more} other reasons")
    return "; ".join(told) or "none rejected"
