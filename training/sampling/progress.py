"""How far a sampling job is, over all processes, in the stage's metrics."""

import time
from collections import Counter
from collections.abc import Sequence

from training.answers import OUTCOMES, Outcome
from training.runtime import device
from training.runtime.metrics import MetricsLog
from training.sampling.chunks import Answer, Drawn


class Progress:
    """Counts responses, tokens and verdicts of all processes; the first one logs them.

    Args:
        name: Unique to the job.
        log: The stage's metrics.
        verifies: Whether the job has judges: else no verdict is counted.
    """

    def __init__(self, name: str, log: MetricsLog, *, verifies: bool) -> None:
        self._name, self._log = name, log
        self._outcomes = OUTCOMES if verifies else ()
        self._num_expected = 0
        self._start_seconds = time.monotonic()
        self._start_responses = self._start_tokens = 0
        self._counted: set[str] = set()  # requests whose responses were there at the start

    @property
    def num_responses(self) -> int:
        """Written so far, and by earlier attempts."""
        return self._count("responses", 0)

    def start(self, num_expected: int, answered: Sequence[Answer]) -> None:
        """Begins to count, or to count more, and logs what is there; on the first process.

        Args:
            num_expected: Responses that there will be, beside those of an earlier call.
            answered: Those of them that earlier attempts have left; the outcome is None of those
                that are still to be verified.
        """
        self._num_expected += num_expected
        verdicts = [one["outcome"] for one in answered if one["outcome"] is not None]
        self._add(answered, verdicts)
        self._counted |= {one["request"] for one in answered}
        self._start_seconds = time.monotonic()
        self._start_responses, self._start_tokens = self.num_responses, self._count("tokens", 0)
        self.write()

    def add(self, written: Sequence[Drawn], verdicts: Sequence[Outcome]) -> None:
        """Counts what this process has written, and the verdicts that there are.

        What an earlier attempt has drawn is written again with its verdict: that alone is new.
        """
        self._add([one for one in written if one["request"] not in self._counted], verdicts)
        self.write()

    def write(self) -> None:
        """Logs how far all processes are; on the first one only."""
        if device.rank() != 0 or self._num_expected == 0:
            return
        seconds = max(time.monotonic() - self._start_seconds, 1e-3)
        responses, tokens = self.num_responses, self._count("tokens", 0)
        self._log.write(
            step=responses,
            num_steps=self._num_expected,
            responses_per_second=(responses - self._start_responses) / seconds,
            tokens_per_second=(tokens - self._start_tokens) / seconds,
            **{f"verification_{outcome}": self._count(outcome, 0) for outcome in self._outcomes},
        )

    def _add(self, written: Sequence[Drawn], verdicts: Sequence[Outcome]) -> None:
        num_tokens = sum(one["num_tokens"] for one in written)
        counts = Counter[str](responses=len(written), tokens=num_tokens)
        counts.update(verdicts)
        for name, count in counts.items():
            if count:
                self._count(name, count)

    def _count(self, name: str, amount: int) -> int:
        return device.add_to_count(f"{self._name}/{name}", amount)
