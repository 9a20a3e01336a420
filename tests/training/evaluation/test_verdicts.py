"""Answers and their verdicts: how each is read, and known faults of other scorers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.evaluation.items import Rule
from training.evaluation.quantities import read_number
from training.evaluation.readable import readable
from training.evaluation.verdicts import extract, judge, scorer

LETTER = Rule("letter", "B", ("3 cm", "4 cm", "5 cm"))
KINDS = (
    Rule("boxed", "12"),
    Rule("math", "12"),
    LETTER,
    Rule("nearest", "B", ("Line AB", "Line BC")),
    Rule("letters", "B, D"),
    Rule("number", "12", tolerance=0.001),
    Rule("number", "12", decimals=2),
    Rule("integer", "12"),
    Rule("list", "[1, 2]"),
    Rule("text", "even"),
    Rule("none", "3"),
)


@pytest.fixture(scope="module")
def verifier():
    with scorer(num_processes=1) as one:
        yield one


def outcome(rule, response, verifier):
    return judge([rule], [response], ["?"], verifier)[0]


@pytest.mark.parametrize("rule", KINDS, ids=lambda rule: rule.kind)
def test_an_empty_answer_is_never_right(rule, verifier):
    for response in ("", "\\boxed{}", "\\boxed{ }", "None", "I cannot tell.", "Answer:", "\\boxed"):
        assert outcome(rule, response, verifier) != "right", response


@pytest.mark.parametrize("rule", KINDS, ids=lambda rule: rule.kind)
def test_a_hedged_answer_is_never_right(rule, verifier):
    hedged = (
        "A or B or C",
        "B or D",
        "12 or 21",
        "even or odd",
        "Line AB or line BC",
        "A, B, C, D",
    )
    for text in hedged:
        for response in (f"\\boxed{{{text}}}", f"The answer is {text}.", f"Answer: {text}"):
            assert outcome(rule, response, verifier) != "right", response


@pytest.mark.parametrize("rule", KINDS[:-1], ids=lambda rule: rule.kind)
def test_the_reference_in_a_box_is_right(rule, verifier):
    assert readable(rule)
    assert outcome(rule, f"<think>12? No.</think> \\boxed{{{rule.answer}}}", verifier) == "right"


def test_an_item_that_cannot_be_scored_is_never_right(verifier):
    assert outcome(KINDS[-1], "\\boxed{3}", verifier) == "unparseable"


@pytest.mark.parametrize("kind", ["math", "number", "integer", "text"])
def test_twelve_is_not_twenty_one(kind, verifier):
    """A comparison of sorted characters takes one for the other."""
    assert outcome(Rule(kind, "12"), "\\boxed{21}", verifier) == "wrong"
    assert outcome(Rule("nearest", "A", ("21", "355")), "\\boxed{12}", verifier) == "wrong"


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("\\boxed{B}", "B"),
        ("so \\boxed{7}. We check, and find \\boxed{8}", "8"),
        ("Answer: B", "B"),
        ("**Answer:** B.", "B"),
        ("The answer is (C).\nDone", "(C)"),
        ("the final answer is: 5 cm", "5 cm"),
        ("The correct option is D", "D"),
        ("Answer: A\nWait.\nAnswer: B", "B"),
        ("Answer: A. But \\boxed{B}", "B"),  # what is boxed comes first
        ("Answer: A. But \\boxed{", None),  # a box that was cut off is no answer
        ("The answer is B.\nThe final answer is:\n____", "B"),  # the last one says nothing
        ("the final answer is:\n12", "12"),
        ("the final answer is\n12", None),
        ("Answer: **\nAnswer: ____", None),
        ("Answer: C. It is so.\nThe answer isn't A", "C"),
        ("The answer is: **$\\infty$**", "$\\infty$"),
        ("The answer is ∞", "∞"),
        ("I like B.", None),
        ("", None),
    ],
)
def test_the_answer_of_a_response(response, answer):
    assert extract(response, LETTER) == answer
    assert extract(response, KINDS[0]) == (answer if "\\boxed" in response else None)


def test_a_set_in_boxes_is_found_in_one_pass():
    """With the white space tried again from each of its characters it would take hours."""
    rule = Rule("letters", "B, D")
    for end in ("\n" * 10**6, "$ " * 10**6):
        assert extract(f"\\boxed{{B}}{end}", rule) == "B"
    assert extract("\\boxed{" + " " * 10**5 + "(", rule) is None
    assert extract("\\boxed{B}$, and\n$\\boxed{ (D) }", rule) == "B, D"


def test_thoughts_and_empty_boxes_do_not_stand_for_the_answer(verifier):
    r"""Any `\\boxed` in a response switched off what the answer was said to be behind it."""
    told = (
        "<think>It wants \\boxed{}. It is %s.</think>\n\n**Answer:** %s",
        "The answer is %s. (As asked, I would put it in \\boxed{}.)",
        "<think>So \\boxed{7}, \\boxed{C}? No, it is %s.</think>\n\nThe answer is %s.",
        "<think>It is \\boxed{7}. No.</think>\\boxed{%s}\nI write `\\boxed{...}` as asked.",
        "<think>It is \\boxed{%s}.</think>",
        "<think>It is \\boxed{%s}.</think> As I found.",
        "<think>So it is $\\boxed{%s}$.",
        "<think>Not \\boxed{7}. The answer is %s.",
        "<think>It is.</think> \\boxed{%s} <think>and",
    )
    for rule, answer in ((KINDS[1], "12"), (LETTER, "B"), (KINDS[5], "12")):
        for text in told:
            response = text.replace("%s", answer)
            assert outcome(rule, response, verifier) == "right", response


@pytest.mark.parametrize("rule", [KINDS[1], LETTER, KINDS[5]], ids=lambda rule: rule.kind)
@pytest.mark.parametrize(
    "text",
    [
        "<think>I would say \\boxed{%s} but let me verify",
        "<think>The answer is %s. Let me verify.",
        "First case gives \\boxed{%s}. However we must also check the second case, where",
        "\\boxed{%s}\n\nWait, let me",
        "</think> The answer is %s. <think> \\boxed{%s} if",
    ],
)
def test_an_answer_in_passing_is_none(rule, text, verifier):
    response = text.replace("%s", rule.answer)
    expected = "right" if text.startswith("</think>") else "unparseable"
    assert outcome(rule, response, verifier) == expected


@pytest.mark.parametrize(
    "end",
    [
        ". However, 7 is no answer.",
        ".\nBut 7 is none.",
        ". Note that it is so, but",
        " as we must also",
        ", which is choice",
    ],
)
def test_what_follows_a_box_does_not_take_it_back(end, verifier):
    assert outcome(KINDS[1], f"\\boxed{{12}}{end}", verifier) == "right"
    assert outcome(LETTER, f"\\boxed{{B}}{end}", verifier) == "right"


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("\\boxed{B} (or A)", "wrong"),
        ("\\boxed{B} or maybe A", "wrong"),
        ("\\boxed{B}, possibly also A", "wrong"),
        ("\\boxed{B}; A", "wrong"),
        ("\\boxed{B} - or A.", "wrong"),
        ("Either \\boxed{B} or A would do.", "wrong"),
        ("$\\boxed{\\textbf{(B)}}$ or A", "wrong"),
        ("\\boxed{B} or B", "right"),
        ("\\boxed{B}; A is too small.", "right"),
        ("\\boxed{B}, since A or C would not do.", "right"),
        ("\\boxed{B}. Note that A is wrong because C is", "right"),
        ("\\boxed{B}, or I would say 4 cm", "right"),
        ("\\boxed{B} which is choice B", "right"),
        ("not \\boxed{A}, and so \\boxed{B}", "right"),
    ],
)
def test_a_choice_behind_a_box_is_a_hedge(response, expected, verifier):
    assert outcome(LETTER, response, verifier) == expected


def test_a_part_of_a_set_is_not_the_set(verifier):
    rule = Rule("letters", "B, D")
    for answer, expected in (("B", "wrong"), ("B, C, D", "wrong"), ("D,B", "right")):
        assert outcome(rule, f"\\boxed{{{answer}}}", verifier) == expected


@pytest.mark.parametrize(
    ("rule", "right", "wrong"),
    [
        (
            Rule("number", "0.125", tolerance=0.001),
            ["0.125", "0.126", "0.124", "\\frac18", "\\frac{1}{8}", "x = 0.125", "0.125 cm"],
            ["0.127", "0.123", "1/8 or 1/4", "12.5", "-0.125", "0.125, 0.2"],
        ),
        (Rule("number", "6.283", tolerance=0.001), ["2\\pi", "2π"], ["\\pi", "6.3"]),
        (Rule("number", "2.5", decimals=2), ["2.5", "2.504", "5/2"], ["2.51", "2.6", "25"]),
        (Rule("number", "1.2", decimals=1, unit="cm"), ["1.2", "1.2 cm", "12 mm"], ["1.2 m"]),
        (Rule("number", "0.10", decimals=2), ["0.1", "0.10", "0.104"], ["0.11"]),
        (Rule("integer", "14"), ["14", "14.9", "14.0", "14 cm"], ["15", "13.9", "-14", "141"]),
        (
            Rule("list", "[1, 0, 2]"),
            ["[1, 0, 2]", "1, 0, 2", "(1, 0, 2)", "[1.0, 0, 2]"],
            ["[0, 1, 2]", "[1, 0]", "[1, 0, 2, 3]", "102", "None"],
        ),
        (Rule("text", "Line AB"), ["Line AB", "line ab", "\\text{Line AB}"], ["AB", "Line AB BC"]),
    ],
    ids=lambda one: one.kind if isinstance(one, Rule) else "",
)
def test_values(rule, right, wrong, verifier):
    for answer in right:
        assert outcome(rule, f"\\boxed{{{answer}}}", verifier) == "right", answer
    for answer in wrong:
        assert outcome(rule, f"\\boxed{{{answer}}}", verifier) == "wrong", answer


@pytest.mark.parametrize("text", ["1e999999", "9" * 1000, "2^{2^{2^{99}}}", "\\frac" * 300, "1/0"])
def test_numbers_that_are_too_large_or_none(text, verifier):
    assert read_number("x") is None
    assert outcome(Rule("number", "1"), f"\\boxed{{{text}}}", verifier) != "right"


@given(st.text("\\{}5%o r,x$", max_size=30), st.text("\\{}5% .,or$", max_size=12))
def test_what_a_box_holds_is_read_from_a_box_of_its_own(inner, after):
    """So that the verifier sees the same answer, wherever in a response it stood."""
    answer = extract(f"It is $\\boxed{{{inner}}}{after}", KINDS[0])
    assert answer is None or extract(f"\\boxed{{{answer} }}", KINDS[0]) == answer


@given(st.text(max_size=60))
def test_no_answer_raises(text):
    for rule in KINDS[2:]:
        judge([rule], [text], ["?"], _NO_VERIFIER)
        judge([rule], [f"\\boxed{{{text}}}"], ["?"], _NO_VERIFIER)


_NO_VERIFIER = scorer(num_processes=1)  # starts nothing until it is asked for algebra


def test_rules_survive_their_journey():
    for rule in KINDS:
        assert Rule.from_json(rule.to_json()) == rule


ALIKE = [
    "$y = \\boxed{5}$",
    "So $x = \\boxed{5}$.",
    "$\\boxed{x = 5}$",
    "$\\boxed{5}\\%$",
    "\\boxed{5} or \\boxed{6}",
    "$-\\boxed{5}$",
    "$x_1 = \\boxed{5}$",
    "$\\angle B: \\boxed{5}$",
    "\\boxed{5\\}",
    "5",
    "\\boxed{}",
]


@pytest.mark.parametrize("reference", ["5", "x = 5", "y = 5", "x_1 = 5", "5\\%"])
def test_an_answer_in_a_box_is_paid_where_it_is_scored(reference, verifier):
    """Evaluation dropped the name before the box: `y = 5` was right for `x = 5`."""
    asked = ["Solve for x."] * len(ALIKE)
    paid = verifier.verify(ALIKE, [reference] * len(ALIKE), asked)
    for kind in ("boxed", "math"):
        assert judge([Rule(kind, reference)] * len(ALIKE), ALIKE, asked, verifier) == paid
    expected = {"x = 5": "wrong", "y = 5": "right"}
    assert paid[0] == expected.get(reference, paid[0])
