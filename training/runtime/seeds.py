"""Randomness and data order as functions of the seed: no hidden state, so nothing to lose.

A generator is made from the run's seed and labels (stage, purpose, step, rank), and the row that
training reads next is a function of how many were read. A resumed run needs those counts only.
"""

import hashlib

import torch


def seeded_generator(seed: int, *labels: str | int) -> torch.Generator:
    """A CPU generator of its own for each purpose; the same labels give the same numbers."""
    text = "/".join(str(label) for label in (seed, *labels))
    digest = hashlib.sha256(text.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big", signed=True))


def rows_at(position: int, count: int, *, num_rows: int, seed: int, label: str) -> list[int]:
    """The rows at `position`, ..., `position + count - 1` of an endless sequence of epochs.

    Args:
        position: Rows read before.
        count: Rows to read.
        num_rows: Size of the data set; every epoch is a new permutation of it.
        seed: The run's seed.
        label: The stage's name.
    """
    rows: list[int] = []
    while len(rows) < count:
        epoch, start = divmod(position + len(rows), num_rows)
        generator = seeded_generator(seed, label, "epoch", epoch)
        permutation = torch.randperm(num_rows, generator=generator).tolist()
        rows += permutation[start : start + count - len(rows)]
    return rows
