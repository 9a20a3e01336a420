"""Roots as powers, products that are left, equations in a form that no `form` names."""

import pytest

from training.answers.quick import judge

CIRCLE = "What is the standard equation of the circle $x^2+y^2-2x+4y-4=0$?"
ALONE = "Rewrite $2y-4x=2$ so that $y$ is alone."
TEMPLATE = "The line $2y-4x=2$ can be written $y=mx+b$. Write it that way."
# Question, reference, wrong answers, right ones.
TABLE = [
    (
        r"Simplify $\sqrt{72}$.",
        r"6\sqrt2",
        ["72^{0.5}", "72^{.50}", r"72^{\frac12}", r"6\cdot2^{0.5}", "(72)^{0.5}"],
        [r"6\sqrt{2}", r"\sqrt{2}\cdot6"],
    ),
    (r"Evaluate $\sqrt{50}$.", r"5\sqrt2", ["50^{0.5}", "50^{1/2}", r"\sqrt{50}"], [r"5\sqrt2"]),
    (r"Simplify $\sqrt{x^3}$.", r"x\sqrt{x}", [], ["x^{3/2}"]),
    (r"Simplify $x^{3/4}/x^{1/4}$.", r"\sqrt{x}", ["x^{3/4}/x^{1/4}"], ["x^{1/2}"]),
    (r"Simplify $e^2\sqrt{e}/e^2$.", r"\sqrt e", [], ["e^{1/2}"]),
    (r"Simplify $3^{n+1}/(3\cdot4^n)$.", "3^n/4^n", [], ["(3/4)^n", r"(\frac34)^n"]),
    (r"Simplify $(3/4)^2$.", r"\frac9{16}", ["(3/4)^2"], ["9/16"]),
    (r"Multiply $-1$ by $x-2$.", "2-x", ["-1(x-2)"], ["-(x-2)", "-x+2"]),
    (r"Simplify $\sqrt[3]{54}$.", r"3\sqrt[3]2", ["54^{1/3}", r"3\cdot2^{1/3}"], [r"3\sqrt[3]{2}"]),
    (
        "Simplify $(2a^3)^2$.",
        "4a^6",
        ["(-2a^3)^2", "(16a^{12})^{1/2}", r"\sqrt{16a^{12}}"],
        ["4a^{6}"],
    ),
    (r"Simplify $\frac{6x^2y}{3xy}$.", "2x", [r"\frac{2x}{1}"], ["2x"]),
    (
        r"Write $\sqrt[3]{x^2}$ with a rational exponent.",
        "x^{2/3}",
        [r"\sqrt[6]{x^4}", r"\sqrt[3]{x^2}"],
        [r"x^{\frac23}"],
    ),
    (r"Write $x^{-3}$ using only positive exponents.", r"\frac1{x^3}", [r"(\frac1x)^3"], ["1/x^3"]),
    (r"Write $2^5\cdot2^3$ as a power of 2.", "2^8", ["256"], ["2^8"]),
    *(
        (
            question,
            "x^2-x-6",
            ["x(x-3)+2(x-3)", "-(x+2)(3-x)", "x(x-1)-6", "(-x-2)(3-x)", r"\frac{(2x+4)(x-3)}2"],
            ["x^2-6-x", "-6-x+x^2"],
        )
        for question in (
            "Multiply: $(x+2)(x-3)$.",
            "Multiply out $(x+2)(x-3)$.",
            "Find the product $(x+2)(x-3)$.",
        )
    ),
    ("Expand $(x+2)(x-3)$.", "x^2-x-6", ["-(6+x-x^2)"], ["x^2-x-6"]),
    ("Multiply $2x$ by $3y$.", "6xy", [], ["6yx"]),
    (
        r"Add: $\frac{1}{x}+\frac{1}{y}$.",
        r"\frac{x+y}{xy}",
        ["x^{-1}+y^{-1}", r"\frac1x+y^{-1}", r"\frac1y+\frac1x"],
        [r"\frac{y+x}{xy}"],
    ),
    (
        "Rewrite $x^2-4$ as a product.",
        "(x-2)(x+2)",
        ["-(4-x^2)", "2(x^2/2-2)", "x(x-4/x)"],
        ["(x+2)(x-2)"],
    ),
    ("Factor $x^3+1$.", "(x+1)(x^2-x+1)", ["(x+1)(x(x-1)+1)"], ["(x^2-x+1)(x+1)"]),
    (
        CIRCLE,
        "(x-1)^2+(y+2)^2=9",
        ["x^2+y^2-2x+4y=4", "2x^2+2y^2-4x+8y-8=0"],
        ["(y+2)^2+(x-1)^2=9"],
    ),
    *(
        (
            question,
            "y=2x+1",
            ["y-2x=1", "2y=4x+2", "y-2x-1=0", "4x-2y+2=0", "2y-4x=2"],
            ["y=1+2x", "y = 2x + 1"],
        )
        for question in (
            ALONE,
            TEMPLATE,
            "Solve $2y-4x=2$ for $y$.",
            "Write $2y-4x=2$ in slope-intercept form.",
        )
    ),
    ("Find the equation of the line through $(0,1)$ with slope 2.", "y=2x+1", ["2x+1"], ["y=2x+1"]),
    ("Find the asymptotes of the hyperbola.", r"y=\pm2x", [r"\pm2x"], ["y=2x, y=-2x"]),
    *(
        (question, "x=12", ["x=13"], ["12", "x=12"])
        for question in (
            "A number plus 3 is 15. Write an equation and solve it.",
            "Write an equation to find x, the number of apples.",
            "Find the equation and solve for x.",
            "Determine the equation's solution.",
        )
    ),
    ("Find the equation of the vertical line through $(12,1)$.", "x=12", ["12"], ["x=12"]),
    ("Find $y$ if $x=3$.", "y=2x+1", [], ["2x+1"]),
]


@pytest.mark.parametrize(("question", "reference", "wrong", "right"), TABLE)
def test_the_form_is_the_one_that_is_asked_for(
    question: str, reference: str, wrong: list[str], right: list[str]
) -> None:
    for answers, outcomes in ((wrong, ("wrong", "unparseable")), (right, ("right",))):
        for answer in answers:
            verdict = judge(answer, reference, question)
            assert verdict is not None
            assert verdict.outcome in outcomes, (answer, verdict)
