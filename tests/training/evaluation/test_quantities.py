"""Numbers and what may stand behind them: a unit, a noun of the question, and nothing else."""

import pytest

from training.evaluation.items import Rule
from training.evaluation.quantities import read_number
from training.evaluation.verdicts import judge, scorer, verdict
from training.evaluation.votes import Ballot, majority_right

NUMBERS = (Rule("number", "5"), Rule("number", "5", decimals=1), Rule("integer", "5"))


@pytest.mark.parametrize("rule", NUMBERS, ids=lambda rule: rule.kind)
@pytest.mark.parametrize(
    "answer",
    [
        *("5", "5.0", "10/2", "$5$", "x = 5", "5.", "\\text{5}"),
        *(
            "5 cm",
            "5\\text{ cm}",
            "5 cm^2",
            "5\\text{ cm}^2",
            "5 square metres",
            "5 km/h",
            "5 m/s^2",
        ),
        *("5°", "5^\\circ", "5 degrees", "5\\%", "5 percent", "\\$5", "5 dollars", "5 units"),
        *("5 years", "5 kg", "5 L", "5 N", "5m", "5 square units"),
    ],
)
def test_a_unit_may_follow(rule, answer):
    assert verdict(rule, answer, "What is it?") == "right"


@pytest.mark.parametrize("rule", NUMBERS, ids=lambda rule: rule.kind)
@pytest.mark.parametrize(
    "question", ["What is it?", "How long is side AB?", "How many apples?", ""]
)
@pytest.mark.parametrize(
    "answer",
    [
        *("5 times the radius", "5 is wrong", "5 maybe six", "5 times", "5 squared", "5 thousand"),
        *(
            "5 is not the answer",
            "5 more than that",
            "5 or 6",
            "5 out of ten",
            "5 dozen",
            "5 to six",
        ),
        *("5 minus one", "5 hundred", "5 radii", "5 factorial", "5k", "5 M", "5x", "5 choose two"),
    ],
)
def test_words_that_are_no_unit_may_not(rule, question, answer):
    """Up to five words were taken for a unit, and any unit where the rule names none."""
    assert verdict(rule, answer, question) == "wrong"


@pytest.mark.parametrize(
    ("question", "right", "wrong"),
    [
        (
            "How many apples are there?",
            ["5 apples", "5 objects"],
            ["5 pears", "5 cm", "5 apple pies"],
        ),
        ("How many gizmos are shown?", ["5 gizmos", "5 gizmo"], ["5 gadgets", "5 kg"]),
        ("How many red gizmos are shown?", ["5 red gizmos"], ["5 blue gizmos"]),
        ("What is the energy in calories?", ["5 calories"], ["5 pixels", "5 calorie counts"]),
        ("What is twice the radius, squared?", ["5"], ["5 twice", "5 squared", "5 radius squared"]),
        ("How many minutes does it take?", ["5 minutes", "5 min"], ["5 hours", "5 h", "5 apples"]),
        ("What is the length in cm?", ["5 cm"], ["5 mm", "5 m", "5 cm^2"]),
        ("How old is she?", ["5 years", "5 years old"], ["5 months", "5 years ago"]),
    ],
)
def test_what_the_question_asks_for_may_follow(question, right, wrong):
    for answers, expected in ((right, "right"), (wrong, "wrong")):
        for answer in answers:
            assert verdict(Rule("number", "5"), answer, question) == expected, answer


@pytest.mark.parametrize(
    ("reference", "right", "wrong"),
    [
        ("12 cm", ["12 cm", "120 mm", "0.12 m", "12"], ["12 mm", "12 kg", "12 cm^2", "12 apples"]),
        ("2 hours", ["120 min", "2", "2 h"], ["2 min", "120"]),
        ("20 °C", ["20°", "20 degrees", "20 °C"], ["20 °F", "20 cm"]),
        ("50\\%", ["50", "50 %"], ["50 cm", "0.5"]),
        ("\\$3", ["3 dollars", "300 cents", "3"], ["3 cents", "3 euros"]),
        ("3 km/h", ["3 km/h", "3"], ["3 m/s", "3 km"]),
        ("7 apples", ["7", "7 apples"], ["7 pears"]),
        ("\\frac{1}{2} m", ["50 cm", "0.5 m"], ["50 m", "5 cm"]),
    ],
)
def test_the_unit_of_the_reference_counts(reference, right, wrong):
    """It was not looked at: 12 mm were right for 12 cm."""
    for answers, expected in ((right, "right"), (wrong, "wrong")):
        for answer in answers:
            assert verdict(Rule("number", reference), answer, "What is it?") == expected, answer


@pytest.mark.parametrize("kind", ["number", "integer"])
@pytest.mark.parametrize(
    ("reference", "question", "right", "wrong"),
    [
        (
            "12",
            "What is the area of the shaded region?",
            ["12", "12 cm^2", "12 square units"],
            ["12 kg", "12 s", "12 degrees", "12 cm^3", "12 cm"],
        ),
        ("45", "What is the measure of angle ABC?", ["45", "45°"], ["45 cm", "45\\%", "45 kg"]),
        ("-3", "Find $f(2)$.", ["-3", "f(2)=-3"], ["f(3)=-3"]),
        (
            "12",
            "Find the value of y.",
            ["12", "y=12", "y = 3+9 = 12", "3+9=12"],
            ["x=12", "y = 3+8 = 12", "x + 12", "12 = 13", "y = 12 = 13", "3+9=12 or 13"],
        ),
        (
            "5",
            "How many apples?",
            ["five", "Five", "$\\text{five}$"],
            ["six", "five or six", "fifty"],
        ),
        ("1500", "What is the population?", ["1500 people", "1500"], ["1500 cm", "1500 years"]),
        ("60", "What is the speed in km/h?", ["60 kmph", "60 km/h"], ["60 mph", "60 km"]),
    ],
)
def test_units_and_names_are_those_of_what_is_asked_for(kind, reference, question, right, wrong):
    """Any known unit, and any name, was taken where the question named no unit."""
    for answers, expected in ((right, "right"), (wrong, "wrong")):
        for answer in answers:
            assert verdict(Rule(kind, reference), answer, question) == expected, answer


@pytest.mark.parametrize(
    ("reference", "question", "right", "wrong"),
    [
        ("0.75", "What share is it?", ["0.75", "75\\%", "3/4"], ["0.75\\%", "75", "7.5\\%"]),
        ("0.75", "What is the probability?", ["75 percent"], ["0.75 percent"]),
        ("45", "What percentage is it?", ["45", "45\\%"], ["4500\\%", "0.45"]),
        ("0.5", "What percentage is it?", ["0.5", "0.5\\%"], ["50\\%"]),
        ("5", "What is it?", ["5\\%"], ["500\\%", "0.05"]),
    ],
)
def test_per_cent_is_a_share_of_what_is_at_most_one(reference, question, right, wrong):
    for answers, expected in ((right, "right"), (wrong, "wrong")):
        for answer in answers:
            assert verdict(Rule("number", reference), answer, question) == expected, answer


def test_a_list_may_end_with_and():
    for answer, expected in (("0 and 8", "right"), ("0, and 8", "right"), ("0 or 8", "wrong")):
        assert verdict(Rule("list", "[0, 8]"), answer) == expected
    for answer, expected in (("1, 0 and 2", "right"), ("1, 2 and 0", "wrong"), ("1 and", "wrong")):
        assert verdict(Rule("list", "[1, 0, 2]"), answer) == expected


def test_a_list_is_compared_with_its_units():
    rule = Rule("list", "[1 cm, 2 cm]")
    for answer, expected in (("1 cm, 20 mm", "right"), ("1, 2", "right"), ("1 mm, 2 mm", "wrong")):
        assert verdict(rule, answer, "Which?") == expected
    for answer in ("[1 is wrong, 2]", "[1, 2 maybe six]"):
        assert verdict(Rule("list", "[1, 2]"), answer, "Which?") == "wrong"


def test_words_that_are_no_unit_are_no_vote_for_a_number():
    assert read_number("5 is wrong") is None and read_number("5 cm") == 5
    votes = [("5", True), ("5 cm", True), ("5 is wrong", False), ("6", False)]
    assert majority_right([Ballot(*vote) for vote in votes], "number") == 1.0


@pytest.mark.parametrize(
    ("reference", "right", "wrong"),
    [
        (
            "0.866",
            ["\\sin 60^\\circ", "\\cos(30^{\\circ})", "\\sqrt3/2"],
            ["\\sin 60", "\\cos 60°"],
        ),
        ("1.5", ["3\\sin 30^\\circ", "3\\cos 60° "], ["\\sin 90°", "\\sin^2 30°"]),
        ("0.5", ["\\sin^2 45^\\circ"], ["\\sin 45^\\circ"]),
        ("-0.305", [], ["\\sin 60^\\circ"]),  # of 60 radians
        ("2.718", ["e", "$e$", "e^1"], ["e^2", "2e", "f"]),
        ("2", ["2"], ["e", "e cm"]),
        ("0.0001 eV", ["10^{-4} eV", "10^-4 eV", "0.1 meV"], ["10^{-4} MeV", "10^1 eV", "10^-4 m"]),
        ("2.10", ["2.1"], ["2.1^2"]),
    ],
)
def test_functions_of_degrees_constants_and_powers_of_ten(reference, right, wrong):
    for answers, expected in ((right, "right"), (wrong, "wrong")):
        for answer in answers:
            rule = Rule("number", reference, tolerance=0.001)
            assert verdict(rule, answer, "How long is it?") == expected, answer
    assert verdict(Rule("integer", "2"), "e", "How long is it?") == "wrong"


def test_a_function_that_is_asked_for_is_not_left_to_be_evaluated():
    rule = Rule("number", "0.866", tolerance=0.001)
    assert verdict(rule, "\\sin 60^\\circ", "What is \\sin 60^\\circ?") == "wrong"
    assert verdict(rule, "\\sin 60^\\circ", "What is the sine of 60 degrees?") == "wrong"
    assert verdict(rule, "1/sin 60°", "What is 1/sin 60°?") == "wrong"
    for evaluated in ("= 0.866", "\\approx 0.866", "= \\cos 30^\\circ"):
        answer = f"\\sin 60^\\circ {evaluated}"
        assert verdict(rule, answer, "What is \\sin 60^\\circ?") == "right", answer
    assert verdict(rule, "\\cos 30^\\circ", "What is \\sin 60^\\circ?") == "right"
    assert verdict(rule, "\\cos 30^\\circ", "What does it cost?") == "right"


@pytest.mark.parametrize(
    ("answer", "question"),
    [
        ("5 sec", "How long does it take, in sec?"),
        ("5\\text{ sec}", "How many sec does it take?"),
        ("5 m/sec", "How fast is it, in m/sec?"),
        ("5 m/sec^2", "What is its acceleration in m/sec^2?"),
        ("5 logs", "How many logs, or a log, are there?"),
    ],
)
def test_a_unit_or_a_noun_is_no_function(answer, question):
    assert verdict(Rule("number", "5"), answer, question) == "right"


@pytest.mark.parametrize("power", ["^{2}", "^2", "^ 2"])
def test_a_unit_that_a_question_writes_in_braces(power):
    r"""`in $\mathrm{cm}^{2}$` was read as centimetres: so 60 questions of MathVision ask."""
    question = f"What is the area, in $\\mathrm{{cm}}{power}$, of the larger rectangle?"
    rule = Rule("number", "150", decimals=2)
    for answer in ("150", "150 cm^2", "150 \\mathrm{~cm}^{2}", "150\\text{ square centimetres}"):
        assert verdict(rule, answer, question) == "right"
    for answer in ("150 cm", "150 mm^2", "150 cm^3"):
        assert verdict(rule, answer, question) == "wrong"


def test_what_the_question_asks_for_may_stand_before_the_value():
    """`G+J = 6` was wrong, and so was the area of a triangle by its usual name."""
    rule = Rule("number", "6", decimals=2)
    for asked, answer in (
        ("What is the value of $G+J$?", "G+J = 6"),
        ("What is the area of $\\triangle ABC$?", "S_{\\triangle ABC} = 6"),
    ):
        assert verdict(rule, answer, asked) == "right"
        assert verdict(rule, answer.replace("6", "7"), asked) == "wrong"
    assert verdict(rule, "G - J = 6", "What is the value of $G+J$?") == "wrong"


@pytest.mark.parametrize(
    ("rule", "response", "outcome"),
    [
        (
            Rule("letter", "B", ("700", "800")),
            "is $\\boxed{800}$. The answer is \\boxed{B}.",
            "right",
        ),
        (
            Rule("letter", "B", ("700", "800")),
            "is $\\boxed{700}$. The answer is \\boxed{B}.",
            "wrong",
        ),
        (Rule("letter", "B"), "\\boxed{A} or \\boxed{B}", "wrong"),
        (Rule("number", "2.5", decimals=1), "\\boxed{2.5cm}. Answer: \\boxed{2.5}", "right"),
        (Rule("number", "2.5", decimals=1), "\\boxed{2}. Answer: \\boxed{2.5}", "wrong"),
    ],
)
def test_boxes_side_by_side_are_right_where_each_is(rule, response, outcome):
    """The choice's text and its letter, or one number in two writings, were a hedge."""
    with scorer() as verifier:
        assert judge([rule], [response], [""], verifier) == [outcome]
