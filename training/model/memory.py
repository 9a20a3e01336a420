"""What a process remembers of prompts: their tokens, and the pixels of their images.

An image is decoded and resized once a step, as far as they fit, whoever asks first: the sampler, a
pass of the old or the reference policy, or the update; or a thread, a step ahead of all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Generic, TypeVar

import torch

from training.model.family import Processor

# Prompts whose tokens are remembered: those of a step are asked for by sampler and learner.
NUM_PROMPTS = 1024
# Of pixels, in host memory: 40 images of a million pixels, as Qwen's processors hand them over.
PIXEL_BYTES = 2**30

Key = tuple[object, ...]
Pixels = Mapping[str, torch.Tensor]
Kept = TypeVar("Kept")


@dataclass(frozen=True)
class Tokens:
    """A prompt's tokens [P], and their types [P] where the processor tells them apart."""

    token_ids: torch.Tensor
    token_types: torch.Tensor | None


class Newest(Generic[Kept]):
    """Keeps what was asked for last, up to a size in all; any thread may ask.

    In a loop of steps nothing that a step has asked for makes room for more: passes over more than
    fits, always in the same order, would find nothing of it.

    Args:
        capacity: Of all that is kept, in the unit of `keep`.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity, self._size = capacity, 0
        self._step = 0
        self._kept: dict[Key, tuple[Kept, int, int]] = {}  # by key, oldest first: size and step
        self._lock = Lock()

    def begin_step(self) -> None:
        """From now on what was asked for before may make room, and what is asked for may not."""
        with self._lock:
            self._step += 1

    def get(self, key: Key) -> Kept | None:
        """What is kept under a key, and will be a while longer; None if nothing is."""
        with self._lock:
            if key not in self._kept:
                return None
            value, size, _ = self._kept.pop(key)
            self._kept[key] = value, size, self._step
            return value

    def keep(self, key: Key, value: Kept, size: int) -> None:
        """Keeps a value, which has a size, in the place of the oldest, if there is room for it."""
        with self._lock:
            self._drop(key)
            if size > self._capacity:
                return
            while self._size + size > self._capacity:
                oldest = next(iter(self._kept))
                if self._step and self._kept[oldest][2] == self._step:
                    return
                self._drop(oldest)
            self._kept[key] = value, size, self._step
            self._size += size

    def clear(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._kept.clear()
            self._size = 0

    def _drop(self, key: Key) -> None:
        _, size, _ = self._kept.pop(key, (None, 0, 0))
        self._size -= size


@dataclass(frozen=True)
class Memory:
    """A policy's prompts as its processor reads them.

    Attributes:
        processor: A copy for whoever reads a prompt: the policy's own decodes responses meanwhile,
            and a tokenizer serves one thread at a time.
        turn: Held by the thread that uses it; what is remembered waits for nobody's.
        tokens: Of the newest prompts, by question and images.
        pixels: Of the newest prompts with images, by these: what the vision tower takes.
    """

    processor: Processor
    turn: Lock = field(default_factory=Lock)
    tokens: Newest[Tokens] = field(default_factory=lambda: Newest(NUM_PROMPTS))
    pixels: Newest[Pixels] = field(default_factory=lambda: Newest(PIXEL_BYTES))
