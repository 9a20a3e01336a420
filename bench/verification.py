"""Verified answers a second, two worker processes against one."""

from statistics import median
from time import perf_counter

from bench.table import Row
from training.answers import Verifier

# None of them is decided without sympy.
RESPONSES = [rf"\boxed{{\frac{{{n}}}{{{n + 1}}}+\sqrt{{{n}}}}}" for n in range(2, 302)]
REFERENCES = [rf"\sqrt{{{n}}}+1-\frac{{1}}{{{n + 1}}}" for n in range(2, 302)]


def rate(num_processes: int) -> float:
    """Answers a second, once the workers have started."""
    with Verifier(num_processes=num_processes, timeout_seconds=60.0) as verifier:
        verifier.verify(RESPONSES[:20], REFERENCES[:20])
        start = perf_counter()
        outcomes = verifier.verify(RESPONSES, REFERENCES)
        seconds = perf_counter() - start
    if set(outcomes) != {"right"}:
        raise RuntimeError(f"these answers are all right, the verifier says {set(outcomes)}")
    return len(RESPONSES) / seconds


def compare(num_rounds: int) -> list[Row]:
    """One row."""
    pairs = [(rate(2), rate(1)) for _ in range(num_rounds)]
    two, one = (median(list(rates)) for rates in zip(*pairs, strict=True))
    return [Row("verification, 2 processes / 1 process", "answers/s", two, one, "at least", 1.7)]
