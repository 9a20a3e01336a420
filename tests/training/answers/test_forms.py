"""The form that a question asks for: an equal value in another one is not paid."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.answers.canonical import shape
from training.answers.expressions import read_expression
from training.answers.quick import judge
from training.answers.tree import Node

FACTOR, ROOT = "Factor it completely.", "Simplify it."
FRACTION, DECIMAL = "Write it as a common fraction.", "Write it as a decimal."
SLOPE, VERTEX = "Write it in slope-intercept form.", "Write it in vertex form."
SOLVED = "Solve $2x - y = -1$ for $y$."
RADIANS = r"Express $30^\circ$ in radians."
TENTH, HUNDREDTH = "Find $x$. Round to the nearest tenth.", "Find $x$ to two decimal places."


@pytest.mark.parametrize(
    ("question", "reference", "answer", "right"),
    [
        (FACTOR, "2(x-2)(x-3)", "2(x-3)(x-2)", True),
        (FACTOR, "2(x-2)(x-3)", "2(2-x)(3-x)", True),
        (FACTOR, "2(x-2)(x-3)", "2(x^2-5x+6)", False),
        (FACTOR, "2(x-2)(x-3)", "(2x-4)(x-3)", False),
        (FACTOR, "(x-1)(x+1)(x^2+1)", "(x^2-1)(x^2+1)", False),
        (FACTOR, "(x-2)(x-3)", r"2(\frac{x^2}{2} - \frac{5x}{2} + 3)", False),
        (FACTOR, "(x-1)(x+1)(x^2+1)", "x^4(1 - x^{-4})", False),
        ("Write 360 as a product of primes.", r"2^3 \cdot 3^2 \cdot 5", "360", False),
        ("A product of primes?", r"2^3 \cdot 3^2 \cdot 5", r"5 \cdot 3^2 \cdot 2^3", True),
        ("Expand $(x+2)(x-3)$.", "x^2-x-6", "x(x-3)+2(x-3)", False),
        ("Expand $(x+2)(x-3)$.", "x^2-x-6", "x(x-1) - 6", False),
        ("Expand $(x+2)(x-3)$.", "x^2-x-6", "-6 - x + x^2", True),
        (ROOT, r"6\sqrt{2}", r"2\sqrt{18}", False),
        (ROOT, r"7\sqrt{2}", r"\sqrt{98}", False),
        (ROOT, r"6\sqrt{2}", r"\sqrt{2} \cdot 6", True),
        (ROOT, r"\frac{\sqrt5}{5}", r"\frac{1}{\sqrt5}", False),
        ("Rationalize it.", r"\sqrt5+2", r"\frac{\sqrt{5}}{5-2\sqrt{5}}", False),
        (ROOT, "x+1", r"\frac{x^2-1}{x-1}", False),
        (ROOT, "x^{-2}", r"\frac{1}{x^2}", True),
        (ROOT, "2x+6", "3(x+1) - x + 3", False),
        (ROOT, "2x+6", "2(x+3)", True),
        ("Give it in lowest terms.", r"\frac{2}{5}", r"\frac{4}{10}", False),
        ("What is the probability?", r"\frac12", r"\frac48", True),
        (FRACTION, r"\frac{1}{3}", r"0.\overline{3}", False),
        (FRACTION, r"\frac{7}{20}", "0.35", False),
        (FRACTION, r"\frac{7}{20}", "7/20", True),
        ("Write it as an improper fraction.", r"\frac54", r"1\frac14", False),
        (DECIMAL, "0.75", r"\frac34", False),
        (DECIMAL, "0.75", "0.75", True),
        (TENTH, "78.5", "78.54", False),
        (TENTH, "78.5", r"25\pi", False),
        (TENTH, "78.5", r"x \approx 78.5", True),
        (TENTH, "78.5", r"25\pi \approx 78.5", True),
        (TENTH, "67", "67.0", True),
        (HUNDREDTH, "11.31", r"8\sqrt{2}", False),
        (HUNDREDTH, "11.31", "11.314", False),
        (HUNDREDTH, "11.31", "11.31", True),
        ("What is the value of the root?", "11.31", r"8\sqrt{2}", True),
        ("Write it in scientific notation.", r"9.46 \times 10^{12}", "9460000000000", False),
        ("Write it in scientific notation.", r"9.46 \times 10^{12}", "9.46 * 10^12", True),
        (SLOPE, "y = 2x+1", "2x - y + 1 = 0", False),
        (SLOPE, "y = 2x+1", "2(x-1) = y - 3", False),
        (SLOPE, "y = 2x+1", "y = 2(x - 1) + 3", False),
        (SLOPE, "y = 2x+1", "2y = 4x + 2", False),
        (SLOPE, "y = 2x+1", "y = 1 + 2x", True),
        (SLOPE, r"y = \frac{x}{2} - 1.5", r"y = \frac12 x - \frac32", True),
        (SLOPE, r"y = \frac{x}{2} - \frac32", r"y = \frac{x-3}{2}", False),
        ("Write it in point-slope form.", "y - 3 = 2(x-1)", "y = 2x+1", False),
        ("Write it in point-slope form.", "y - 3 = 2(x-1)", "y - 5 = 2(x-2)", True),
        ("Write it in standard form.", "2x - y = -1", "y = 2x + 1", False),
        ("Write it in standard form.", "2x - y = -1", r"x - \frac{y}{2} = -\frac12", False),
        ("Write it in standard form.", "2x - y = -1", "-2x + y = 1", True),
        ("Write it in standard form.", r"\frac{x^2}{9}+\frac{y^2}{4}=1", "4x^2+9y^2=36", False),
        (VERTEX, "(x+3)^2-4", "x(x+6)+5", False),
        (VERTEX, "y=(x+3)^2-4", "y = (x+1)(x+5)", False),
        (VERTEX, "(x+3)^2-4", "-4 + (3+x)^2", True),
        ("Complete the square: $x^2+6x+5$.", "(x+3)^2-4", "(x+1)(x+5)", False),
        ("Write it in the form $a+bi$.", r"\frac32 + \frac12 i", r"\frac{3+i}{2}", False),
        ("What is the equation of the line?", "y = 2x+1", "2x - y + 1 = 0", True),
        ("What is the equation of the line?", "y = 2x+1", "2x - y + 1 = 0z", False),
        ("Write it as a single logarithm.", r"\log 12", r"2\log 2 + \log 3", False),
        ("Write it as a single logarithm.", r"\log 12", r"\log(12)", True),
        ("Write it as a single fraction.", r"\frac{x+y}{xy}", r"\frac{1}{x} + \frac{1}{y}", False),
        ("Simplify $8/12$.", r"\frac23", "0.667", False),
        ("Simplify $8/12$.", r"\frac23", r"0.\overline{6}", False),
        (SOLVED, "y = 2x+1", "y - 2x = 1", False),
        (SOLVED, "y = 2x+1", "2y = 4x + 2", False),
        (SOLVED, "y = 2x+1", "2x+1 = y", True),
        (SOLVED, "y = 2x+1", "2x+1", True),
        (SOLVED, "y = 2x+1", "y = 4x + 2 - y", False),
        (RADIANS, r"\frac{\pi}{6}", r"\frac{30\pi}{180}", False),
        (RADIANS, r"\frac{5\pi}{6}", r"\frac{15}{18}\pi", False),
        (RADIANS, r"\frac{5\pi}{6}", r"\frac{5}{6}\pi", True),
        (ROOT, r"\frac{2+\sqrt3}{3}", r"\frac{4+2\sqrt3}{6}", False),
        (FRACTION, r"\frac38", r"\frac{375}{1000}", False),
    ],
)  # fmt: skip
def test_a_form_that_is_asked_for_is_needed(question, reference, answer, right):
    verdict = judge(answer, reference, question)
    assert verdict is not None
    assert (verdict.outcome == "right") is right, verdict


@given(st.integers(2, 30), st.integers(2, 30), st.integers(2, 30))
def test_a_shape_is_what_is_left_without_the_numbers(a, b, c):
    line, other = (read_expression(f"{k}x + {m}") for k, m in ((a, b), (b, c)))
    product = read_expression(f"{a}(x + {b}) + {c}")
    assert isinstance(line, Node) and isinstance(other, Node) and isinstance(product, Node)
    assert shape(line) == shape(other)
    assert shape(product) != shape(line)


@given(st.integers(2, 30), st.integers(2, 40))
def test_a_number_left_in_a_factor_is_no_complete_factoring(shared, root):
    complete, partial = f"{shared}(x+{root})(x+1)", f"({shared}x+{shared * root})(x+1)"
    for question in (FACTOR, "What is the polynomial?"):
        verdict = judge(partial, complete, question)
        assert verdict is not None
        assert (verdict.outcome == "right") is (question != FACTOR)
