"""Log-probabilities over a large vocabulary: extra peak memory and time, chunked against naive.

Each side runs in a process of its own, whose peak of resident memory counts from the moment before
the computation, so that the inputs are left out.
"""

import json
import resource
import subprocess
import sys
from statistics import median
from time import perf_counter

import torch

from benchmarks.table import Row
from infra.settings import PROJECT_ROOT
from training.rl.log_probs import token_log_probs

VOCABULARY, WIDTH = 152_064, 64


def measure(kind: str, num_tokens: int) -> dict[str, float]:
    """Extra peak memory in MiB, and seconds of forward and backward (best of three)."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(num_tokens, WIDTH, generator=generator).requires_grad_()
    head = torch.randn(VOCABULARY, WIDTH, generator=generator).requires_grad_()
    targets = torch.randint(VOCABULARY, (num_tokens,), generator=generator)
    # Both sides write these gradients; they are no part of what is compared.
    hidden.grad, head.grad = torch.zeros_like(hidden), torch.zeros_like(head)
    before = _peak_mib()
    seconds = []
    for _ in range(3):
        start = perf_counter()
        if kind == "chunked":
            log_probs, _ = token_log_probs(hidden, head, targets)
        else:
            log_softmax = (hidden @ head.T).log_softmax(-1)
            log_probs = log_softmax.gather(-1, targets[:, None]).squeeze(-1)
            del log_softmax
        log_probs.mean().backward()
        seconds.append(perf_counter() - start)
    return {"mib": _peak_mib() - before, "seconds": min(seconds)}


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def compare(num_tokens: int, num_rounds: int) -> list[Row]:
    """Memory and time at `num_tokens`; the naive side needs about 2.5 MiB a token."""
    rounds: dict[str, list[dict[str, float]]] = {"chunked": [], "naive": []}
    for _ in range(num_rounds):
        for kind, results in rounds.items():
            command = [sys.executable, "-m", "benchmarks.log_probs", kind, str(num_tokens)]
            done = subprocess.run(
                command, cwd=PROJECT_ROOT, check=True, capture_output=True, text=True
            )
            results.append(json.loads(done.stdout))

    def both(key: str) -> tuple[float, float]:
        ours, naive = (median([one[key] for one in rounds[kind]]) for kind in rounds)
        return ours, naive

    name = f"log-probs, vocabulary {VOCABULARY}, {num_tokens} tokens"
    return [
        Row(f"{name}: extra peak memory", "MiB", *both("mib"), "at most", 0.05),
        Row(f"{name}: forward and backward", "s", *both("seconds"), "at most", 1.4),
    ]


if __name__ == "__main__":
    torch.set_num_threads(2)
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
