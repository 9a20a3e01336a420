"""Log-probabilities over a large vocabulary: extra peak memory and time, chunked against naive.

Each side runs in a process of its own, whose peak of resident memory counts from the moment before
the computation, so that the inputs are left out.
"""

import json
import subprocess
import sys
from statistics import median
from time import perf_counter

import torch

from bench.memory import peak_bytes
from bench.peer import NUM_THREADS
from bench.table import Row
from infra.settings import PROJECT_ROOT
from training.model.log_probs import token_log_probs

VOCABULARY = 152_064
# The head of a narrow model costs little beside the softmax; that of a 3B model is nearly all the
# time, and there the chunks' second product shows. The wide one is measured on fewer tokens.
NARROW, WIDE, WIDE_TOKENS = 64, 2048, 1024


def measure(kind: str, num_tokens: int, width: int) -> dict[str, float]:
    """Extra peak memory in MiB, and seconds of forward and backward (the better of two)."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(num_tokens, width, generator=generator).requires_grad_()
    head = torch.randn(VOCABULARY, width, generator=generator).requires_grad_()
    targets = torch.randint(VOCABULARY, (num_tokens,), generator=generator)
    # Both sides write these gradients; they are no part of what is compared.
    hidden.grad, head.grad = torch.zeros_like(hidden), torch.zeros_like(head)
    before_bytes = peak_bytes()
    seconds = []
    for _ in range(2):
        start = perf_counter()
        if kind == "chunked":
            log_probs, _ = token_log_probs(hidden, head, targets)
        else:
            log_softmax = (hidden @ head.T).log_softmax(-1)
            log_probs = log_softmax.gather(-1, targets[:, None]).squeeze(-1)
            del log_softmax
        log_probs.mean().backward()
        seconds.append(perf_counter() - start)
    return {"mib": (peak_bytes() - before_bytes) / 2**20, "seconds": min(seconds)}


def compare(num_tokens: int, num_rounds: int) -> list[Row]:
    """Memory and time at `num_tokens`, and time of a wide head; naive needs 2 MiB a token."""
    memory, seconds = _medians(num_tokens, NARROW, num_rounds)
    _, wide_seconds = _medians(WIDE_TOKENS, WIDE, num_rounds)
    name = f"log-probs, vocabulary {VOCABULARY}"
    narrow, wide = f"{num_tokens} tokens, width {NARROW}", f"{WIDE_TOKENS} tokens, width {WIDE}"
    return [
        Row(f"{name}, {narrow}: extra peak memory", "MiB", *memory, "at most", 0.05),
        Row(f"{name}, {narrow}: forward and backward", "s", *seconds, "at most", 1.4),
        Row(f"{name}, {wide}: forward and backward", "s", *wide_seconds, "at most", 1.4),
    ]


def _medians(num_tokens: int, width: int, num_rounds: int) -> list[tuple[float, float]]:
    """(chunked, naive) of memory and of seconds, rounds of both alternating."""
    rounds: dict[str, list[dict[str, float]]] = {"chunked": [], "naive": []}
    for _ in range(num_rounds):
        for kind, results in rounds.items():
            sizes = [str(num_tokens), str(width)]
            command = [sys.executable, "-m", "bench.log_probs", kind, *sizes]
            done = subprocess.run(
                command, cwd=PROJECT_ROOT, check=True, capture_output=True, text=True
            )
            results.append(json.loads(done.stdout))

    def median_of(kind: str, key: str) -> float:
        return median([one[key] for one in rounds[kind]])

    return [(median_of("chunked", key), median_of("naive", key)) for key in ("mib", "seconds")]


if __name__ == "__main__":
    torch.set_num_threads(NUM_THREADS)
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
