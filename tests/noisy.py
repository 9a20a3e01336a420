"""A reward of a user's own that prints: so many lines that one that is lost is missed."""

import itertools
import os

LINES_PER_RESPONSE = 50
_numbers = itertools.count()


def reward(*, response, reference, question, num_tokens, outcome) -> float:
    """Differs from response to response, and says so at length."""
    for _ in range(LINES_PER_RESPONSE):
        print(f"noise of rank {os.environ.get('RANK')}: {next(_numbers)}", flush=True)
    return len(set(response)) / 100.0
