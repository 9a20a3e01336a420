"""Where what stands before a box is looked for: nowhere else would it be found."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from training.answers import extract_boxed, verify_in_process
from training.answers.surroundings import _BEFORE, denied_or_part

PARTS = (
    *("\\frac", "\\sqrt", "\\log", "\\text", "\\neq", "\\{", "\\", "{", "}", "(", "[", ",", ", "),
    *(
        " ",
        "\n",
        "$",
        "-",
        "+",
        "^",
        "_",
        "<",
        "≤",
        "!=",
        "1",
        "23",
        "4.",
        "x",
        "ab",
        "is ",
        "are ",
    ),
    *(
        "either ",
        "not ",
        "n't ",
        "equal to ",
        "minus ",
        "between ",
        " and ",
        "less than ",
        "half of ",
        " or ",
    ),
    *("square root of ", "A long sentence that says nothing. ", " " * 12, "{12}", "x" * 90),
)
TEXTS = st.lists(st.sampled_from(PARTS), max_size=30).map("".join)


@given(TEXTS)
@settings(max_examples=500)
@example("\\frac{" + "1 + " * 100 + "1}{")
@example("\\frac{1}{2}" * 30 + " = \\sqrt{" + "x" * 300)
@example(": " + ", ".join(["12"] * 60) + ", ")
@example("are $2$" + ", $3$" * 30 + ", $")
@example("not" + " " * 200)
@example("x" * 99 + "\\{" + "a" * 60)
@example("x" * 300 + " between " + "a" * 20 + " and ")
def test_the_end_is_enough(text):
    assert denied_or_part(text) == (_BEFORE.search(text) is not None)


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (r"$\boxed{\sqrt{2}}$ or $-\sqrt{2}$", r"\sqrt{2}"),
        (r"$\boxed{\frac12}$ or $\frac13$", r"\frac12"),
        (r"\boxed{x+1} or x+2", "x+1"),
        (r"\boxed{\text{even}} or odd", "even"),
        (r"\boxed{even}, or perhaps odd.", "even"),
        (r"B or \boxed{C}", "C"),
        (r"either $\sqrt 2$ or $\boxed{2}$", "2"),
        ("\\boxed{C}\nor D", "C"),
        (r"\boxed{C}\text{ or }D", "C"),
        (r"\boxed{[1,2]} or [2,1]", "[1,2]"),
        (r"$\boxed{(1,2)}$ or $(2,1)$", "(1,2)"),
    ],
)
def test_a_box_beside_another_value_is_no_answer(response, answer):
    assert verify_in_process(response, answer) == "unparseable"


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("<think>So \\boxed{5}</think>\nThat is the length of the side.", "5"),
        ("<think>So \\boxed{C}</think>\n\nC", "C"),
        ("<answer>\\boxed{5}</answer>\n\nHope it helps", "5"),
        ("<think>So \\boxed{60}</think>\n\nThis is 60°.", "60"),
        (r"The side is \boxed{5}, or half of 10.", "5"),
        (r"We get \boxed{5} or, in other words, five.", "5"),
        (r"If n is even or odd, the answer is \boxed{5}.", "5"),
        (r"x = 1 or x = 2, so the sum is \boxed{3}.", "3"),
        (r"$x=\boxed{3}$ or $x=\boxed{5}$", "3, 5"),
        (r"\boxed{(1,2)} or equivalently (1, 2)", "(1,2)"),
        (r"\boxed{5} and (2) follows", "5"),
    ],
)
def test_what_stands_around_a_box_and_is_no_part_of_it(response, answer):
    assert verify_in_process(response, answer) == "right"


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (r"The area is $\boxed{12} \mathrm{~cm}^{2}$.", "12 cm^{2}"),
        (r"\(75 + 75 = \boxed{150} \mathrm{~cm}^2\)", "150 cm^2"),
        (r"So, \boxed{600} cm^2 of glass are needed.", "600 cm^2"),
        (r"He can find \boxed{5} pairs of socks.", "5 pairs"),
        (r"A cube has $\boxed{18}$ pairs of parallel edges.", "18 pairs"),
        (r"It costs $880 \times \$0.05 = \boxed{\$44}$.", r"\$44"),
        (r"$N = 2^6 \cdot 511 \equiv \boxed{511} \pmod{1000}$.", "511"),
        (r"$N \equiv \boxed{7} \bmod 10$", "7"),
        ("Thus, $RS = \\boxed{6}$ inches.\n\n(D) $6$", "6 inches"),
    ],
)
def test_a_unit_a_modulus_or_money_beside_a_box(response, answer):
    """As models answered MathVision: 1 box of 300 counted as a part of something, and was lost."""
    assert extract_boxed(response) == answer


@pytest.mark.parametrize("sign", [r"\not\equiv", r"\not \equiv"])
def test_a_remainder_that_is_denied_is_no_answer(sign):
    assert extract_boxed(rf"$N {sign} \boxed{{7}} \pmod{{10}}$") is None
