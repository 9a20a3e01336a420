"""Answers that the verifier compares, though nothing parses them as they stand, and their like."""

import pytest

from training.curation.verifiability import keep_verifiable

CHOICES = "What? $\\textbf{(A)}\\ 12\\qquad\\textbf{(B)}\\ 15\\qquad\\textbf{(C)}\\ 18$"


@pytest.mark.parametrize(
    "change",
    [
        {"answer": "1 : 2"},
        {"answer": "3:4:5"},
        {"answer": "\\begin{pmatrix}1 & 2\\\\\n3 & 4\\end{pmatrix}"},
        {"question": CHOICES, "answer": "\\textbf{(B)}\\ 15"},
        {"question": CHOICES, "answer": "(B) 15"},
        {"question": "How many x have $0<|x|>1$ in {1, 2}?"},
    ],
)
def test_answers_in_their_usual_writing_can_be_verified(change, make, verifier):
    assert keep_verifiable([make(1, **change)], verifier).rejects == []
