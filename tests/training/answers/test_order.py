"""Several values: where the question fixes their order, and where labels say which is which."""

import pytest

from training.answers.order import is_ordered, ordered_names
from training.answers.quick import judge


@pytest.mark.parametrize(
    ("question", "ordered"),
    [
        ("Find $a$ and $b$, respectively.", True),
        ("Find the values of $x$ and $y$.", True),
        ("Solve for x and y.", True),
        ("What are the coordinates of P and Q?", True),
        ("Find the quotient and the remainder of 17 by 5.", True),
        ("Give the mean and the median.", True),
        ("How many boys and girls are there?", True),
        ("What are the next two terms of 1, 2, 4?", True),
        ("Arrange 3, 1, 2 in ascending order.", True),
        ("Find all values of $x$ with $x > 2$ and $x^2 < 30$.", False),
        ("Find the solutions of $x^2 = 4$.", False),
        ("What are the roots of the equation?", False),
        ("Find the two numbers whose sum is 5 and whose product is 6.", False),
        ("Find all integers between 2 and 5.", False),
        ("Sort the numbers 3, 1, 2.", True),
        ("List the numbers from least to greatest.", True),
        ("Which areas are they, sorted by size?", True),
        ("Find all ordered pairs $(x, y)$ with $x + y = 7$.", False),
        ("Which two numbers must change in order to balance it?", False),
        ("Find the roots of the second-order equation.", False),
        ("The function is increasing; find all possible k.", False),
        ("", False),
    ],
)
def test_the_question_fixes_an_order_or_leaves_it(question, ordered):
    assert is_ordered(question) is ordered
    for answer, right in (("3, 4", True), ("4, 3", not ordered), ("3, 5", False)):
        verdict = judge(answer, "3, 4", question)
        assert verdict is not None
        assert (verdict.outcome == "right") is right, (answer, verdict)


@pytest.mark.parametrize(
    ("question", "reference", "answer", "right"),
    [
        ("Find the values of $x$ and $y$.", "5, 7", "x = 5, y = 7", True),
        ("Find the values of $x$ and $y$.", "5, 7", "y = 7, x = 5", True),
        ("Find the values of $x$ and $y$.", "5, 7", "x = 7, y = 5", False),
        ("Find the values of $x$ and $y$.", "5, 7", "y = 5, x = 7", False),
        ("Find the values of $y$ and $x$.", "5, 7", "y = 5, x = 7", True),
        ("Find $(x, y)$.", "(3,2)", "x = 3, y = 2", True),
        ("Find $(x, y)$.", "(3,2)", r"x=3 \text{ and } y=2", True),
        ("Find $(x, y)$.", "(3,2)", "x = 2, y = 3", False),
        ("Find $(x, y)$.", "(3,2)", "(x, y) = (3, 2)", True),
        ("Find $(x, y)$.", "(3,2)", "(y, x) = (3, 2)", False),
        ("Solve the system $x+y=7$, $x-y=-1$.", "x=3, y=4", "(3,4)", True),
        ("Solve the system $x+y=7$, $x-y=-1$.", "x=3, y=4", "(4,3)", False),
        ("Solve the system $x+y=7$, $x-y=-1$.", "x=3, y=4", "y=4, x=3", True),
        ("Solve $x^2 = 9$ for $x$.", "-3, 3", "x_1 = 3, x_2 = -3", True),
        ("How many boys and girls are there?", "5, 7", r"5 \text{ boys}, 7 \text{ girls}", True),
        ("How many boys and girls are there?", "5, 7", r"7 \text{ boys}, 5 \text{ girls}", False),
    ],
)
def test_labels_say_which_value_is_which(question, reference, answer, right):
    verdict = judge(answer, reference, question)
    assert verdict is not None
    assert (verdict.outcome == "right") is right, verdict


def test_names_come_as_asked_for_or_by_the_alphabet():
    assert ordered_names(["x", "y"], "Find $(y, x)$.") == ["y", "x"]
    assert ordered_names(["y", "x"], "Solve the system.") == ["x", "y"]
