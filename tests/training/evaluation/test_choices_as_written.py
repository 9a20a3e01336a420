"""Choices as models write them at more length: with units, names, reasons and questions."""

import pytest

from training.evaluation.choices import read_letter, read_letters
from training.evaluation.items import Rule
from training.evaluation.verdicts import judge, scorer

ANGLES = ("30°", "45°", "60°", "90°")
CHANGES = ("increases", "decreases", "stays the same")
ENERGIES = ("10^-4 eV", "10^-8 eV", "10^-9 eV", "10^{-11} eV")
POLAR = ("Yes", "No")
OPEN = ("Yes", "No", "Cannot be determined")
SHAPES = ("square", "rectangle")
COLOURS = ("Tan", "Red")
ANGLE, AREA = "What is the size of angle C?", "Find the area A."
LINE = "Which line is longer? choice: (A) Tan (B) Red"

DOUBTS = (
    *("it cannot be determined", "we cannot tell", "we don't know", "not determinable", "not sure"),
    *("it is not possible to determine", "I do not know", "I am not certain", "cannot say"),
    *("it isn't, A", "it isn't (A)", "it isn't. A", "A is not", "it is not; A", "it isn't, C"),
)
UNSURE = ["Yes, I am unsure", "Yes, unless wrong", "Yes, I guess", "Yes, it is. B", "Yes (B)"]
BESIDE = (
    ["A. the pressure increases, volume decreases", "A. increases, y stays the same"],
    ["A. the volume decreases, pressure increases", "A. increases, then it decreases"],
)
BOTH = [
    *("A. increases, finally decreases", "A. increases, decreases", "A. increases - decreases"),
    *("A. increases, it decreases", "A. increases / decreases", "A. increases until it decreases"),
]

# Kind, choices, key, question; answers that are right, and wrong ones.
CASES = [
    ("letter", ANGLES, "B", ANGLE, ["C = 45^\\circ", "C = 45"], ["C = 60", "C. 45", "A = 30"]),
    ("letter", ANGLES, "B", AREA, ["A = 45"], ["C = 45", "A = 30"]),
    *(
        ("letter", ANGLES, "B", asked, ["C = 45"], ["C = 60", "A = 45"])
        for asked in (
            "What is $\\angle C$?",
            "Find ∠C.",
            "If angle A is 30°, how large is angle C?",
        )
    ),
    ("letter", ANGLES, "B", "What is the size of angle D?", [], ["C = 45", "A = 45"]),
    ("letter", ANGLES, "B", "If angle C is 30°, what is angle D?", [], ["C = 45"]),
    (
        "letter",
        ENERGIES,
        "A",
        "",
        ["0.0001 eV", "1 \\times 10^{-4} \\text{ eV}", "0.1 meV"],
        ["10^{-8} eV", "0.0001 MeV", "0.1 MeV"],
    ),
    ("letter", ("1.5 GeV", "2 GeV"), "A", "", ["1500 \\text{ MeV}"], ["1.5 MeV", "2000 MeV"]),
    (
        "letter",
        CHANGES,
        "A",
        "",
        ["A. increases"],
        ["A. increases, then decreases", "A. decreases"],
    ),
    ("letter", ("cat", "dog", "cow"), "C", "", ["C. the cow"], ["C. both dog, cow", "C. dog, cow"]),
    ("letter", ("red", "blue"), "A", "", ["A. red one"], ["A. blue one", "A. a blue one, I think"]),
    ("letter", ("1:2", "2:3", "3:2"), "B", "", ["2 to 3", "2/3"], ["3 to 2", "2 to 4", "2 or 3"]),
    ("letter", ("1:1", "2:1", "1:2"), "B", "", ["2", "2 : 1", "2/1"], ["1/2", "0.5", "1"]),
    ("letter", ("$2:3$", "$6:\\pi$"), "B", "", ["\\frac{6}{\\pi}"], ["6\\pi", "\\frac{2}{3}"]),
    ("nearest", ("4.00米", "4.40米"), "B", "", ["4.40", "4.4 m", "4.40米"], ["4.0", "440"]),
    ("nearest", ("3米", "3厘米"), "B", "", ["3厘米", "B. 3厘米"], ["3米", "3", "A. 3厘米"]),
    ("nearest", ("20海里", "20√{2}海里"), "B", "", ["20√{2}", "20\\sqrt{2}"], ["20", "40"]),
    ("letter", ("15*\\degree", "60*\\degree"), "B", "", ["60", "60°", "60^\\circ"], ["15°"]),
    ("letter", ("1 & 2", "1 & 3"), "B", "", ["1 and 3", "1, 3", "1 \\& 3"], ["1 and 2", "13"]),
    ("letter", ("True", "False"), "A", "", ["（A）True", "\u200b(A) True"], ["（B）True"]),
    ("letter", ("1", "1/3", "3"), "C", "", ["C. 3 of them"], ["C. 1/3 of it"]),
    (
        "nearest",
        ("160m", "160√{3}m", "360m"),
        "B",
        "",
        ["160√{3}", "160\\sqrt{3}", "160\\sqrt{3} m"],
        ["160", "160√{3} cm", "160√{2}", "360"],
    ),
    ("letter", ("square", "rectangle"), "A", "", ["A. square, not a rectangle"], ["A. not square"]),
    ("letter", ("11", "12", "13"), "A", "", ["A. 11 carbon atoms, not 12"], ["A. 11, 12 or 13"]),
    ("nearest", ("angle ABC", "angle BCD"), "A", "", ["angel ABC"], ["angle ABD", "angle AB"]),
    ("nearest", ("x is larger", "both are equal"), "A", "", ["x is largr"], ["y is larger"]),
    (
        "nearest",
        ("A is larger than B", "Both are equal"),
        "A",
        "",
        ["A is largr than B", "angle A is larger than B"],
        ["B is larger than A", "b is larger than a"],
    ),
    ("nearest", ("1970", "1980"), "A", "", ["In 1970", "in the year 1970"], ["In 1980", "In 197"]),
    *(
        (
            kind,
            POLAR,
            "B",
            "Is it even?",
            ["No, it is not", "No, it isn't even."],
            ["No, it is", "Yes, it is", "Yes, it is not", "No, but yes", "No, it is not, or B"],
        )
        for kind in ("letter", "nearest")
    ),
    ("nearest", POLAR, "A", "Is it even?", ["Yes, it is"], ["Yes, it is not", "No, it is not"]),
    ("nearest", COLOURS, "A", LINE, ["Tan line"], ["Red line", "Tan lines and", "Tan longer or"]),
    ("nearest", COLOURS, "A", "Which is longer?", [], ["Tan line"]),
    ("integer", (), "1970", "", ["In 1970"], ["In 1971"]),
    *(
        (
            kind,
            choices,
            "B",
            "Is it even?",
            ["No, it is not even"],
            [f"No, {one}" for one in DOUBTS],
        )
        for kind in ("letter", "nearest")
        for choices in (POLAR, OPEN)
    ),
    *(
        (kind, POLAR, "A", "Is it less?", ["Yes, it is less.\n\nA"], UNSURE)
        for kind in ("letter", "nearest")
    ),
    ("letter", ("Yes", "No", "It depends"), "B", "", [], ["No, it depends, not always"]),
    *(("letter", CHANGES, "A", "", *changes) for changes in (BESIDE, ([], BOTH))),
    ("letter", SHAPES, "A", "", ["A. square (which is a rectangle)"], ["A. square, a rectangle"]),
    ("letter", SHAPES, "A", "", ["A. square, a special rectangle"], ["A. square, rectangle"]),
    *(
        (
            "nearest",
            ("more", "fewer"),
            "A",
            f"Are there more {things} than blue spheres?",
            [],
            wrong,
        )
        for things, wrong in (
            ("red cubes", ["more spheres", "more cubes"]),
            ("dogs", ["more dogs"]),
        )
    ),
]

# Behind `B. `, where no text is known.
NAMING = (
    *("Option C", "Choice C", "the letter C", "C?", "C!", "it's C", "Answer: C", "The answer: C"),
    *("Correct answer: C", "final: C", "correction: C", "I changed my mind: C", "sorry C"),
    *("on second thought C", "go with C", "select C", "prefer C", "likely C", "probably C"),
    *("otherwise D", "both B and C", "C works too", "it could be C too", "C as well"),
    *(
        "D or the left",
        "a ring. C",
        "a ring (C)",
        "a ring | C",
        "a ring \u2013 C",
        "a ring \\vee C",
    ),
    *("figure C, too", "or figure C", "Graph B or Graph A", "a ring, figure C", "Point C?"),
    *("point C or D", "not point C", "the better is point C", "12 C", "II or C"),
)
TAKING_BACK = (
    *("I guess", "is not right", "that is not correct", "this isn't right", "sorry", "not sure"),
    *("changed my mind", "a ring, none of these", "the answer is wrong", "option c", "no, a disc"),
)


@pytest.fixture(scope="module")
def verifier():
    with scorer(num_processes=1) as one:
        yield one


@pytest.mark.parametrize(("kind", "choices", "key", "question", "right", "wrong"), CASES)
def test_a_choice_at_length(kind, choices, key, question, right, wrong, verifier):
    rule = Rule(kind, key, choices)
    for answers, expected in ((right, "right"), (wrong, "wrong")):
        for answer in answers:
            found = judge([rule], [f"\\boxed{{{answer}}}"], [question], verifier)
            assert found == [expected], answer


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("\\boxed{C}: 3", "right"),
        ("$\\boxed{C} = 3$.", "right"),
        ("So \\boxed{\\text{C}}: 3.", "right"),
        ("\\boxed{C}: A and B are too small.", "right"),
        ("\\boxed{C}: 2", "wrong"),
        ("\\boxed{C} = 2", "wrong"),
        ("\\boxed{B}: 3", "wrong"),
        ("\\boxed{C}: 3 or 2", "wrong"),
    ],
)
def test_a_text_behind_a_boxed_letter_is_its_text(response, expected, verifier):
    rule = Rule("letter", "C", ("1", "2", "3"))
    assert judge([rule], [response], ["?"], verifier) == [expected]


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        *((f"B. {text}", "B") for text in ("Point C", "Graph A", "I and II", "II and V")),
        *((f"B. {text}", "B") for text in ("not differentiable", "sometimes, but not always")),
        *((f"(B) {text}", "B") for text in ("The left and the right one", "true or false")),
        *((f"B) {text}", "B") for text in ("No ravens are birds", "no rings")),
        *((text, "B") for text in ("B (the left one)", "B (Point C)", "B - line AC")),
        *((f"B. {text}", None) for text in ("C", "A and C", "Figure B or C", "or option C")),
        *((f"B. {text}", None) for text in ("not C", "not B", "a ring, C", "a ring and C", "or c")),
        *((f"B. {text}", None) for text in ("a ring; (C) a disc", "a ring C. a disc", "No, C")),
        *((f"B. {text}", None) for text in ("C is also correct", "maybe", "But wait", "but C")),
        *((f"B. {text}", None) for text in ("It is D", "the answer is D", "I mean C", "+ C")),
        *((f"B. {text}", None) for text in ("alternatively C", "vs C", "as well as C", "-> C")),
        *((text, None) for text in ("B or C", "B, not C", "B (or C)", "B (C)", "B – 1 or C")),
        *((f"B. {text}", "B") for text in ("No", "AND", "OR", "None of these", "Wrong", "12 N")),
        *((f"B. {text}", "B") for text in ("vitamin C", "points C and D", "Statements I and III")),
        *(
            (f"B. {text}", "B")
            for text in ("from point A to point C", "I only", "not right-angled")
        ),
        ("B: No", "B"),
        *((f"B. {text}", None) for text in NAMING),
        *((f"B. {text}", None) for text in TAKING_BACK),
        *((f"B ({text})", None) for text in ("C?", "likely C", "Option C", "Wrong", "incorrect")),
        *((text, None) for text in ("B (none of these)", "B - probably C", "B (figure C, too)")),
    ],
)
def test_a_letter_counts_where_the_texts_are_not_known(answer, letter):
    """A word such as `and`, `not` or a capital behind it made it wrong."""
    assert read_letter(answer, ()) == letter
    if answer not in ("B (C)", "B. C", "B. A and C"):  # these are sets
        assert read_letters(answer) == letter
