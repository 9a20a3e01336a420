"""What others need of a verifier; loads nothing."""

from collections.abc import Sequence
from typing import Protocol

from training.answers.outcome import Outcome, Verdict


class AnswerVerifier(Protocol):
    """What is needed of `training.answers.Verifier`.

    Attributes:
        num_timeouts: Comparisons that were killed so far: on a quieter machine they might not be.
        num_crashes: Those whose process died.
    """

    num_timeouts: int
    num_crashes: int

    def verify(
        self,
        responses: Sequence[str],
        references: Sequence[str],
        questions: Sequence[str] | None = None,
    ) -> list[Outcome]:
        """One outcome for each response."""
        ...

    def judge(
        self,
        responses: Sequence[str],
        references: Sequence[str],
        questions: Sequence[str] | None = None,
    ) -> list[Verdict]:
        """The same with the reasons."""
        ...
