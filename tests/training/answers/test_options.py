"""Choices that a question lists: the letter decides, and a text beside it must be that choice's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.answers.options import read_options
from training.answers.quick import judge

BONES = "Which bone is shown? (A) Femur (B) Tibia (C) Ulna"
ANGLES = "Find $x$. A. 30 B. 45 C. 60 D. 90"
ALGEBRA = r"What is $y$? A. $x^2+1$ B. $x^2-1$ C. $\frac{1}{3}$"


@pytest.mark.parametrize(
    ("question", "reference", "answer", "right"),
    [
        (BONES, "B", r"\text{B. Tibia}", True),
        (BONES, "B", r"\text{(B) tibia}", True),
        (BONES, "B", r"\text{B (Tibia)}", True),
        (BONES, "B", r"\text{B - Tibia}", True),
        (BONES, "B", r"\text{B}: \text{Tibia}", True),
        (BONES, "(B)", r"\textbf{(B)}\ \text{Tibia}", True),
        (BONES, "B", r"\text{Tibia (B)}", True),
        (BONES, "B", r"\text{Option (B)}", True),
        (BONES, "B", r"\mathsf{B}", True),
        (BONES, "B", r"\text{B. Femur}", False),
        (BONES, "B", r"\text{A. Tibia}", False),
        (BONES, "B", r"\text{B. all of the above}", False),
        (BONES, "B", r"\text{Tibia}", False),
        (ANGLES, "B", "B. 45", True),
        (ANGLES, "B", r"B = 45^\circ", True),
        (ANGLES, "B", "B. 60", False),
        (ANGLES, "B", "B. 45, 60", False),
        (ANGLES, "B", r"\text{B. wrong}", False),
        (ALGEBRA, "B", r"\text{(B) } x^2 - 1", True),
        (ALGEBRA, "B", r"\text{(B) } -1 + x^2", True),
        (ALGEBRA, "C", r"\textbf{(C) }\frac13", True),
        (ALGEBRA, "C", "C. 1/3", True),
        (ALGEBRA, "B", r"\text{(B) } x^2 + 1", False),
        ("What is the length?\nA. 10 meters\nB. 12 meters", "B", r"B. 12 \text{ meters}", True),
        ("What is the length?\nA. 10 meters\nB. 12 meters", "B", r"B. 12 \text{ miles}", False),
        ("What is the angle?\nChoices:\nA:75°\nB:72°", "A", r"\text{A: } 75^\circ", True),
        ("What is the angle?\nChoices:\nA:75°\nB:72°", "A", r"75^\circ \text{ (A)}", True),
        ("What is the angle?\nChoices:\nA:75°\nB:72°", "A", r"\text{A: } 72^\circ", False),
        ("What is it?\nA.75\nB.0.5", "B", "B. 0.5", True),
        ("Is it acute or obtuse?", "Obtuse", r"\text{obtuse}", True),
        ("Answer yes or no.", "Yes", r"\text{yes}", True),
        ("Answer yes or no.", "Yes", r"\text{no}", False),
    ],
)
def test_a_text_beside_a_letter_is_that_of_its_choice(question, reference, answer, right):
    verdict = judge(answer, reference, question)
    assert verdict is not None
    assert (verdict.outcome == "right") is right, verdict


@given(st.lists(st.from_regex("[a-z]{3,9}", fullmatch=True), min_size=2, max_size=6, unique=True))
def test_every_way_of_marking_choices_is_read(texts):
    for mark in ("({})", "{})", "{}.", "{}:"):
        listed = [f"{mark.format(*pair)} {pair[1]}" for pair in zip("ABCDEF", texts, strict=False)]
        for separator in (" ", "\n"):
            options = read_options("Which one is it? " + separator.join(listed))
            assert list(options.values()) == texts
            assert "".join(options) == "ABCDEF"[: len(texts)]
    assert not read_options(f"Which of {', '.join(texts)} is it?")
