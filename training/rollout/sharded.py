"""Rollout spread over the processes of a stage."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch

from training.rollout.protocol import Prompt, Response, RolloutEngine, SamplingSettings
from training.runtime import device


class ShardedEngine:
    """Answers every world-size-th prompt in this process, and gathers all responses everywhere.

    Every process makes the same calls with the same prompts; each may draw from a generator of
    its own.

    Args:
        engine: Samples this process's share.
    """

    def __init__(self, engine: RolloutEngine) -> None:
        self._engine = engine

    def generate(
        self,
        prompts: Sequence[Prompt],
        settings: SamplingSettings,
        generator: torch.Generator,
    ) -> list[Response]:
        """See `RolloutEngine.generate`."""
        first, stride = device.rank(), device.world_size()
        mine = self._engine.generate(prompts[first::stride], settings, generator)
        gathered = device.gather_from_all_ranks(
            [replace(each, prompt_index=first + stride * each.prompt_index) for each in mine]
        )
        responses = [response for share in gathered for response in share]
        # Each share holds whole groups, so a stable sort by prompt restores the caller's order.
        return sorted(responses, key=lambda response: response.prompt_index)

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        """See `RolloutEngine.load_weights`."""
        self._engine.load_weights(weights)
