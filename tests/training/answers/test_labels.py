"""Left sides: what an answer is said to be the value of must be what is asked for."""

import pytest

from training.answers.equations import asked_expression
from training.answers.quick import judge


@pytest.mark.parametrize(
    ("question", "reference", "answer", "right"),
    [
        (r"Find the measure of $\angle 1$.", "57", r"m\angle 1 = 57^\circ", True),
        (r"Find the measure of $\angle 1$.", "57", r"m\angle 2 = 57^\circ", False),
        (r"Find $m \widehat{AB}$.", "57", r"m\widehat{AB} = 57^\circ", True),
        ("Find $AB$.", "5", r"\overline{AB} = 5", True),
        ("Find $AB$.", "5", "|AB| = 5", True),
        ("Find $AB$.", "5", r"\overline{CD} = 5", False),
        (r"Find $\sin A$.", r"\frac35", r"\sin A = \frac{3}{5}", True),
        (r"Find $\sin A$.", r"\frac35", r"\cos A = \frac{3}{5}", False),
        (r"Find $\sin A$.", r"\frac35", r"A = \frac{3}{5}", False),
        ("Find $f^{-1}(x)$.", r"\frac{x-1}{2}", r"f^{-1}(x) = \frac{x-1}{2}", True),
        ("Find $f^{-1}(x)$.", r"\frac{x-1}{2}", r"f(x) = \frac{x-1}{2}", False),
        ("Find the derivative.", "2x+1", r"\frac{dy}{dx} = 2x+1", True),
        ("Find the least common multiple of 4 and 6.", "12", r"\text{lcm}(4,6) = 12", True),
        ("Find the least common multiple of 4 and 6.", "12", r"\gcd(4,6) = 12", False),
        ("Find $x$ if $2x = 10$.", "5", "5 = x", True),
        ("Find $x$ if $2x = 10$.", "5", "5 = y", False),
        ("Find $2x + 1$ if $2x = 10$.", "11", "2x + 1 = 11", True),
        ("Find $2x + 1$ if $2x = 10$.", "11", "1 + 2x = 11", True),
        ("Find $2x + 1$ if $2x = 10$.", "11", "2x = 11", False),
        ("Find $2x + 1$ if $2x = 10$.", "11", "x = 11", False),
        ("What is $x^2+y^2$?", "25", "x^2 + y^2 = 49 - 24 = 25", True),
        ("What is $x^2+y^2$?", "25", "x^2 + y^2 = 49 - 23 = 25", False),
        ("Find $f(3)$.", "5", "f(3) = 5", True),
        ("Find $f(3)$.", "5", "f(2) = 5", False),
        ("Find $f(3)$.", "5", "x = 5", False),
        ("Find $f'(2)$.", "5", "f(2) = 5", False),
        ("Find $x+y$.", "5", "x = 5", False),
        ("How many are left?", "7", r"\text{Number of apples left} = 7", True),
        ("What is the radius of the circle?", "5", r"\text{diameter} = 5", False),
        ("What is the radius of the circle?", "5", r"\text{radius} = 5", True),
        ("Find the sum of the roots.", "5", r"\text{product} = 5", False),
        ("How tall is the tree?", "5", r"\text{width} = 5", False),
        ("How tall is the tree?", "5", r"\text{height} = 5", True),
        ("How much is the car?", "12000", r"\text{Total cost} = 12,000", True),
        ("", "9", "x^2 = 9", False),
        # a letter that names another quantity, or an unknown
        ("Find the sum of the roots of $x^2-5x+6$.", "5", "x = 5", False),
        ("Find the sum of the roots of $x^2-5x+6$.", "5", "S = 5", True),
        ("Find the number of roots.", "2", "x = 2", False),
        ("Find the number of apples.", "2", "x = 2", True),
        ("What is the remainder when $n$ is divided by 7?", "3", "n = 3", False),
        ("What is the remainder when $n$ is divided by 7?", "3", "r = 3", True),
        ("What is the slope of $y=3x+1$?", "3", "x = 3", False),
        ("What is the slope of $y=3x+1$?", "3", "m = 3", True),
        ("What is the radius of the circle?", "5", "d = 5", False),
        ("What is the radius of the circle?", "5", "r = 5", True),
        ("If its area is 9, what is the radius?", "5", "A = 5", False),
        ("What is the perimeter?", "5", "A = 5", False),
        ("What is the voltage of a wire of length 2?", "5", "V = 5", True),
        ("What is the average of $a$ and $b$?", "5", "a = 5", False),
        ("Find the x-coordinate of the vertex.", "3", "y = 3", False),
        ("Find the y-intercept.", "3", "y = 3", True),
        ("What is the 5th term?", "16", "a_4 = 16", False),
        ("What is the 5th term?", "16", "a_5 = 16", True),
        ("Find the sum of $x$ and $y$.", "12", "x + y = 12", True),
        ("Find the sum of $x$ and $y$.", "12", "x - y = 12", False),
        ("Find the greatest common divisor of 12 and 18.", "6", r"\gcd(12, 18) = 6", True),
        ("What are the coordinates of $B$?", "(2,-1)", "B(2, -1)", True),
        ("What are the coordinates of $B$?", "(2,-1)", "A(2, -1)", False),
        ("What is the range of $f$?", r"[2,\infty)", r"y \ge 2", True),
        ("Find $f(g(2))$.", "5", "g(f(2)) = 5", False),
        ("Find $f(g(2))$.", "5", "f(g(2)) = 5", True),
        ("Find the roots.", "2, 3", "x = 2, y = 3", False),
        ("Find the roots.", "2, 3", "x = 2, x = 3", True),
        # a name of another sort than what is asked for
        ("How many apples are left?", "5", r"\angle Z = 5", False),
        ("How many apples are left?", "5", "QR = 5", False),
        ("How many apples are left?", "5", "f(x) = 5", False),
        ("How many apples are left?", "5", r"\text{perimeter} = 5", False),
        ("What is the length of $BC$?", "5", "f(x) = 5", False),
        ("What is the length of $BC$?", "5", r"\angle B = 5", False),
        ("What is the ratio of the areas?", "4:9", "f(x) = 4:9", False),
        ("What is the ratio of the areas?", "4:9", "4:9", True),
        ("Find the diameter of the circle.", "5", "AB = 5", True),
        ("What is the expected value?", "5", "E(X) = 5", True),
        ("Find the least common multiple of 4 and 6.", "12", r"\text{lcm}(4,9) = 12", False),
        # a letter that the question does not have
        ("Solve $2x+1=7$.", "3", "y = 3", False),
        ("Solve $2x+1=7$.", "3", "x = 3", True),
        ("Solve $n^2 = 9$.", "-3, 3", "m = 3, m = -3", False),
        ("Solve $n^2 = 9$.", "-3, 3", r"n = \pm 3", True),
        ("Solve $x^2<4$ for $x$.", "(-2,2)", "-2 < y < 2", False),
        ("Solve $x^2<4$.", "(-2,2)", r"y \in (-2,2)", False),
        ("Solve $x^2<4$.", "(-2,2)", "-2 < x < 2", True),
        (r"What is the domain of $f(x) = \sqrt{x}$?", r"[0,\infty)", r"y \ge 0", False),
        ("What is the range of $f(x) = x^2$?", r"[0,\infty)", r"x \ge 0", False),
        ("What is the range of $f(x) = x^2$?", r"[0,\infty)", r"y \ge 0", True),
        ("What is the range of $f(x) = x^2$?", r"[0,\infty)", r"f(x) \ge 0", True),
        # names that the question equates
        ("Find the length of $AB$. The figure shows $AB = x$.", "5", "x = 5", True),
        ("Find the length of $AB$. The figure shows $AC = x$.", "5", "x = 5", False),
    ],
)
def test_a_left_side_names_what_is_asked_for(question, reference, answer, right):
    verdict = judge(answer, reference, question)
    assert verdict is not None
    assert (verdict.outcome == "right") is right, verdict


@pytest.mark.parametrize(
    ("question", "expression"),
    [
        ("Find $2x + 1$ if $2x = 10$.", "2x+1"),
        (r"Evaluate $\frac12 + \frac13$.", None),
        (r"Find $\lim_{x \to 0} x$.", None),
        ("Find $x$ and $y$.", None),
        ("Find the area.", None),
    ],
)
def test_the_expression_that_is_asked_for(question, expression):
    assert asked_expression(question) == expression
