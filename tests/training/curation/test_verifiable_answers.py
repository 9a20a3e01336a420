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
        {"answer": "\\begin{pmatrix}\n1 & 2\\\\ 3&4\n\\end{pmatrix}"},
        {"answer": "4:30 PM"},
        {"answer": "1 and 3"},
        {"answer": "576\\pi\\;m^{2}"},
        {"answer": "90\\text{ square\nunits}"},
        {"answer": "$\\cos (x) e^{\\sin x}$"},
        {"answer": "f (x) + C"},
        {"answer": "①②④"},
        {"answer": "ab+bc+cd+de+ea"},
        {"question": "How many x have $0<|x_1|>1$ in {1, 2}?"},
    ],
)
def test_answers_in_their_usual_writing_can_be_verified(change, make, verifier):
    assert keep_verifiable([make(1, **change)], verifier).rejects == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("(1) 3, (2) 4", "several answers in one"),
        ("1) 3 2) 4", "answer that cannot be parsed"),
        ("① 3 ② 4", "several answers in one"),
        ("0 ; 1", "several answers in one"),  # two blanks, in their order
        ("3\n5", "several answers in one"),
        ("Answers will vary", "no reference answer"),
        ("Hence proved.", "no reference answer"),
        ("~" * 99 + "q" * 9, "answer too long"),
        ("2; see 3", "several answers in one"),
        ("proven", "no reference answer"),
        ("\\text{Proof complete}", "no reference answer"),
        ("see solution", "no reference answer"),
        ("see above", "no reference answer"),
        ("Q.E.D.", "no reference answer"),
    ],
)
def test_what_is_no_one_answer_is_dropped(answer, reason, make, verifier):
    (reject,) = keep_verifiable([make(1, answer=answer)], verifier).rejects
    assert reject.reason == reason
