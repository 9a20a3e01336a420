"""Verified answers a second: by algebra in two processes against one, and plain ones by rule."""

from statistics import median
from time import perf_counter

from bench.table import Row
from training.answers import Verifier, verify_in_process

# None of them is decided without sympy.
RESPONSES = [rf"\boxed{{\frac{{x}}{{{n}}} + \lfloor {n}x \rfloor}}" for n in range(2, 302)]
REFERENCES = [rf"\lfloor {n}x \rfloor + \frac{{x}}{{{n}}}" for n in range(2, 302)]
NUM_PLAIN = 6_000
WANTED_PER_SECOND = 1_500.0


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


def plain_rate(round_number: int) -> float:
    """Decisions a second of plain answers, no text twice, in this process alone."""
    numbers = range(round_number * NUM_PLAIN, (round_number + 1) * NUM_PLAIN)
    pairs = [(rf"so $\boxed{{{n}}}$", str(n + n % 2)) for n in numbers]
    start = perf_counter()
    outcomes = [verify_in_process(*pair) for pair in pairs]
    seconds = perf_counter() - start
    if outcomes.count("right") != NUM_PLAIN // 2:
        raise RuntimeError("half of these answers are right, the verifier says otherwise")
    return NUM_PLAIN / seconds


def compare(num_rounds: int) -> list[Row]:
    """Two rows."""
    pairs = [(rate(2), rate(1)) for _ in range(num_rounds)]
    two, one = (median(list(rates)) for rates in zip(*pairs, strict=True))
    plain = median([plain_rate(number) for number in range(num_rounds)])
    return [
        Row("verification, 2 processes / 1 process", "answers/s", two, one, "at least", 1.7),
        Row(
            *("verification, plain answers / 1,500", "answers/s", plain, WANTED_PER_SECOND),
            *("at least", 1.0),
        ),
    ]
