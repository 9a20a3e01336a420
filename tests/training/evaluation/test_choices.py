"""Which choice an answer names: by its letter, its text or its value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.evaluation.choices import nearest_letter, read_letter, read_letters
from training.evaluation.items import Rule
from training.evaluation.nearness import edit_distance
from training.evaluation.verdicts import judge, scorer, verdict


@pytest.fixture(scope="module")
def verifier():
    with scorer(num_processes=1) as one:
        yield one


def outcome(rule, response, verifier):
    return judge([rule], [response], ["?"], verifier)[0]


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        *((text, "B") for text in ("B", "b", "(B)", "B.", "\\text{B}", "\\mathbf{(B)}", "$B$")),
        *((text, "B") for text in ("option B", "Choice (B)", "B. 4 cm", "(B) 4 cm", "B: 4 cm")),
        *((text, "B") for text in ("4 cm", "4\\text{ cm}", "4cm", "B. four centimetres")),
        *((text, None) for text in ("D", "AB", "A, B", "B or C", "B. 5 cm", "6 cm", "", "Bob")),
        *((text, None) for text in ("A. 3 cm or B. 4 cm", "B. No, C", "A. B", "B, not C")),
        *((text, None) for text in ("B. However long", "B. But wait", "B. That is wrong")),
    ],
)
def test_one_choice(answer, letter):
    assert read_letter(answer, ("3 cm", "4 cm", "5 cm")) == letter


# Choices, the key's answers in other writings, and answers that are another choice's, of none, or
# contradict themselves. One key each; `letter` and `nearest` alike.
BY_VALUE = [
    (
        ("30°", "60°", "65°", "70°"),
        "C",
        ["65", "65 degrees", "65.0°", "x=65", "\\angle A = 65^\\circ", "C. 65", "C (65)", "65 (C)"],
        ["60", "B", "C. 60", "60 (C)", "C = 60", "65 or 70", "not 65", "65 cm", "66", "56"],
    ),
    (
        ("5 cm", "6 cm", "7 cm"),
        "B",
        ["6", "6.0 cm", "60 mm", "0.06 m", "B, 6 cm", "Option B: 6"],
        ["5", "5.0", "6 m", "6 kg", "16", "B = 5.0 cm", "B. 5.0 cm"],
    ),
    (("5 apples", "6 apples"), "A", ["5", "five"], ["6", "6 apples", "5 or 6"]),
    (
        ("12", "21", "1.2"),
        "A",
        ["12.0", "12 cm", "x=12", "A = 12"],
        ["21", "1.20", "B = 12", "2.1", "A. 21.0", "A. unless 21", "A. cannot be determined"],
    ),
    (
        ("\\frac{1}{2}", "\\frac{3}{4}"),
        "A",
        ["1/2", "0.5", ".5", "\\frac12", "A. 0.5"],
        ["3/4", "0.75", "A. 0.75", "A. 3/4", "1/2 or 3/4"],
    ),
    (
        ("$2\\sqrt{3}$", "$3\\sqrt{2}$"),
        "A",
        ["2\\sqrt3", "\\sqrt{12}"],
        ["\\sqrt{18}", "A. \\sqrt{18}", "\\sqrt{13}"],
    ),
    (("1", "10", "100", "1,000"), "D", ["1000", "1{,}000"], ["100", "D. 100.0"]),
    (
        ("12 cm", "21 cm", "1.2 cm"),
        "B",
        [
            *("B (21 cm)", "B \\text{ (21 cm)}", "B = 21 \\text{ cm}", "B = 21", "Answer: B"),
            *("\\text{The answer is B.}", '"B"', "'B'", "`B`", "The answer is 21 cm", "B 21 cm"),
        ],
        [
            *("B. 12cm / 21cm", "Answer: A", "B or A", '"A" or "B"', "B (12 cm)", "21 cm (A)"),
            "The answer is 12",
        ],
    ),
    (("$x+1$", "$x-1$", "$2x$"), "B", ["x-1", "-1+x"], ["x+1", "2x", "x - 2", "x-11", "B. 1+x"]),
    (("(1, 2)", "(2, 1)"), "B", ["(2,1)", "\\left(2, 1\\right)"], ["(1,2)", "B. (1,2)"]),
    (("3, 4", "3, 5"), "A", ["3 and 4", "$3,4$"], ["3 or 4", "3 or 5", "3", "4"]),
    (("Yes", "No"), "B", ["no", "No", '"No"'], ["not", "yes", "nope"]),
    (("a square", "a circle"), "B", ["A circle"], ["A square", "B. a square"]),
    # A share may be said as a number; where that is two choices' it says neither.
    (
        ("25%", "0.25%", "50%"),
        "B",
        ["B", "0.25%", "0.0025", "B. 0.25"],
        ["1/4", "0.25", "25", "0.5", "A. 0.25"],
    ),
    (("0.5%", "35%", "100%"), "A", ["0.5", "0.005", "1/200"], ["35", "0.35", "1", "100"]),
    # Behind a letter, what is another choice's takes it back.
    (
        ("30°", "60°", "65°", "70°"),
        "C",
        [
            *("C. it is 65 degrees", "C. 30 + 35 = 65", "C. 65 (see the picture)", "C. f(70) = 65"),
            "C. The angle is 65°, opposite to the side of 70",
        ],
        [
            *(
                "C. it is 70 degrees",
                "C. the angle equals 70°",
                "C. more than 70",
                "C. close to 70",
            ),
            *("C. 65, 70", "C. 65; 70", "C. 65 (70)", "C. 65/70", "C. 65 = 70", "C. 65 vs 70"),
            *("C. 65^\\circ \\neq 70^\\circ", "C. no"),
        ],
    ),
    (
        ("increase", "decrease", "stay the same"),
        "B",
        ["B. decreases", "B. it will decrease"],
        ["B. increases", "B. it will increase", "B. stays the same"],
    ),
    (("1/2", "2", "1"), "A", ["A. the ratio is 1/2", "A. 1/2 = 0.5"], ["A. it is 2"]),
    (("right", "the triangle is right"), "B", ["B. So the triangle is right"], ["B. right"]),
    (("A. niger", "E. coli", "yeast"), "B", ["E. coli", "B. E. coli"], ["A. niger", "E. col"]),
]


@pytest.mark.parametrize("kind", ["letter", "nearest"])
@pytest.mark.parametrize(("choices", "key", "right", "wrong"), BY_VALUE)
def test_a_choice_is_its_value_however_written(kind, choices, key, right, wrong, verifier):
    """Official scorers take the nearest text, or ask a judge: `65` is the choice `65°`."""
    rule = Rule(kind, key, choices)
    for answers, expected in ((right, "right"), (wrong, "wrong")):
        for answer in answers:
            assert outcome(rule, f"\\boxed{{{answer}}}", verifier) == expected, answer


WRITINGS = (
    "{}",
    "x = {}",
    "{}.0",
    "${}$",
    "{} cm",
    "\\text{{{} cm}}",
    "\\frac{{{}}}{{1}}",
    "{}.00 cm",
)


@given(
    st.lists(st.integers(1, 400), min_size=2, max_size=5, unique=True),
    st.integers(0, 4),
    st.sampled_from(["", " cm", "°", " apples", "\\%"]),
    st.sampled_from(WRITINGS),
)
def test_of_numeric_choices_the_keys_value_alone_is_right(numbers, place, unit, writing):
    """In whatever writing, with a letter or without."""
    choices = tuple(f"{number}{unit}" for number in numbers)
    key = place % len(numbers)
    if unit not in ("", " cm"):
        writing = writing.replace(" cm", "")
    for index, number in enumerate(numbers):
        text = writing.format(number)
        for kind in ("letter", "nearest"):
            rule = Rule(kind, "ABCDE"[key], choices)
            expected = "right" if index == key else "wrong"
            for answer in (text, f"{rule.answer}. {text}", f"{rule.answer} ({text})"):
                assert verdict(rule, answer) == expected, (rule, answer)


def test_choices_whose_texts_are_letters_or_the_same():
    assert read_letter("x", ("y", "x")) == "B"
    assert read_letter("2", ("2", "2")) is None  # which of them?
    assert read_letter("E", ()) == "E"  # texts not known


@pytest.mark.parametrize(
    ("answer", "letters"),
    [
        ("B, D", "B, D"),
        ("D, B", "B, D"),
        ("BD", "B, D"),
        ("B and D", "B, D"),
        ("B D", "B, D"),
        ("B, C, and D", "B, C, D"),
        ("(B), (D)", "B, D"),
        ("\\{B, D\\}", "B, D"),
        *((text, "B") for text in ("B", "b", "(b)", "B. a square", "Option B", "choice (B)")),
        *((text, "B, D") for text in ("b, d", "(b) and (d)", "Options B and D", "options: b, D")),
        ("B. a square or D. a ring", None),
        ("bad", None),
        ("B or D", None),
        ("not B", None),
        ("3", None),
        ("", None),
    ],
)
def test_a_set_of_choices(answer, letters):
    assert read_letters(answer) == letters


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("\\boxed{B} and \\boxed{D}", "right"),
        ("\\boxed{B}, \\boxed{D}", "right"),
        ("$\\boxed{\\text{D}}$, and $\\boxed{(B)}$", "right"),
        ("The answers are B and D.", "right"),
        ("The correct options are B and D", "right"),
        ("\\boxed{Both B and D}", "right"),
        ("\\boxed{B} or \\boxed{D}", "wrong"),
        ("\\boxed{B} and D.", "right"),
        ("\\boxed{B} or D", "wrong"),
        ("$\\boxed{B}$ or A", "wrong"),
        ("Answer: $\\boxed{B}$, or option D.", "wrong"),
        ("$\\boxed{B}$, C", "wrong"),
        ("\\boxed{B} and \\boxed{C}", "wrong"),
        ("\\boxed{B}, \\boxed{C}, \\boxed{D}", "wrong"),
        ("\\boxed{B}", "wrong"),
    ],
)
def test_a_set_of_choices_as_models_write_it(response, expected, verifier):
    assert outcome(Rule("letters", "B, D"), response, verifier) == expected
    for refuted in (
        ", and A is too small",
        ", and A, C, D are incorrect.",
        "\nand A, C are too small",
    ):
        said = f"$\\boxed{{B}}${refuted}"
        assert outcome(Rule("letter", "B"), said, verifier) == "right", refuted
    # Of one choice, two boxes or two letters are a hedge.
    assert outcome(Rule("letter", "B"), response, verifier) == (
        "right" if response == "\\boxed{B}" else "wrong"
    )


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("A", "A"),
        ("line BC", "B"),
        ("the line BC", "B"),  # 4 of 7 characters more are too many: see below
        ("Lime AB", "A"),
        ("Line", None),  # as near to one as to the other
        ("something else", None),
        ("Line AB or Line BC", None),
    ],
)
def test_the_nearest_choice(answer, letter):
    if answer == "the line BC":
        assert edit_distance(answer, "line bc") > len("line bc") / 2
        letter = None
    assert nearest_letter(answer, ("Line AB", "Line BC")) == letter


@pytest.mark.parametrize(
    ("answer", "choices"),
    [
        ("not congruent", ("congruent", "similar")),
        ("incongruent", ("congruent", "similar")),
        ("unequal", ("equal", "opposite")),
        ("irrational numbr", ("rational number", "imaginary")),
        ("congruent", ("incongruent", "similar")),  # and the other way round
        ("no triangles", ("triangles", "hexagonal lattice")),
    ],
)
def test_what_is_denied_is_near_to_nothing(answer, choices, verifier):
    """By edit distance alone, as the official scorer does it, each would be paid."""
    text = choices[0]
    assert 2 * edit_distance(answer, text) <= len(text)
    assert nearest_letter(answer, choices) is None
    for response in (f"\\boxed{{{answer}}}", f"The answer is {answer}."):
        assert outcome(Rule("nearest", "A", choices), response, verifier) != "right"


def test_a_choice_that_denies_may_be_named():
    assert nearest_letter("not congruemt", ("congruent", "not congruent")) == "B"
    assert nearest_letter("incongruemt", ("similar", "incongruent")) == "B"


def test_of_choices_with_one_text_each_is_the_key():
    """MathVista has some; its scorer compares the texts."""
    choices = ("9", "18", "18")
    assert nearest_letter("18", choices) == "B"
    for answer in ("18", "B", "C", "(C)"):
        assert verdict(Rule("nearest", "B", choices), answer) == "right"
    assert verdict(Rule("nearest", "B", choices), "A") == "wrong"
    assert verdict(Rule("nearest", "B", choices), "D") == "wrong"  # no choice


def plain_distance(first, second):
    """Levenshtein's recursion as it is defined."""
    if not first or not second:
        return len(first) + len(second)
    return min(
        plain_distance(first[1:], second) + 1,
        plain_distance(first, second[1:]) + 1,
        plain_distance(first[1:], second[1:]) + (first[0] != second[0]),
    )


@given(st.text("abc", max_size=5), st.text("abc", max_size=5))
def test_the_edit_distance_is_levenshteins(first, second):
    assert edit_distance(first, second) == plain_distance(first, second)


POINTS, RATIOS = ("(0, 1)", "(1, 0)", "(1, 1)"), ("1:2", "2:3", "3:4", "1:3")
ISOMERS = ("R-configuration", "S-configuration", "both", "neither")
ALKENES = ("Z-alkene", "E-alkene", "both", "neither")
WAVES = ("P-waves", "S-waves", "both", "neither")
STARS = ("A-type", "B-type", "O-type", "G-type")
AMINES = ("N-methylaniline", "O-methylation", "C-alkylation", "S-adenosylmethionine")


@pytest.mark.parametrize(
    ("answer", "choices", "letter"),
    [
        ("2/3", RATIOS, "B"),
        (r"\frac{2}{3}", RATIOS, "B"),
        ("3/2", RATIOS, None),
        ("B (1, 0)", POINTS, "B"),
        (r"\text{B} (1,0)", POINTS, "B"),
        ("B, (1,0)", POINTS, "B"),
        ("A (1, 0)", POINTS, None),
        ("P = (1,0)", POINTS, "B"),
        ("C = (1,0)", POINTS, "B"),
        ("D = 3:4", RATIOS, None),
        ("B. The S-configuration", ISOMERS, "B"),
        ("B. C-configuration", ISOMERS, None),
        ("B. E", ISOMERS, None),
        ("B. The R-form", ISOMERS, None),
        ("A. The E-isomer", ALKENES, None),
        ("A. E-configured alkene", ALKENES, None),
        ("B. The E-isomer", ALKENES, "B"),
        ("A. S-waves arrive first", WAVES, None),
        ("A. P-waves arrive first", WAVES, "A"),
        ("A. The O-type star", STARS, None),
        ("B. The N-methyl compound", AMINES, None),
        ("C. N-alkylation", AMINES, None),
        ("C. I", ("I only", "II only", "I and II"), None),
        ("B. Figure B", (), "B"),
        ("A. Figure C", (), "A"),
        ("B. Point C", (), "B"),
        ("A. point A", ("B", "A", "C"), None),
        ("B. Figure B or C", (), None),
        ("B. not C", (), None),
        ("B. C", (), None),
    ],
)
def test_what_belongs_to_the_text_of_a_choice_takes_no_letter_back(answer, choices, letter):
    assert read_letter(answer, choices) == letter


@pytest.mark.parametrize(
    ("answer", "letter"), [("P(1,0)", "B"), ("M (1, 0)", "B"), ("A (1, 0)", None)]
)
def test_a_point_may_have_a_name_that_is_no_choice(answer, letter):
    assert nearest_letter(answer, POINTS) == letter


def test_an_ampersand_of_latex_joins_letters():
    assert read_letters(r"B \& D") == "B, D"


@pytest.mark.parametrize("own", ["Cannot be determined", "None of these"])
def test_a_choice_that_says_that_nobody_knows_may_be_said_in_other_words(own):
    choices = ["12", "15", "20", own]
    for said in ("It cannot be determined", "None of the above", "None"):
        assert read_letter(f"D. {said}", choices) == "D"
        assert read_letter(f"A. {said}", choices) is None
