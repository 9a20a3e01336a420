"""Responses to an item whose verdict is known beforehand: no model is needed to score them.

A right one says the reference in one of the ways in which models say it. A wrong one says
something else, hedges, or says nothing; a scorer that guesses would pay some of them.
"""

import random

from training.evaluation.choices import LETTERS
from training.evaluation.items import Rule

THOUGHT = (
    "Let us look at the figure. The lengths that are given stay as they are, so the distance after "
    "each step is half of the one before, and what is asked for follows from the last step. "
)
SAYS = (
    "So the result is \\boxed{{{}}}.",
    "**Answer:** {}",
    "Therefore the final answer is {}.",
    "\\[\\boxed{{{}}}\\]",
)
NOTHING = ("I cannot tell.", "", "The figure is not clear enough.", "\\boxed{}", "Answer:")
UNLIKE = "987654"  # no reference of these benchmarks


def right(rule: Rule, draws: random.Random) -> str:
    """A response that is right; of an item that no answer is right to, any."""
    return _said(_right(rule, draws), draws)


def wrong(rule: Rule, draws: random.Random) -> str:
    """A response that is not right."""
    if draws.random() < 0.3:
        return THOUGHT * draws.randint(1, 12) + draws.choice(NOTHING)
    return _said(_wrong(rule, draws), draws)


def _said(answer: str, draws: random.Random) -> str:
    thought = f"<think>{THOUGHT * draws.randint(1, 12)}</think>\n"
    return thought + draws.choice(SAYS).format(answer)


def _right(rule: Rule, draws: random.Random) -> str:
    if rule.kind in ("letter", "nearest"):
        forms = ["{}", "({})", "\\text{{{}}}", "option {}"]
        return draws.choice(forms).format(rule.answer)
    if rule.kind == "letters":
        letters = rule.answer.split(", ")
        return draws.choice([", ", " and "]).join(draws.sample(letters, len(letters)))
    return rule.answer


def _wrong(rule: Rule, draws: random.Random) -> str:
    if rule.kind in ("letter", "nearest"):
        known = LETTERS[: len(rule.choices) or 4]
        other = draws.choice([letter for letter in known if letter != rule.answer])
        return draws.choice([other, f"({other})", f"{rule.answer} or {other}"])
    if rule.kind == "letters":
        rest = sorted(set("ABCDE") - set(rule.answer.split(", ")))
        return draws.choice([rest[0], f"{rule.answer}, {rest[0]}", f"{rule.answer} or {rest[0]}"])
    return draws.choice([UNLIKE, f"{rule.answer} or {UNLIKE}"])
