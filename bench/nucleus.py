"""The sampler's nucleus over a large vocabulary: likeliest tokens first, against a whole sort."""

from time import perf_counter

import torch

from bench.log_probs import VOCABULARY
from bench.peer import NUM_THREADS
from bench.table import Row
from training.model.nucleus import nucleus_floor
from training.runtime import device

NUM_ROWS, TOP_P, CALLS_PER_ROUND = 64, 0.95, 4
# Of normal logits: at 6 every row's nucleus lies within the ranked tokens; at 1 it takes three
# quarters of the vocabulary, as before any training, and each row is ranked, then sorted.
SCALES = {"peaked": 6.0, "flat": 1.0}


def sorted_floor(probs: torch.Tensor, top_p: float) -> torch.Tensor:
    """The old way: every token in order."""
    ranked = device.sort_descending(probs)
    before = ranked.cumsum(dim=-1) - ranked
    return ranked.gather(-1, (before < top_p).sum(dim=-1, keepdim=True) - 1)


def compare(num_rounds: int) -> list[Row]:
    """Seconds of a call for `NUM_ROWS` distributions, the quickest of alternating rounds."""
    torch.set_num_threads(NUM_THREADS)
    rows = []
    for name, scale in SCALES.items():
        generator = torch.Generator().manual_seed(0)
        probs = (scale * torch.randn(NUM_ROWS, VOCABULARY, generator=generator)).softmax(-1)
        seconds: dict[str, list[float]] = {"ours": [], "sort": []}
        for _ in range(CALLS_PER_ROUND * num_rounds):
            for kind, floor in (("ours", nucleus_floor), ("sort", sorted_floor)):
                start = perf_counter()
                floor(probs, TOP_P)
                seconds[kind].append(perf_counter() - start)
        ours, sort = (min(taken) for taken in seconds.values())
        title = f"nucleus of {NUM_ROWS} {name} distributions, vocabulary {VOCABULARY}"
        bar = 0.5 if name == "peaked" else None
        rows.append(Row(f"{title} / whole sort", "s", ours, sort, "at most", bar))
    return rows
