"""Rows of the table of faults in docs/reliability.md."""

from collections.abc import Sequence
from dataclasses import dataclass

HEAD = "| fault | times | outcome | made by |\n|---|---|---|---|"


@dataclass(frozen=True)
class Row:
    """One fault.

    Attributes:
        fault: What was done.
        times: How often, or how often of each kind.
        outcome: What came of it.
        made_by: The command or the tests that do it.
        good: Whether nothing was lost.
    """

    fault: str
    times: str
    outcome: str
    made_by: str
    good: bool


def markdown(rows: Sequence[Row]) -> str:
    """The table; what went wrong is told in capitals."""
    lines = [
        f"| {row.fault} | {row.times} | {'' if row.good else 'FAILED: '}{row.outcome} "
        f"| {row.made_by} |"
        for row in rows
    ]
    return "\n".join([HEAD, *lines])
