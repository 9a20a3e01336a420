"""What a part of the check comes to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Figure = float | int | str
Figures = dict[str, Figure]
Status = Literal["passed", "failed", "skipped"]


class Skipped(Exception):
    """What a part needs is not there; the message says what."""


class Failed(Exception):
    """A part ran, and a bound was missed or its processes did not end well.

    Args:
        reason: Which bound, or how they ended.
        figures: What was measured all the same.
        log: The end of what they printed.
    """

    def __init__(
        self, reason: str, figures: Mapping[str, Figure] | None = None, log: str = ""
    ) -> None:
        super().__init__(reason)
        self.figures = dict(figures or {})
        self.log = log


@dataclass(frozen=True)
class Outcome:
    """One part's result.

    Attributes:
        part: Its name.
        status: `skipped` where what it needs is not there.
        seconds: How long it took.
        figures: What it measured, by name, with units in the names.
        reason: Why it failed or was skipped.
        log: The end of what its processes printed, if they failed.
    """

    part: str
    status: Status
    seconds: float
    figures: Mapping[str, Figure] = field(default_factory=dict)
    reason: str = ""
    log: str = ""


def require_close(
    name: str, value: float, expected: float, tolerance: float, figures: Mapping[str, Figure]
) -> None:
    """Fails unless two numbers are equal within a relative tolerance; no number equals NaN.

    Raises:
        Failed: They are not.
    """
    if not abs(value - expected) <= tolerance * abs(expected):
        raise Failed(
            f"{name} is {value:.6g}, and {expected:.6g} was expected, within {tolerance:.2g} of it",
            figures,
        )
