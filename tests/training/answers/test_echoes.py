"""What a policy could copy from the question, or dress up, where another form is asked for."""

import pytest

from training.answers.verifier import verify_in_process

DRESSED_UP = [
    ("2x(3y)", "6xy", "Simplify 2x(3y)."),
    ("(2x)(3y)", "6xy", "Simplify (2x)(3y)."),
    ("(2a)(3b)(4c)", "24abc", "Multiply (2a)(3b)(4c)."),
    ("4(5x)", "20x", "Simplify $4(5x)$."),
    ("2(5i)", "10i", "Compute 2(5i)."),
    (r"3(3\pi)", r"9\pi", r"Compute $3(3\pi)$."),
    ("6+x^2-5x", "(x-2)(x-3)", "Factor x^2 - 5x + 6."),
    (r"\frac{x^2-5x+6}{1}", "(x-2)(x-3)", "Factor x^2 - 5x + 6."),
    (r"1\cdot(x^2-5x+6)", "(x-2)(x-3)", "Factor $x^2 - 5x + 6$ completely."),
    ("(x-3)(x-2)", "x^2-5x+6", "Expand (x-2)(x-3)."),
    ("(1+x)^{3}", "x^3+3x^2+3x+1", "Expand (x+1)^3."),
    (r"\frac{-4+x^2}{x-2}", "x+2", r"Simplify \frac{x^2-4}{x-2}."),
    (r"\frac{x^2-4}{x-2}+0", "x+2", r"Simplify $\frac{x^2-4}{x-2}$."),
    (r"\sqrt{8}+0", r"2\sqrt2", r"Simplify \sqrt{8}."),
    (r"1\sqrt{8}", r"2\sqrt2", r"Simplify $\sqrt{8}$."),
    (r"\frac{\sqrt{50}}{1}", r"5\sqrt2", r"Simplify \sqrt{50}."),
    (r"\sqrt{8}+\sqrt{2}", r"3\sqrt2", r"Compute \sqrt2+\sqrt8."),
    (r"\sqrt{2\sqrt2+3}", r"1+\sqrt2", r"Simplify \sqrt{3+2\sqrt2}."),
    (r"1\cdot\frac1{\sqrt2}", r"\frac{\sqrt2}2", r"Rationalise \frac{1}{\sqrt2}."),
    (r"\sqrt2+1", "2.41", r"Evaluate 1+\sqrt2 to two decimals."),
    ("-x+2(x+3)", "x+6", "Simplify 2(x+3)-x."),
    ("(3+x)^2-(x-3)^2", "12x", "Simplify (x+3)^2-(x-3)^2."),
    ("(yx)^3", "x^3y^3", "Expand (xy)^3."),
    ("24/36", "2/3", "Simplify 12/18."),
    (r"\frac{12.0}{18}", r"\frac23", r"Simplify $\frac{12}{18}$."),
]
COPIED = [
    ("360", r"2^3\cdot3^2\cdot5", "Find the prime factorization of 360."),
    ("144", "12^2", "Write 144 as a square."),
    ("90 minutes", "1.5 hours", "Convert 90 minutes into hours."),
    ("5 km", r"5000 \text{ m}", "Convert 5 km to metres."),
    ("72 km/h", "20 m/s", "Express 72 km/h in m/s."),
    ("1250 cents", r"\$12.50", "Write 1250 cents in dollars."),
    ("1 hour 30 minutes", "90 min", "How many minutes is 1 hour 30 minutes?"),
    ("0.75", r"\frac34", "Express 0.75 as a fraction."),
    ("3/4", "0.75", "Convert 3/4 to a decimal."),
    ("45%", "0.45", "Write 45% as a decimal."),
    ("0.5", r"50\%", "Write 0.5 as a percentage."),
    ("12000", r"1.2\times10^4", "Write 12000 in scientific notation."),
    ("7/3", r"2\frac13", "Write 7/3 as a mixed number."),
    ("2.5", r"2\frac12", "Write 2.5 as a mixed number."),
    ("3.14159", "3.14", "Round 3.14159 to two decimal places."),
    ("1234.567", "1234.6", "Round 1234.567 to the nearest tenth."),
    ("1/3", r"0.\overline3", "Write 1/3 as a decimal."),
    ("4:6", "2:3", "Simplify the ratio 4:6."),
    ("3, 1, 2", "1, 2, 3", "Write 3, 1, 2 in ascending order."),
    ("2, -3, 0.5", "-3, 0.5, 2", "Arrange 2, -3, 0.5 from least to greatest."),
    ("A, C, B", "B, A, C", "Order A, C, B by mass."),
]
FORMS = [
    (r"\frac12", "0.5", "How much is 1/2 as a decimal?"),
    (r"1\frac12", "1.5", "Convert 1 1/2 cups to decimal cups. How many are it?"),
    ("90 minutes", "1.5 hours", "How many hours are 90 minutes?"),
]
UNDONE = [
    (r"3(3\pi)", r"9\pi", "What is the area of a circle of radius 3?"),
    (r"\frac{4\pi}{3}(27)", r"36\pi", "What is the volume of a sphere of radius 3?"),
    (r"\sqrt{2}(3\sqrt{2}\pi)", r"6\pi", ""),
    ("(x+1)(x+1)", "x^2+2x+1", "Expand (x+1)^2."),
    (r"\frac{i+1}{2}\cdot 2", "1+i", ""),
    (r"\frac{6x+6}{3}", "2x+2", ""),
    (r"\frac{9+3\sqrt{2}}{3}", r"3+\sqrt{2}", ""),
]
NO_ARITHMETIC = [
    ("20-30", "10-20", "Which class interval is modal?"),
    ("-10", "10-20", "Which class interval is modal?"),
    ("4-3", "3-2", ""),
    ("1", "3-2", "What was the score?"),
    ("5-7", "3-5", ""),
    ("2020-12-05", "2020-05-12", ""),
    ("1999-01-01", "2000-01-02", ""),
    ("6", r"2\times 3", "What is the order of the matrix?"),
    (r"1\times 6", r"2\times 3", ""),
    (r"3\times2", r"2\times 3", ""),
    ("3+3+1", "1+2+4", "Write 7 as a sum of distinct powers of two."),
    ("7", "1+2+4", "Write 7 as a sum of distinct powers of two."),
    ("2/1", "4/2", ""),
    ("3:2", "2:3", ""),
    ("1:2:3", "1:2:4", ""),
    ("IX", "XI", "Write 11 in Roman numerals."),
    ("VI", "IV", ""),
    ("on", "no", ""),
    ("101_2", "5", "What is 101_2 in base 10?"),
]
RIGHT = [
    ("(x-3)(x-2)", "(x-2)(x-3)", "Factor x^2 - 5x + 6."),
    ("6+x^2-5x", "x^2-5x+6", "Expand (x-2)(x-3)."),
    ("4/6", "2/3", "What is the chance of that?"),
    ("2/3", r"\frac{2}{3}", "Which is larger, 2/3 or 1/2?"),
    ("7", "7.0", "There are 7 dogs. How many dogs are there?"),
    ("3.5", "3.50", "Is it 3.5 or 4?"),
    ("5 apples", "5", "There are 5 apples. How many apples are there?"),
    ("1.5 hours", "1.5", "Convert 90 minutes into hours."),
    ("1, 2, 3", "1, 2, 3", "Write 3, 1, 2 in ascending order."),
    ("3, 1, 2", "1, 2, 3", "Which numbers are in the list?"),
    ("10 - 20", "10-20", "Which class interval is modal?"),
    (r"2 \times 3", r"2\times 3", ""),
    ("2:3", "4:6", "What is the ratio of 4 boys to 6 girls?"),
    ("1+4+2", "1+2+4", ""),
    (r"2^3\cdot 5\cdot 3^2", r"2^3\cdot3^2\cdot5", "Find the prime factorization of 360."),
    ("XI", "XI", ""),
    ("1024", "2^{10}", "How many subsets are there?"),
    ("2x+3y=-6", "2x+3y+6=0", ""),
    ("x+y=-3", "x+y+3=0", ""),
    ("8x-4y=-4", "y=2x+1", ""),
    ("y-3=2(x-1)", "y=2x+1", ""),
    (r"2\sqrt{2}", r"\sqrt{8}", ""),
    (r"\frac{4+2\sqrt{3}}{6}", r"\frac{2+\sqrt{3}}{3}", ""),
    (r"\frac{2}{3}\pi r^3", r"\frac{2\pi r^3}{3}", ""),
    (r"\frac{x+1}{x-1}", r"\frac{x+1}{x-1}", ""),
    ("3(x+1)(x-1)", "3(x-1)(x+1)", ""),
    (r"\frac{-1+\sqrt5}{2}", r"\frac{\sqrt5-1}{2}", ""),
    ("1/2", "0.5", "A fair coin is thrown. How likely is heads?"),
    (r"2\sqrt3+\sqrt5", r"\sqrt{12}+\sqrt5", ""),
    (r"3\sqrt2", r"\sqrt8+\sqrt2", ""),
    ("(x+1)^2+2x(x+1)", "(x+1)(3x+1)", "Find the derivative of $x(x+1)^2$."),
    (r"\frac{1}{x^2}", "x^{-2}", ""),
    (r"\frac{1}{2^n}", r"\left(\frac12\right)^n", ""),
    (r"1 - \frac{1}{x+1}", r"\frac{x}{x+1}", ""),
    (r"\frac{1-x}{-x-1}", r"\frac{x-1}{x+1}", ""),
    (r"\frac12", "0.5", "Tom drinks 1/2 of a 1 liter bottle. How many liters does he drink?"),
    (r"1\frac12", "1.5", "A cake needs 1 1/2 cups of milk. How many cups do they need?"),
]


# Work that is begun, and left.
_ROOTS, _PRODUCT = r"Compute $\sqrt{48}+\sqrt{27}$.", "What is $(x+2)(x-3)$?"
_QUOTIENT = r"Find the quotient: $\frac{x^2-4}{x-2}$."
BEGUN = [
    *(
        (answer, r"7\sqrt3", _ROOTS)
        for answer in (
            r"4\sqrt3+\sqrt{27}",
            r"\sqrt{48}+3\sqrt3",
            r"\sqrt{27}+2\sqrt{12}",
            r"4\sqrt3+27^{1/2}",
            r"\frac{\sqrt{192}+\sqrt{108}}{2}",
        )
    ),
    (r"3\sqrt[3]2+\sqrt[3]{16}", r"5\sqrt[3]{2}", r"Compute $\sqrt[3]{54}+\sqrt[3]{16}$."),
    *((answer, "x^2-x-6", _PRODUCT) for answer in ("x(x-3)+2(x-3)", "(x+2)x-3(x+2)")),
    ("-(x+2)(3-x)", "x^2-x-6", _PRODUCT),
    *((answer, "x+2", _QUOTIENT) for answer in (r"\frac{(x-2)(x+2)}{x-2}", r"\frac{4-x^2}{2-x}")),
    *(
        (answer, "x+2", "Divide $x^2+3x+2$ by $x+1$.")
        for answer in (r"\frac{x^2+3x+2}{x+1}", r"\frac{2x^2+6x+4}{2x+2}", "(x^2+3x+2)(x+1)^{-1}")
    ),
    # one number of a reference in words, which is beyond our grammar
    ("2", r"x=5\text{ when }y=2", "Solve both."),
    ("2", r"2\text{ hours }30\text{ minutes later}", "When does it leave?"),
    (r"\frac{1.5}{5}", r"\frac{3}{10}", r"What is $\frac34 \cdot \frac25$?"),
]


@pytest.mark.parametrize(
    ("answer", "reference", "question"),
    BEGUN + DRESSED_UP + COPIED + UNDONE + FORMS + NO_ARITHMETIC,
)
def test_it_is_no_answer(answer, reference, question):
    assert verify_in_process(rf"\boxed{{{answer}}}", reference, question) != "right"


@pytest.mark.parametrize(("answer", "reference", "question"), RIGHT)
def test_it_is_an_answer(answer, reference, question):
    assert verify_in_process(rf"\boxed{{{answer}}}", reference, question) == "right"
