"""What verifying an answer can come to."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

# `timeout`, and `crashed` where the comparison died, are never `wrong`: what this machine could not
# find out would else look like a bad policy.
Outcome = Literal["right", "wrong", "unparseable", "timeout", "crashed"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
UNDECIDED: frozenset[Outcome] = frozenset({"timeout", "crashed"})  # nothing is known of the answer


@dataclass(frozen=True)
class Verdict:
    """An outcome and, unless it is `right`, why.

    Attributes:
        outcome: What verifying came to.
        reason: In a few words; empty for right answers and plain wrong values.
    """

    outcome: Outcome
    reason: str = ""

    @property
    def is_limit(self) -> bool:
        """Whether a limit of size, time or memory was met: nothing is known of the answer."""
        return self.reason.startswith("unverifiable")


def count_outcomes(outcomes: Iterable[Outcome]) -> dict[Outcome, int]:
    """How often each outcome occurs, absent ones included."""
    counts = Counter(outcomes)
    return {outcome: counts[outcome] for outcome in OUTCOMES}
