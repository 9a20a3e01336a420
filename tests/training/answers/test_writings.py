"""Writings of one answer that models use: matrices, choices, sets, general solutions, commands."""

import pytest

from training.answers.quick import judge

AMC = (
    r"What is it? $\textbf{(A)}\ 4\qquad\textbf{(B)}\ 5\qquad\textbf{(C)}\ 6\qquad"
    r"\textbf{(D)}\ 7\qquad\textbf{(E)}\ 8$"
)
LISTED = "Is it so?\nChoices:\n(A) Yes\n(B) No"
SINE = r"Solve $\sin x=0$."
MATRIX = r"\begin{pmatrix}2&1\\4&3\end{pmatrix}"
DOMAIN = r"What is the domain of $f(x)=\frac{1}{x-4}$?"
# Question, reference, wrong answers, right ones.
TABLE = [
    (
        "Find the matrix.",
        MATRIX,
        [r"\left[\begin{array}{cc}2&4\\1&3\end{array}\right]", r"[\begin{matrix}2&1\end{matrix}]"],
        [
            r"\left[\begin{array}{cc}2&1\\4&3\end{array}\right]",
            r"\left[\begin{array}{rr}2 & 1 \\ 4 & 3\end{array}\right]",
            r"\left(\begin{array}{cc}2&1\\4&3\end{array}\right)",
        ],
    ),
    (AMC, "C", [r"\textbf{(C)}\ 7", r"\textbf{(D)}\ 6", "6", "D"], [r"\textbf{(C)}\ 6", "C. 6"]),
    (AMC, "E", [r"\textbf{(E)}\ 6"], [r"\textbf{(E)}\ 8", "(E) 8"]),
    (
        AMC,
        r"\textbf{(C)}\ 6",
        ["7", "B", "(B) 6", "(C) 5"],
        ["6", "C", "(C) 6", r"\textbf{(C)}", r"\text{(C) }6"],
    ),
    (LISTED, "No", ["A", "(A) No", "B. Yes", "Yes"], ["No", "B", "(B)", "(B) No", "B. No"]),
    (
        "Solve $|x-3|\\ge2$.",
        r"(-\infty,1]\cup[5,\infty)",
        [r"\{x\mid x\le1\text{ and }x\ge5\}", r"\{y\mid x\le1\text{ or }x\ge5\}"],
        [
            r"\{x\mid x\le 1\text{ or }x\ge5\}",
            r"\{x : x \leq 1 \text{ or } x \geq 5\}",
            r"x \leq 1 \lor x \geq 5",
        ],
    ),
    (
        DOMAIN,
        r"(-\infty,4)\cup(4,\infty)",
        [r"\text{all real numbers except }5", r"\{x\mid x=4\}", r"\text{all real numbers}"],
        [
            r"\{x\in\mathbb{R}\mid x\neq4\}",
            r"x \in \mathbb{R}, x\neq 4",
            r"\text{all real numbers except }4",
            r"\text{All real numbers except }x=4",
        ],
    ),
    (
        SINE,
        r"x=k\pi,k\in\mathbb{Z}",
        [
            r"x=2k\pi,k\in\mathbb Z",
            r"x=k\pi,k\in\mathbb{N}",
            r"x=\pi",
            r"k\in\mathbb{Z}",
            r"x=\frac{k\pi}{2},k\in\mathbb{Z}",
        ],
        [
            r"x=k\pi",
            r"x=n\pi, n\in\mathbb{Z}",
            r"x = k\pi \quad (k \in \mathbb{Z})",
            r"x = n\pi \text{ for } n \in \mathbb{Z}",
            r"x = n\pi, \text{ where } n \text{ is an integer}",
        ],
    ),
    (
        r"Solve $\sin x=\frac12$.",
        r"\frac{\pi}{6}+2k\pi, \frac{5\pi}{6}+2k\pi",
        [r"\frac{\pi}{6}+n\pi, \frac{5\pi}{6}+n\pi", r"\frac{\pi}{6}, \frac{5\pi}{6}"],
        [r"\frac{\pi}{6}+2n\pi, \frac{5\pi}{6}+2n\pi"],
    ),
    (
        "What is the domain?",
        r"\mathbb{R} \setminus \{1, 2\}",
        [r"x \neq 1", r"x \neq 1, y \neq 2", r"x \neq 1, x \neq 3"],
        [r"x \neq 1 \text{ and } x \neq 2", r"x \ne 1, x \ne 2", r"x \neq 1, 2"],
    ),
    (
        r"Find the domain of $\frac{1}{x^2-1}$.",
        r"x \neq \pm 1",
        [r"x \neq 1", r"x = \pm 1", r"x \neq 0, \pm 1"],
        [r"x \neq 1 \text{ and } x \neq -1", r"\mathbb{R} \setminus \{-1, 1\}", r"x \ne \pm1"],
    ),
    (
        "Find the vector.",
        r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}",
        ["1 < x < 2", "(2, 1)"],
        ["(1, 2)", r"\vec{v} = \begin{pmatrix} 1 \\ 2 \end{pmatrix}"],
    ),
    ("When is it?", r"3:50\text{ PM}", [r"3{:}05\text{ PM}"], [r"3{:}50\text{ PM}"]),
    ("How many hours is it?", "5", [r"5\text{ yrs}"], [r"5\text{ hrs}"]),
    ("How old is he?", "5", [r"5\text{ hrs}"], [r"5\text{ yrs}", r"5\text{ yrs old}"]),
    ("Compute the angle.", r"\arctan 2", [r"\tan 2", r"\tan^{-1}3"], [r"\tan^{-1}2"]),
    ("How many ways?", r"\binom{10}{4}", [r"\dbinom{10}{3}"], [r"\dbinom{10}4", r"{10\choose 4}"]),
    (
        "Find the general solution of $y'=2y$.",
        "y=Ce^{2x}",
        ["y=Ae^{3x}", "y=e^{2x}", "y=xe^{2x}"],
        ["y=ce^{2x}", "y=Ae^{2x}", "y=C_1e^{2x}"],
    ),
]


@pytest.mark.parametrize(("question", "reference", "wrong", "right"), TABLE)
def test_another_writing_is_right_and_another_value_is_not(
    question: str, reference: str, wrong: list[str], right: list[str]
) -> None:
    for answers, outcomes in ((wrong, ("wrong", "unparseable")), (right, ("right",))):
        for answer in answers:
            verdict = judge(answer, reference, question)
            assert verdict is not None, answer
            assert verdict.outcome in outcomes, (answer, verdict)


ANGLE = "What is the measure of angle x?"


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        *((one, True) for one in ("60^o", "60^{o}", r"60^\text{o}", "60º", "60˚", "60^°")),
        (r"\angle x = 60^\circ", True),
        (r"m\angle x = 60^o", True),
        ("∠x = 60°", True),
        (r"\angle\theta = 60", False),
        (r"\angle y = 60^\circ", False),
        ("61^o", False),
    ],
)
def test_degrees_as_models_write_them(answer: str, right: bool) -> None:
    verdict = judge(answer, "60", ANGLE)
    assert verdict is not None
    assert (verdict.outcome == "right") is right


@pytest.mark.parametrize(
    ("question", "letter"),
    [
        ("Find the degree of angle x.", "x"),
        ("The degree of ∠x is ( )", "x"),
        ("How many degrees is angle $x$?", "x"),
        ("What is the size of the angle marked x?", "x"),
        (r"Find $\angle\theta$.", r"\theta"),
        (r"Find $\theta$ in degrees.", r"\theta"),
        ("Angle x is 30 degrees. How large is angle y?", None),
        ("How large is the marked angle?", None),
    ],
)
def test_an_angle_has_the_letter_of_the_question(question: str, letter: str | None) -> None:
    """An angle by a small letter is right only where the question has this letter for one angle."""
    for name in ("x", "y", r"\theta"):
        for sign in (r"\angle", "∠"):
            verdict = judge(f"{sign} {name} = 60^\\circ", "60", question)
            assert verdict is not None
            assert (verdict.outcome == "right") is (name == letter), (sign, name)


@pytest.mark.parametrize(
    ("answer", "question", "outcome"),
    [
        ("∠A = 60°", "Find ∠A.", "right"),
        ("∠A = 60°", r"Find $\angle BAC$.", "right"),
        (r"\angle A = 60", "Find ∠A.", "right"),
        (r"\angle B = 60", "Find ∠A.", "wrong"),
        ("∠B = 60°", r"Find $\angle BAC$.", "wrong"),
    ],
)
def test_the_sign_of_an_angle_is_its_command(answer: str, question: str, outcome: str) -> None:
    verdict = judge(answer, "60", question)
    assert verdict is not None and verdict.outcome == outcome
