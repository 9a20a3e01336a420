"""The answer in a sentence: to its end, and none where the sentence takes it back."""

import pytest

from training.answers import Verifier
from training.evaluation.asking import Answered
from training.evaluation.items import Rule, make_item
from training.evaluation.phrases import (
    _CHOSEN,
    _END,
    _PHRASE,
    _TAKEN_BACK,
    _WITHDRAWN,
    answer_said,
)
from training.evaluation.verdicts import extract, judge
from training.rollout.protocol import Prompt, Request, SamplingSettings

LETTER = Rule("letter", "B", ("3 cm", "4 cm", "5 cm"))
RULES = {
    "B": (
        LETTER,
        Rule("letter", "B"),
        Rule("nearest", "B", ("3 cm", "4 cm")),
        Rule("letters", "B"),
    ),
    "5": (Rule("number", "5"), Rule("integer", "5"), Rule("math", "5"), Rule("text", "5")),
}
# What stands behind the answer says why, or goes on.
REASONS = (
    "The answer is {} because the triangle is isosceles.",
    "The answer is {}, because AB = AC.",
    "The answer is {}. This follows from the Pythagorean theorem.",
    "The answer is {} since the angles are equal.",
    "The answer is {}, as the angles are equal.",
    "The answer is {}, which is the longest side.",
    "The answer is {} due to symmetry.",
    "The answer is {} – because the angles are equal",
    "**Answer:** {}. It is the longest side. We are done.",
    "The answer is **{}** because the angles are equal.",
    "The answer is **{}**. The triangle is isosceles.",
    "The answer is ${}$. Let me know if you need more help!",
    "The correct option is {}.\n\nThis is because the others are too long.",
    "Answer: {}\nNo other length will do.",
    "The answer is {} since x must be less than or equal to 7.",
    "The answer is {} because the angle is obtuse rather than acute.",
    "The answer is {} because a side, not a height or a median, is given instead of the area.",
    "The answer is {} because the two might be equal.",
)
# What follows names another answer, or takes the first one back.
DOUBTS = (
    "The answer is {}. No, wait, it is 7.",
    "The answer is {}. However, it may be C.",
    "The answer is {} because a is 3, or C if it is 4.",
    "The answer is {}. Actually, I made a mistake.",
    "The answer is {}, but it might be 6.",
    "The answer is {}. Maybe C.",
    "The answer is {}. That is wrong.",
    "The answer is {}.\nWait, let us check this.",
    "The answer is {}.\nNo, it is 6.",
    "The answer is {} as well as C.",
    "The answer is {} as long as x is positive.",
    "The answer is {}, which is not right.",
    "The answer is {} because it fits, or the answer is C.",
    "The answer is {} because x = 5 or -6.",
    "The answer is {} because it fits. It might also be 6.",
)
CHOSEN = "The answer is {} because it fits. So it is C."
CENTRE = "The answer is {} because the centre of the circle is O."
HEDGES = ("{} or C", "not {}", "either {} or 6", "{}, C", "maybe {}")


@pytest.fixture(scope="module")
def verifier():
    with Verifier(num_processes=1) as one:
        yield one


def outcomes(response, verifier):
    """By every rule whose reference the response names."""
    return {
        rule.kind: judge([rule], [response.format(answer)], ["Which?"], verifier)[0]
        for answer, rules in RULES.items()
        for rule in rules
    }


@pytest.mark.parametrize("response", REASONS)
def test_a_reason_is_no_part_of_the_answer(response, verifier):
    found = outcomes(response, verifier)
    assert set(found.values()) == {"right"}, found


@pytest.mark.parametrize("response", DOUBTS)
def test_an_answer_that_is_taken_back_is_none(response, verifier):
    found = outcomes(response, verifier)
    assert "right" not in found.values(), found


def test_a_letter_is_another_answer_where_it_is_a_choice(verifier):
    # `nearest` has the choices A and B; of the others nobody knows how many there are.
    free = {"nearest", *(rule.kind for rule in RULES["5"])}
    for response in (CHOSEN, CENTRE):
        found = outcomes(response, verifier)
        assert {kind for kind, outcome in found.items() if outcome == "right"} == free
    assert judge([LETTER], [CENTRE.format("B")], ["?"], verifier) == ["right"]  # of A, B and C
    assert judge([LETTER], [CHOSEN.format("B")], ["?"], verifier) == ["unparseable"]


@pytest.mark.parametrize("hedge", HEDGES)
def test_a_hedge_is_wrong_and_no_question_for_a_judge(hedge, verifier):
    for end in ("", ".", " because it is isosceles."):
        found = outcomes(f"The answer is {hedge}{end}", verifier)
        assert set(found.values()) == {"wrong"}, found


@pytest.mark.parametrize(
    ("response", "rule"),
    [
        ("The answer is the longest of the sides.", LETTER),
        ("The answer is as follows.", LETTER),
        ("The answer is what we found above.", Rule("number", "5")),
        ("The answer is a nice number.", Rule("math", "5")),
        ("The answer is in the second line.", Rule("list", "[1, 2]")),
        ("The answer is somewhere there", Rule("letters", "B, D")),
        ("The answer is B. 5 cm", LETTER),  # the text of another choice
    ],
)
def test_what_is_no_answer_of_the_kind_is_left_to_a_judge(response, rule, verifier):
    assert judge([rule], [response], ["Which?"], verifier) == ["unparseable"]


@pytest.mark.parametrize(
    ("response", "is_asked"),
    [
        ("The answer is the longest of the sides.", True),
        ("It is the longest.", True),
        ("The answer is B because it is long.", False),
        ("The answer is A.", False),
        ("The answer is B or C.", False),
        (r"\boxed{the longest one}", False),
        (r"\boxed{", True),
    ],
)
def test_the_judge_is_asked_where_no_answer_can_be_read(response, is_asked, verifier):
    item = make_item("own", "1", question="Which?", rule=LETTER)
    request = Request("1", Prompt("Which?"), SamplingSettings(8), reference="", judge="own")
    (outcome,) = judge([LETTER], [response], ["Which?"], verifier)
    answer = {"text": response, "outcome": outcome, "failure": ""}
    assert Answered(item, request, answer).needs_judge is is_asked


def test_in_a_box_it_is_wrong(verifier):
    """A box is what a response commits to."""
    responses = [r"\boxed{the longest one}", r"\boxed{B because it is long}"]
    assert judge([LETTER] * 2, responses, ["?"] * 2, verifier) == ["wrong", "wrong"]


@pytest.mark.parametrize(
    ("response", "rule", "answer"),
    [
        ("Answer: B. 4 cm. It is long.", LETTER, "B. 4 cm"),
        ("Answer: B. Because it is long", LETTER, "B"),
        ("The answer is (B). The angle A is not right.", LETTER, "(B)"),
        ("The answer is therefore (B).", LETTER, "(B)"),
        ("The answer should be B.", LETTER, "B"),
        ("The answer is 5 sq. cm because", Rule("number", "5"), "5 sq. cm"),
        ("The answer is 3.5. This is so.", Rule("number", "3.5"), "3.5"),
        ("The answer is $x = 5$. Thus x is odd.", Rule("math", "5"), "$x = 5$"),
        ("The answer is 5! because", Rule("math", "120"), "5!"),
        (
            "The answer is as many as before.",
            Rule("text", "as many as before"),
            "as many as before",
        ),
        ("Answer: B. It is so.", Rule("letter", "A", ("It is so", "No")), "B. It is so"),
        ("The answer is since 1990", Rule("nearest", "A", ("since 1990", "never")), "since 1990"),
    ],
)
def test_where_an_answer_ends(response, rule, answer):
    assert extract(response, rule) == answer


def test_a_long_reason_hides_no_answer():
    assert answer_said("The answer is B because " + "it is long and " * 200) == "B"
    assert answer_said("The answer is " + "very " * 1000) is None


def test_a_response_takes_as_many_steps_as_it_has_characters():
    """Tried again from each of its spaces, the first one would take hours."""
    for text in ("answer" + " " * 10**6, "answer is" + "* " * 10**6, "answer " * 10**5):
        assert _PHRASE.findall(text) == []
    runs = (" ", ". ", ", ", ".", "is ", "*", "or ", "might be ", "or the answer ")
    for text in (*(run * 10**6 for run in runs), "or" + " " * 10**6, "is" + " " * 10**6):
        for pattern in (_CHOSEN, _END, _TAKEN_BACK, _WITHDRAWN):
            pattern.search(text)
