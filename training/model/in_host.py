"""A frozen model whose weights wait in host memory, and are on the GPU while it is at work."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn


class InHost:
    """Moves a model's weights and buffers; their bytes stay what they are.

    The host keeps its copy all the time, so that nothing is copied back. Where the model computes
    on the host anyway, there is one copy and nothing moves.

    Args:
        model: Frozen; it is at rest from now on.
    """

    def __init__(self, model: nn.Module) -> None:
        self._tensors = [*model.parameters(), *model.buffers()]
        self._device = self._tensors[0].device
        self._kept = [tensor.detach().to("cpu") for tensor in self._tensors]
        self._put(self._kept)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """The model is on its device for a moment."""
        self._put(kept.to(self._device) for kept in self._kept)
        try:
            yield
        finally:
            self._put(self._kept)

    def _put(self, values: Iterable[torch.Tensor]) -> None:
        for tensor, value in zip(self._tensors, values, strict=True):
            tensor.data = value
