"""Answers: pieces of LaTeX and of nonsense, one after the other."""

import random
from functools import cache
from pathlib import Path

from training.answers import OUTCOMES, Verifier

PIECES = (
    *(r"\boxed{", "}", "{", r"\frac{1}{2}", r"\sqrt{", r"\text{maybe}", r"\pm", "^", "_", "!"),
    *("(", ")", "9" * 40, "9^9^9^9", "x", "+", "-", "*", "/", "=", ",", "[", "]", "1e999"),
    *("10!!!!!", r"\infty", r"\begin{matrix}", r"\end{matrix}", "and", "or", "%", "$", "\0"),
    *("\u202e", "½", "²", "A", " ", "\\", r"\int", r"\sum_{n=1}^{10^{9}}", r"\binom{10^9}{10^8}"),
    *("i", "pi", "<think>", "</think>", "0.1", "1 apple", r"\left(", r"\right)", "1,000", r"\{"),
)


def answer(draw: random.Random, _folder: Path) -> None:
    """One response and one reference."""
    text = "".join(draw.choices(PIECES, k=draw.choice([1, 3, 8, 30, 300])))
    reference = "".join(draw.choices(PIECES, k=draw.choice([1, 3, 8])))
    response = draw.choice([text, rf"\boxed{{{text}}}", rf"<think></think>\boxed{{{text}}}"])
    (outcome,) = _verifier().verify([response], [draw.choice([reference, "2", text])])
    assert outcome in OUTCOMES, outcome


@cache
def _verifier() -> Verifier:
    return Verifier(num_processes=1)
