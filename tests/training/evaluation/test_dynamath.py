"""DynaMath: its choices stand in the question, and its prompt says how to answer."""

import pytest

from tests.training.evaluation import published
from training.evaluation.items import Rule
from training.evaluation.official.dynamath import INSTRUCTIONS, load, rule_of
from training.evaluation.verdicts import verdict


# The forms in which questions list their choices.
@pytest.mark.parametrize(
    ("listed", "choices"),
    [
        (" choice: (A) convex (B) concave (C) both", ("convex", "concave", "both")),
        (" Choices: (A) Yes (B) No ", ("Yes", "No")),
        ("  choice:(A) A (B) B (C) Both are the same", ("A", "B", "Both are the same")),
        ("\nA. Group 1\nB. Group 2\nC. Group 3", ("Group 1", "Group 2", "Group 3")),
        ("\nA: [1, 4]\nB: [3, 7]\n", ("[1, 4]", "[3, 7]")),
        (" (A) 3x + 0y (B) 3x - 0y", ("3x + 0y", "3x - 0y")),
        (" choice: (A) (B) (C) (D)", ()),  # in the picture
        (" choice: (A) A (B) B (C)", ()),
        ("", ()),
    ],
)
def test_choices_of_a_question(listed, choices):
    question = f"Which is shown in ∠A?{listed}"
    assert rule_of("multiple choice", "B", question) == Rule("letter", "B", choices)


def test_a_choice_may_be_answered_by_its_text():
    """It was wrong: the rule did not know the texts."""
    question = "Is it convex? choice: (A) convex (B) concave (C) both"
    rule = rule_of("multiple choice", "B", question)
    for answer in ("B", "\\text{concave}", "concave", "B. concave", "(B) concave"):
        assert verdict(rule, answer, question) == "right", answer
    for answer in ("convex", "B. convex", "A. concave", "both", "not concave"):
        assert verdict(rule, answer, question) == "wrong", answer


def test_the_prompt_says_how_to_answer(tmp_path):
    """A rounded answer is wrong by 0.001: nobody was told so."""
    number, letter, text = load("dynamath", published.dynamath(tmp_path), None)[:3]
    for item, asked in (
        (number, "floating-point number with three decimals"),
        (letter, "the letter of the correct choice"),
        (text, "with three decimals"),
    ):
        instruction, question = item.prompt.split("\n")
        assert asked in instruction and question == item.problem["question"]


@pytest.mark.parametrize(
    "name",
    (
        "sample{n}-00000-of-000{n:02}.parquet",
        "sample_variant{n}-00000-of-00001.parquet",
        "sample_variant{n}/0000.parquet",
    ),
)
def test_a_variant_is_known_by_its_file(tmp_path, name):
    """The hub's files are called `sample1-...`, the splits of its card `sample_variant1`: no file
    as it is published was of a known variant.
    """
    for number, path in enumerate(sorted(published.dynamath(tmp_path).iterdir(), key=_of), 1):
        assert _of(path) == number
        (moved := tmp_path / "copy" / name.format(n=number)).parent.mkdir(
            parents=True, exist_ok=True
        )
        path.rename(moved)
    parts = {item.part for item in load("dynamath", tmp_path / "copy", None)}
    assert parts == {str(number) for number in range(1, 11)}


def _of(path):
    return int(path.name.removeprefix("sample").partition("-")[0])


@pytest.mark.parametrize("kind", ["int", "single answer"])
def test_numbers_of_other_types(kind):
    """So four seeds' programs call them, `35.1` and `32`; each of them ended the benchmark."""
    rule = rule_of(kind, "35.1", "What is the sum of all elements in the matrix A?")
    for answer, outcome in (("35.1", "right"), ("35.10", "right"), ("35", "wrong")):
        assert verdict(rule, answer) == outcome
    assert kind in INSTRUCTIONS


def test_what_the_prompt_says_is_not_taken_for_what_is_asked():
    """Below the question, the last sentence would be read, and `3 kg` right for an angle."""
    prompt = f"{INSTRUCTIONS['float']}\nFind the angle. Give the answer in degrees."
    rule = Rule("number", "3", tolerance=0.001)
    assert verdict(rule, "3.000^\\circ", prompt) == "right"
    assert verdict(rule, "3.000 kg", prompt) == verdict(rule, "3 cm", prompt) == "wrong"


@pytest.mark.parametrize(
    ("reference", "right", "wrong"),
    [
        ("(3, 2)", ["(3,2)", "(3.0, 2)", "3, 2", "$(3, 2)$"], ["(2, 3)", "(3, 2, 1)", "32", "(3)"]),
        ("(0, 1)", ["(0.0, 1)", "0, 1"], ["[0, 1]", "[0,1)", "(0, 1.0]", "(0, 1.0"]),
        ("(1.000, 0.000)", ["(1, 0)"], ["(1, 1)", "1"]),
        ("[3, 2, 3]", ["[3,2,3]"], ["[3,2]", "[2,3,3]"]),
        ("y = 4", ["y=4", "y = 4.0"], ["x = 4", "4", "y = 5", "y = 4x"]),
        ("4:45", ["04:45"], ["4:54", "4.45"]),
        ("5:5", ["5:05"], ["5:50", "5:55"]),
        ("Sep", ["September", "Sept.", "sep"], ["Oct", "Septic", "Se", "Sep or Oct"]),
        ("March", ["Mar", "march"], ["Mars", "May"]),
        ("BS", ["BS", "B S"], ["SB", "B"]),
        ("275", ["275"], ["27", "2,75", "572"]),
        ("White", ["white"], ["Whi", "off white"]),
    ],
)
def test_texts_that_are_numbers_times_or_months(reference, right, wrong):
    """`(3,2)` was wrong for `(3, 2)`."""
    for answers, expected in ((right, "right"), (wrong, "wrong")):
        for answer in answers:
            assert verdict(Rule("text", reference), answer) == expected, answer
