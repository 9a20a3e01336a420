"""Answers that the verifier compares, though nothing parses them as they stand, and their like."""

import pytest

from training.curation.verifiability import keep_verifiable, num_signs

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


# Of more than 100 characters, most of which are LaTeX's.
LONG_WRITING = [
    r"\begin{pmatrix} -\dfrac{7}{25} & \dfrac{24}{25} & 0 \\ \dfrac{24}{25} & \dfrac{7}{25} & 0 "
    r"\\ 0 & 0 & 1 \end{pmatrix}",
    r"\left(-\infty,-\dfrac{1}{2}\right)\cup\left(-\dfrac{1}{2},\dfrac{3}{2}\right)\cup"
    r"\left(\dfrac{3}{2},\infty\right)",
    r"\left\{\dfrac{-1+\sqrt{5}}{2},\dfrac{-1-\sqrt{5}}{2},\dfrac{1+\sqrt{5}}{2},"
    r"\dfrac{1-\sqrt{5}}{2}\right\}",
    r"\left( \dfrac{\sqrt{3}}{2}, \dfrac{1}{2} \right), \left( -\dfrac{\sqrt{3}}{2}, \dfrac{1}{2} "
    r"\right), \left( 0, -1 \right)",
]


@pytest.mark.parametrize("answer", LONG_WRITING)
def test_a_short_value_in_long_writing_can_be_verified(answer, make, verifier):
    assert len(answer) > 100
    assert keep_verifiable([make(1, answer=answer)], verifier).rejects == []
    changed = answer.replace("{2}", "{7}").replace("{25}", "{27}")
    right, wrong = verifier.verify([rf"\boxed{{{one}}}" for one in (answer, changed)], [answer] * 2)
    assert (right, wrong) == ("right", "wrong")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (rf"\text{{{'ab' * 51}}}", "answer too long"),
        (r"\alpha" * 101, "answer too long"),
        (r"\left(" * 200 + "1", "answer too long"),  # no box holds it
        (r"\\" * 101, "answer too long"),
        (
            r"\begin{aligned} x &= \dfrac{1}{2} + \dfrac{1}{3} \\ &= \dfrac{3}{6} + \dfrac{2}{6} "
            r"\\ &= \dfrac{5}{6} \end{aligned}",
            "answer that cannot be parsed",
        ),
        (
            r"\mathrm{The\ area\ is\ }\dfrac{\mathrm{1}}{\mathrm{2}}\ \mathrm{square\ units\ as\ "
            r"one\ sees\ at\ once\ in\ the\ figure}",
            "answer in prose",
        ),
    ],
)
def test_derivations_and_prose_go_in_long_writing_too(answer, reason, make, verifier):
    assert len(answer) > 100
    (reject,) = keep_verifiable([make(1, answer=answer)], verifier).rejects
    assert reject.reason == reason


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        (r"\dfrac{1}{2}", 3),
        (r"$ - \frac 1 2 $", 4),
        (r"\left( \alpha, \sqrt{x} \right)", 6),
        (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", 5),
        (r"\text{ab}", 3),
        ("ab", 2),
        (r"\{1\}", 3),
        ("", 0),
        ("\\", 1),
    ],
)
def test_signs_are_counted_by_hand(answer, number):
    assert num_signs(answer) == number
