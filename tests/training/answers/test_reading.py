"""Writings of the same: real numbers, signs, vectors, matrices, systems, money, words."""

import pytest

from training.answers.quick import judge

A = r"\begin{pmatrix} -2 & 1 \\ 3/2 & -1/2 \end{pmatrix}"
SCALED = r"\begin{pmatrix} 4 & -2 \\ -3 & 1 \end{pmatrix}"
COLUMN = r"\begin{pmatrix} 3 \\ 4 \end{pmatrix}"
HALVES = r"Which is it? A. $\frac{\sqrt{3}}{2}$ B. 1"
SINE, AREA = r"Solve $\sin x = 0$.", "Find the area of the circle."
DOMAIN = "What is the domain of $f(x)$?"


@pytest.mark.parametrize(
    ("question", "reference", "answer", "right"),
    [
        ("", r"(-\infty,\infty)", r"\mathbb{R}", True),
        ("", r"(-\infty,\infty)", r"x \in \mathbb{R}", True),
        ("", r"(-\infty,\infty)", r"\text{all real numbers}", True),
        ("", r"(-\infty,\infty)", r"-\infty < x < \infty", True),
        ("", r"(-\infty,\infty)", r"\mathbb{Z}", False),
        ("", r"(-\infty,\infty)", r"\mathbb{R}^2", False),
        (DOMAIN, r"(-\infty,3)\cup(3,\infty)", r"x \neq 3", True),
        (DOMAIN, r"(-\infty,3)\cup(3,\infty)", r"\mathbb{R} \setminus \{3\}", True),
        (DOMAIN, r"(-\infty,1)\cup(1,2)\cup(2,\infty)", r"\mathbb{R} \setminus \{2, 1\}", True),
        (DOMAIN, r"(-\infty,3)\cup(3,\infty)", r"x \neq 4", False),
        (DOMAIN, r"(-\infty,3)\cup(3,\infty)", r"\mathbb{R}", False),
        (DOMAIN, r"x \neq 3", "x = 3", False),
        (DOMAIN, r"[2,\infty)", r"\{x \in \mathbb{R} : x \geq 2\}", True),
        ("Find $k$.", "5", r"k \neq 5", False),
        ("", "(-2,2)", r"x > -2 \text{ and } x < 2", True),
        ("", "(-2,2)", r"x > -2 \text{ or } x < 2", False),
        ("", "(-2,2)", r"x > -2 \text{ and } x \le 2", False),
        ("", "-1, 0, 1", r"0, \pm 1", True),
        ("", "-1, 0, 1", r"x = 0, \pm 1", True),
        ("", "-1, 0, 1", r"\{0, \pm 1\}", True),
        ("", "-1, 0, 1", r"0, \pm 2", False),
        ("", "1", r"\pm 1", False),
        ("", r"\{1, 2\}", r"\{\{1, 2\}\}", False),
        ("", r"\emptyset", r"\{\emptyset\}", False),
        ("", COLUMN, "(3, 4)", True),
        ("", COLUMN, r"\langle 3, 4 \rangle", True),
        ("", COLUMN, "(4, 3)", False),
        ("", COLUMN, r"\begin{pmatrix} 3 & 4 \end{pmatrix}", False),
        ("", COLUMN, "3, 4", False),
        ("", A, rf"-\frac{{1}}{{2}}{SCALED}", True),
        ("", A, rf"\frac{{1}}{{2}}{SCALED}", False),
        ("", SCALED, rf"1{SCALED}", False),
        (
            "",
            r"\begin{pmatrix} 2 \\ 4 \end{pmatrix}",
            r"2\begin{pmatrix} 1 \\ 2 \end{pmatrix}",
            False,
        ),
        (rf"What is $-\frac{{1}}{{2}}{SCALED}$?", A, rf"-\frac{{1}}{{2}}{SCALED}", False),
        ("", A, A.replace(r"\\", r"\\[4pt]"), True),
        ("Solve it.", "x=3, y=4", r"\begin{cases} x = 3 \\ y = 4 \end{cases}", True),
        ("Solve it.", "x=3, y=4", r"x = 3 \\ y = 4", True),
        ("Solve it.", "x=3, y=4", r"\begin{cases} x = 4 \\ y = 3 \end{cases}", False),
        ("What is the time?", "10", r"10 \\ 20", False),
        (SINE, r"n\pi", r"x = n\pi, n \in \mathbb{Z}", True),
        (SINE, r"x = n\pi", r"k\pi", True),
        (SINE, r"x = n\pi", r"k\pi \text{, where k is an integer}", True),
        (SINE, r"x = n\pi", r"2k\pi", False),
        (SINE, r"x = n\pi", r"a\pi", False),
        ("How many pairs are among $n$?", "n^2", "k^2", False),
        ("Integrate $2x$.", "x^2 + C", "x^2 + c", True),
        ("Integrate $2x$.", "x^2 + C", "x^2", False),
        ("What is the sum?", "x^2 + C", "x^2 + c", False),
        ("Integrate $2cx$.", "cx^2 + C", "cx^2 + c", False),
        ("Integrate $2cx$.", "cx^2 + C", "cx^2 + K", True),
        (AREA, r"10\pi", r"A = 10\pi \approx 31.4", True),
        (AREA, r"10\pi", r"A = 10\pi \approx 31.9", False),
        (AREA, r"10\pi", r"\approx 31.4", False),
        ("", r"\frac{1}{36}", r"\frac{1}{36} \approx 2.78\%", True),
        ("How much is it?", "25", r"\$\,25", True),
        ("How much is it?", "25", r"US\$25", True),
        ("How much is it?", "-25", r"\$-25", True),
        ("How much is it?", "1.25", r"\$1\tfrac{1}{4}", True),
        ("How much is it?", "70000", r"\$70 \text{ thousand}", True),
        ("How much is it?", "25", r"25 \text{ bucks}", True),
        ("In which quadrant is it?", "II", r"\text{Quadrant II}", True),
        ("In which quadrant is it?", "II", r"\text{Quadrant III}", False),
        ("Is the function even or odd?", "odd", r"\text{odd function}", True),
        ("Is the function even or odd?", "odd", r"\text{even function}", False),
        ("Is the function even or odd?", "odd", r"\text{even odd}", False),
        ("How many are left?", "7", r"\text{seven}", True),
        ("How many are left?", "8", r"\text{seven}", False),
        ("How many are left?", "7", r"\text{The answer is } 7", True),
        ("How many are left?", "7", r"\text{The answer is not } 7", False),
        ("How many are left?", "7", r"\large 7", True),
        ("Which one is it? A. 1 B. 2", "B", r"\text{**B**}", True),
        ("Which one is it? A. 1 B. 2", "B", "[B]", True),
        ("Which ones are they? A. 1 B. 2 C. 3", "AC", "CA", True),
        ("Which ones are they? A. 1 B. 2 C. 3", "AC", r"\text{A or C}", False),
        ("Which ones are they? A. 1 B. 2 C. 3", "A and C", r"\text{A or C}", False),
        ("Which ones are they? A. 1 B. 2 C. 3", "AC", r"\text{C and A}", True),
        (
            "Which is it? A. $\\frac{\\sqrt{3}}{2}$ B. 1",
            r"\frac12\sqrt3",
            r"\frac{\sqrt{3}}{2}",
            True,
        ),
        (
            r"Evaluate $\cos\frac{\pi}{12}$.",
            r"\frac{\sqrt6+\sqrt2}{4}",
            r"\sqrt{\frac{1+\frac{\sqrt3}{2}}{2}}",
            False,
        ),
        ("", r"\frac{x+1}{x}", r"\frac{1+\frac{1}{x}}{1}", False),
    ],
)
def test_the_same_in_other_signs(question, reference, answer, right):
    verdict = judge(answer, reference, question)
    assert verdict is not None
    assert (verdict.outcome == "right") is right, verdict
