"""The policy that a stage began with, from which a KL term measures the distance."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from training.model.adapters import without_adapters
from training.model.forward import ForwardPass, ForwardSettings, Scoring
from training.model.in_host import InHost
from training.model.policy import Policy


class Reference:
    """A copy of the policy, or the base that adapters leave as it was.

    Args:
        policy: What learns.
        load: Loads the policy once more; not called if it learns by adapters.
        has_adapters: Whether it does.
        waits_in_host: Whether a copy is in host memory between its passes.
    """

    def __init__(
        self,
        policy: Policy,
        load: Callable[[], Policy],
        *,
        has_adapters: bool,
        waits_in_host: bool,
    ) -> None:
        self._policy = policy
        self._copy = None if has_adapters else ForwardPass(load()).eval()
        self._host = None if self._copy is None or not waits_in_host else InHost(self._copy)

    def at_work(self) -> AbstractContextManager[None]:
        """Around its passes: it is on the device for a moment."""
        return nullcontext() if self._host is None else self._host.at_work()

    def scoring(self, settings: ForwardSettings) -> Scoring:
        """Its log-probabilities, as the learner computes them."""
        if self._copy is not None:
            return Scoring(settings, self._copy)
        return Scoring(settings, around=lambda: without_adapters(self._policy.model))
