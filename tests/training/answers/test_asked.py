"""Units and nouns beside a bare reference: those that the question asks for, and no others."""

import pytest

from training.answers.questions import read_asked
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
    nouns = frozenset({noun} if noun else ())
    assert (found.unit, found.nouns) == ((None, nouns) if noun else (wanted, nouns))


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
        (r"5 \text{ V}", "Determine the voltage across the resistor.", True),
        (r"5 \text{ A}", "Determine the voltage across the resistor.", False),
        (r"5\text{ mA}", "Find the current $I$ in mA.", True),
        (r"5\text{ A}", "Find the current $I$ in mA.", False),
        (r"5 \,\Omega", "Find the resistance in ohms.", True),
        (r"5 \text{ k}\Omega", "Find the resistance in ohms.", False),
        (r"5 \text{ kPa}", "What is the pressure in kPa?", True),
        (r"5 \text{ m}", "What is the wavelength in nm?", False),
        (r"5 \text{ M}", "What is the molarity?", True),
        (r"5 \text{ M}", "How much money is it?", False),
        (r"5 \, \frac{\text{m}}{\text{s}^2}", "What is the acceleration, in m/s^2?", True),
        (r"5 \text{ m s}^{-2}", "What is the acceleration, in m/s^2?", True),
        (r"5 \text{ m/s}", "What is the acceleration, in m/s^2?", False),
        ("5 miles", "What speed (in miles per hour) does she need?", False),
        ("5 miles per hour", "What speed (in miles per hour) does she need?", True),
        (r"5^{\circ} \mathrm{C}", "What is the temperature in Celsius?", True),
        (r"5^\circ\text{F}", "What is the temperature in Celsius?", False),
        (r"5 \text{ degrees Celsius}", "What is the temperature?", True),
        ("5 cm", "Find the area of the figure.", False),
        ("5 cm^3", "Find the area of the figure.", False),
        ("5 cm", "Find the area of the figure. The sides are 3 cm and 4 cm.", False),
        (r"5^\circ\text{F}", "It is 20°C and falls. What is the temperature?", False),
        (r"5^\circ", "Tom has 8 apples and eats 3. How many are left?", False),
        ("5 cm^2", "Find the area of the figure.", True),
        ("5 square units", "Find the area of the figure.", True),
        ("5 cm^2", "Find the volume of the box.", False),
        ("5 liters", "Find the volume of the box.", True),
        ("5 cm^2", "Find the perimeter of the box.", False),
        ("5 cm", r"Find the measure of $\angle 1$.", False),
        (r"5^\circ", r"Find the measure of $\angle 1$.", True),
        ("5 hours", "How much does he need to pay?", False),
        (r"\$5", "How much does he need to pay?", True),
        ("5 hours", "How far is he from home?", False),
        ("5 apples left", "Tom has 8 apples and eats 3. How many are left?", True),
        ("5 apples left", "Tom has 8 apples. How many did he eat?", False),
        ("5 years old", "How old is Tom?", True),
        ("500%", "What percent of them are boys?", False),
        ("5%", "What percent of them are boys?", True),
    ],
)
def test_a_bare_reference_has_the_unit_that_is_asked_for(answer, question, right):
    verdict = judge(answer, "5", question)
    assert verdict is not None
    assert (verdict.outcome == "right") is right
