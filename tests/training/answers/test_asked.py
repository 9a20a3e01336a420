"""Units and nouns beside a bare reference: those that the question asks for, and no others."""

import pytest

from training.answers.asked import read_asked
from training.answers.quick import judge
from training.answers.units import noun_of, parse_unit


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ("How many metres are 5 km?", "metre"),
        ("A trip takes 90 min. How long is that in hours?", "hour"),
        ("What is its speed in km/h?", "km/h"),
        (r"Find the volume in $\text{cm}^3$.", "cm^3"),
        ("Find the area. Give your answer in square metres.", "m^2"),
        ("How many more apples has she than pears?", "apple"),
        ("He came in second place. What is x?", None),
        ("How long is it, in feet and inches?", None),
        ("How many are left in the box?", None),
        ("How many ways are there?", None),
        ("What is 2 + 3?", None),
        ("", None),
    ],
)
def test_what_a_question_asks_for(question, asked):
    found = read_asked(question)
    wanted = parse_unit(asked, separated=True) if asked else None
    noun = noun_of(wanted) if wanted else None
    assert (found.unit, found.noun) == ((None, noun) if noun else (wanted, None))


@pytest.mark.parametrize(
    ("answer", "question", "right"),
    [
        ("5 km", "How many metres is it? It is 1 km.", False),
        ("5 m", "How many metres is it?", True),
        ("0.005 km", "How many metres is it?", True),
        ("5 apples", "How many metres is it?", False),
        ("5 K", "What is 2 + 3?", False),
        ("5 K", "What is the temperature?", True),
        ("5 loss", "What is the profit?", False),
        ("5 cm", "What is x in the picture?", True),
        ("5 cm", "The side is 2 m. What is x?", False),
        ("5 ways", "How many paths are there?", True),
        ("5 pears", "Tom has 3 pears. How many apples has he?", False),
        ("5 apples", "Tom has 8 apples and eats 3. How many are left?", True),
        ("5 °C", "By how many degrees did it rise?", True),
        ("5", "How many metres is it?", True),
        ("5 km", "", True),
    ],
)
def test_a_bare_reference_has_the_unit_that_is_asked_for(answer, question, right):
    verdict = judge(answer, "5", question)
    assert verdict is not None
    assert (verdict.outcome == "right") is right
