"""Values out of their order, points and intervals, two capitals, names of something else."""

import pytest

from training.answers.quick import judge

ANGLE = r"Angle $A$ is $40^\circ$, angle $B$ is $60^\circ$. Find angle $C$."
SUM = "Find the sum of the first 5 terms."
DERIVATIVE = r"Find the derivative of $f(x)=x^3\sin x$."
# Question, reference, wrong answers, right ones.
TABLE = [
    (
        "Find the mean, median and mode of 1, 2, 2, 3, 7.",
        "3, 2, 2",
        ["2,3,2", "2,2,3"],
        ["3, 2, 2", r"3, 2\text{ and }2"],
    ),
    ("Find the length, width and height of the box.", "5, 4, 3", ["3,4,5", "4,5,3"], ["5,4,3"]),
    ("Find the slope and $y$-intercept of $y=3x-2$.", "3, -2", ["-2, 3"], ["3,-2"]),
    ("How old are Tom and Ann now?", "12, 8", ["8, 12"], ["12, 8"]),
    ("Find the quotient and the remainder.", "7, 5", [r"7\text{ or }5"], [r"7\text{ and }5"]),
    ("Find the roots of $x^2-5x+6=0$.", "2, 3", [], [r"x=3\text{ or }x=2", "3, 2"]),
    (
        "What are the coordinates of the midpoint?",
        "(4,7)",
        ["4<x<7", r"x\in(4,7)", r"\{x:4<x<7\}", "7>x>4"],
        ["(4,7)", r"(x,y)=(4,7)", "x=4,y=7"],
    ),
    ("Find the ordered pair $(a,b)$.", "(2,5)", ["2<a<5", r"a\in(2,5)"], ["a=2,b=5"]),
    (
        "Solve the inequality.",
        "(2,5)",
        ["(x,y)=(2,5)", "x=2,y=5", r"\begin{pmatrix}2\\5\end{pmatrix}"],
        ["2<x<5", r"x\in(2,5)"],
    ),
    ("On which interval is $f$ increasing?", "(-1,1)", ["x=-1,y=1"], ["-1<x<1"]),
    ("Find real $a$ and $b$ with $a > b$, $a+b=7$, $ab=10$.", "(5,2)", ["a=2,b=5"], ["a=5, b=2"]),
    ("Find real a and b with a > b, a+b=7, ab=10.", "(5,2)", ["a=2,b=5"], ["a=5, b=2"]),
    ("Find primes p > q with sum 7.", "(5,2)", ["p=2,q=5"], ["p=5,q=2", "(p,q)=(5,2)"]),
    (r"Find integers $x, y \geq 1$ with $2x+y=9$.", "(3,3)", [], ["x=3,y=3"]),
    (r"Find $x \le y \le z$ with sum 6.", "(1,2,3)", ["x=3,y=2,z=1"], ["x=1,y=2,z=3"]),
    ("Solve $x^2-7x+10<0$.", "(2,5)", ["x=2,y=5", "(x,y)=(2,5)"], ["2<x<5"]),
    ("For which $x$ is $y=x^2-7x+10$ negative?", "(2,5)", ["x=2,y=5"], ["2<x<5"]),
    ("For which real x is y < 0?", "(2,5)", ["x=2,y=5"], ["2<x<5"]),
    ("Find the point with $x<y$.", "(2,5)", ["2<x<5"], ["x=2,y=5"]),
    (
        "Where does the parabola with vertex (3.5,-2.25) lie below the x-axis?",
        "(2,5)",
        ["2<x<6"],
        ["2<x<5", "(2,5)"],
    ),
    ("Which set is shaded?", r"A\cup B", ["AB", "BA", "A,B", r"\{A,B\}"], [r"A\cup B", r"B\cup A"]),
    ("Name the segment equal to $CD$.", "AB", ["A,B", r"\{A,B\}", "A and B"], ["AB"]),
    ("Which are right? (A) p (B) q (C) r", "AB", ["A"], ["A,B", "BA", "A and B"]),
    ("", "AC", ["A"], ["A, C"]),
    (
        ANGLE,
        "80",
        [r"\angle A=80^\circ", r"\angle B=80", r"A=80^\circ", r"\angle BAC=80^\circ"],
        ["80", r"\angle C=80^\circ", r"C=80^\circ", r"\angle ACB=80^\circ", r"80^\circ"],
    ),
    ("Find $AC$.", "13", [r"13^\circ", r"13\text{ cm}^2"], ["13", "AC=13", r"13\text{ cm}"]),
    (
        "A bag has 3 red and 5 blue marbles. What is the probability of a red marble?",
        r"\frac38",
        [r"P(\text{blue})=\frac38", r"P(\overline{R})=\frac38"],
        [r"P(\text{red})=\frac38", r"P(\text{red marble})=\frac38"],
    ),
    (
        DERIVATIVE,
        r"3x^2\sin x",
        [r"f(x)=3x^2\sin x", r"f''(x)=3x^2\sin x", r"g'(x)=3x^2\sin x", r"y=3x^2\sin x"],
        [r"f'(x)=3x^2\sin x", r"3x^2\sin x"],
    ),
    (
        "Find the derivative of $s(t)=t^2$, the velocity $v(t)$.",
        "2t",
        ["s(t)=2t", "w(t)=2t"],
        ["v(t)=2t", "s'(t)=2t"],
    ),
    (
        "Two coins are tossed. What is the probability that both show heads?",
        r"\frac14",
        [r"P(\text{two tails})=\frac14", r"P(\text{three heads})=\frac14"],
        [r"P(\text{two heads})=\frac14", r"P(\text{both heads})=\frac14"],
    ),
    (
        "What is the probability of exactly 2 heads?",
        r"\frac14",
        [r"P(\text{exactly three})=\frac14"],
        [r"P(\text{exactly two})=\frac14", r"P(\text{two heads})=\frac14"],
    ),
    (
        "What is the probability that he wins?",
        r"\frac14",
        [r"P(\text{losing})=\frac14"],
        [r"P(\text{winning})=\frac14"],
    ),
    (SUM, "55", ["a_5=55", "S_4=55", "a=55", "n=55", "d=55", "S_{10}=55"], ["S_5=55", "S=55"]),
    ("For which $x$ is $f(x)=-x^2+4x$ largest?", "2", ["f(x)=2", "y=2"], ["x=2", "2"]),
    ("How many solutions does $x^2=4$ have?", "2", ["x=2"], ["2", r"2\text{ solutions}"]),
    ("What is the slope of the line through (1,2) and (3,8)?", "3", ["b=3"], ["m=3"]),
    ("Find the degree of $x^5+2x$.", "5", ["x=5"], ["5"]),
]


@pytest.mark.parametrize(("question", "reference", "wrong", "right"), TABLE)
def test_order_kind_and_name_are_what_is_asked_for(
    question: str, reference: str, wrong: list[str], right: list[str]
) -> None:
    for answers, outcomes in ((wrong, ("wrong", "unparseable")), (right, ("right",))):
        for answer in answers:
            verdict = judge(answer, reference, question)
            assert verdict is not None
            assert verdict.outcome in outcomes, (answer, verdict)
