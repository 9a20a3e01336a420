"""What every benchmark is: a small module with its problems.

How its responses are scored stands apart (`training.evaluation.scoring`): curation, which has to
know the questions, then depends on no scoring.
"""

from typing import Protocol

from training.records import Problem


class Benchmark(Protocol):
    """A module of training.evaluation satisfies it.

    Attributes:
        SCORING: Name of its way of scoring.
    """

    SCORING: str

    def load(self, num_problems: int | None) -> list[Problem]:
        """The held-out problems, the first `num_problems` or all; the same in every run."""
        ...
