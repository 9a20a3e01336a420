"""Chains of steps: moves from a start, their running totals, and how a trace writes them."""

from collections.abc import Sequence

import numpy as np

from training.pocket.family import NAMES

LARGEST_TOTAL = 9  # of running totals: few enough sums for a tiny model to know by heart
ONE_DIGIT = tuple(amount for amount in range(-9, 10) if amount)


def named(values: Sequence[str], first: int = 0) -> list[str]:
    """Values with their names in front, e.g. `a3`, `b+4`."""
    return [f"{NAMES[first + place]}{value}" for place, value in enumerate(values)]


def running(start: str | int, moves: Sequence[str], totals: Sequence[int]) -> str:
    """A chain of steps, e.g. `5 a+3=8 b-2=6`; the moves bring their names."""
    return " ".join([str(start), *(f"{m}={t}" for m, t in zip(moves, totals, strict=True))])


def apply_move(total: int, move: str) -> int:
    """One step: `+3`, `-2`, `*2` or `/3`."""
    sign, amount = move[0], int(move[1:])
    changed = {"+": total + amount, "-": total - amount, "*": total * amount}
    return total // amount if sign == "/" else changed[sign]


def run_moves(start: int, moves: Sequence[str]) -> list[int]:
    """The totals after each move."""
    totals = []
    for move in moves:
        start = apply_move(start, move)
        totals.append(start)
    return totals


def signed(amount: int) -> str:
    """`+3` or `-2`."""
    return f"{amount:+d}"


def bounded_walk(
    rng: np.random.Generator, start: int, amounts: Sequence[Sequence[int]]
) -> list[int]:
    """Picks one of each step's amounts so that the running total stays within its bounds."""
    picked, total = [], start
    for choices in amounts:
        allowed = [amount for amount in choices if 0 <= total + amount <= LARGEST_TOTAL]
        picked.append(int(rng.choice(allowed)))
        total += picked[-1]
    return picked
