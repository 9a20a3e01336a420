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
        ("What is its speed in km/h?", "km"),
        ("How many miles per hour?", "miles"),
        ("How many six-inch tiles are there?", "tile"),
        ("How much does Tom owe to Miles?", None),
        ("What percent of them is red?", "percent"),
        (r"Find the volume in $\text{cm}^3$.", "cm^3"),
        ("Find the area. Give your answer in square metres.", "m^2"),
        ("How many more apples has she than pears?", "apple"),
        ("He came in second place. What is x?", None),
        ("How long is it, in feet and inches?", None),
        ("How many are left in the box?", None),
        ("How many ways are there?", "way"),
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
        ("0.005 km", "How many metres is it?", False),  # converting is the task
        ("5 miles per day", "How many miles does she run each day?", True),
        ("5 miles per hour", "How many miles is it?", False),
        ("5 clips", "How many clips are left?", True),
        ("5 hours", "How many clips are left?", False),
        ("5%", "How many apples are left?", False),
        ("5 students", "What percent of them are boys?", False),
        (r"\$5", r"A pen costs \$2. What do some cost?", True),
        ("5 cents", r"A pen costs \$2. What do some cost?", False),
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
