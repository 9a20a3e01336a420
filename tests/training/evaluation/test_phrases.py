"""The answer in a sentence: to its end, and none where the sentence takes it back."""

import pytest

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
from training.evaluation.verdicts import extract, judge, scorer
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
    "I have no doubt that the answer is {}.",
    "A guess of 6 is wrong, the answer is {}.",
    "I would say the answer is {}.",
    "The answer is {}.\n\nAlternatively, one may use similar triangles.",
    "The answer is {}.\n\nAlternatively, $C = 5 + 3$ gives it.",
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
    "The answer is {}. It could also be 7.",
    "The answer is {}. Scratch that, 7.",
    "The answer is {}.\nBut the correct one is 7",
    "The answer is {}.\n\nAlternatively, C.",
    "The wrong answer is {}",
    "An incorrect answer is {}",
    "It is false that the answer is {}",
    "I doubt that the answer is {}",
    "I don't think the answer is {}.",
    "It is not true that the answer is {}.",
    "I am not sure the answer is {}.",
    "It cannot be that the answer is {}.",
    "Maybe the answer is {}",
    "Perhaps the answer is {}.",
    "Let us say the answer is {}.",
    "Given that the answer is {}, we look back.",
    "Let's check that the answer is {}.",
)
CHOSEN = "The answer is {} because it fits. So it is C."
CENTRE = "The answer is {} because the centre of the circle is O."
HEDGES = ("{} or C", "not {}", "either {} or 6", "{}, C", "maybe {}")


@pytest.fixture(scope="module")
def verifier():
    with scorer(num_processes=1) as one:
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


# Models write whole paragraphs on one line: the last answer on it counts, as on several lines.
LAST = (
    ("My first answer is 5. After checking, the final answer is 7.", "7"),
    ("The student claims the answer is 5. In fact the answer is 7.", "7"),
    ("A naive guess for the answer is 5. The answer is 7.", "7"),
    ("The problem asks whether the answer is 5. The answer is 7.", "7"),
    ("Answer: 5. Correct answer: 7", "7"),
    ("**Answer: 5**. **Final answer: 7**", "7"),
    ("One might think the answer is 7. The correct answer is 5.", "5"),
    ("The answer is not 7. The answer is 5.", "5"),
    ("Answer: We add 2 and 3. The answer is 5.", "5"),
    ("The answer is 5. The answer is 5.", "5"),
    ("The answer would be 5.", "5"),
    ("The answer is 5, not 7.", "5"),
    ("**Final Answer**\n\n5", "5"),
    ("## Answer\n\\[\n5\n\\]", "5"),
    ("The answer is:\n\n$5$", "5"),
    ("Answer: 7\nThe answer is:\n5", "5"),
    # None of these gives an answer, or says which of two it is.
    ("Suppose the answer is 5. Then 2x = 12, a contradiction, so it is 7.", None),
    ("If the answer is 5, then 2x = 12, which is false. Hence x = 7.", None),
    ("Let us check whether the final answer is 5. It is not.", None),
    ("The answer is 5. This is false.", None),
    ("Either the answer is 5 or the answer is 7.", None),
    ("The answer is 5. Or maybe the answer is 7.", None),
    ("The answer is 5.\nPerhaps the answer is 7.", None),
    ("The answer is 5. Suppose the answer is 7. No, wait.", None),
    ("The answer is 5. The answer is not 5.", None),
    ("The answer is 5, not 7, or 6.", None),
    ("**Final Answer**\n\nWe have 5 of them, and 7 are left", None),
)


@pytest.mark.parametrize(("response", "answer"), LAST)
def test_the_last_announcement_counts_wherever_it_stands(response, answer, verifier):
    for wanted in ("5", "7"):
        for rule in (Rule("number", wanted), Rule("integer", wanted), Rule("math", wanted)):
            (found,) = judge([rule], [response], ["How much?"], verifier)
            assert (found == "right") == (wanted == answer), (rule, found)


LENGTHS = Rule("letter", "B", ("12 cm", "21 cm", "1.2 cm"))


@pytest.mark.parametrize(
    "response",
    [
        "At first sight the answer is A. After checking the units, the correct answer is B.",
        "Answer: The side is 12 cm. So the answer is B.",
        "The answer is B. The answer is B.",
        "The answer is B (21 cm).",
        "The answer is B. The triangle is not isosceles.",
        "The answer is B. Looking at the picture, A is too small.",
        "The answer is B. Option A is wrong.",
        "The correct answer is B. The wrong answer is A.",
        "The answer is B since A or C would be too small.",
        "The answer is B, not A",
        "The answer is B because it fits. So it is B.",
        "The answer is **B**. 21 cm",
        *(f"The answer is {quoted}." for quoted in ('"B"', "`B`", "'B'", "``B''", '"21 cm"')),
        *(f"{head}\nB" for head in ("Answer:", "**Final Answer**\n", "The answer is:\n")),
        "The answer would be B",
        "The answer is B.\nSo B is the correct answer.",
        "Answer: A\n\n**Final answer**\n\nB. 21 cm",
    ],
)
def test_a_choice_as_models_announce_it(response, verifier):
    assert judge([LENGTHS], [response], ["How long?"], verifier) == ["right"]
    nearest = Rule("nearest", "B", LENGTHS.choices)
    assert judge([nearest], [response], ["How long?"], verifier) == ["right"]


@pytest.mark.parametrize(
    "response",
    [
        "The answer is B. C is also right.",
        "The answer is B. Option A would also be possible.",
        "The answer is B. It's A.",
        "The answer is B. Therefore A is the answer.",
        "The answer is B. Both B and C fit, and C is better.",
        "The answer is B since B or C would fit.",
        "The answer is B. A or C would be right.",
        'The answer is "B" or "C".',
        "The answer is B (12 cm).",
        "The answer is B. The side is 12 cm, so it is A.",
        "Suppose the answer is B. Then 12 = 13, a contradiction.",
        "Let us check whether the answer is B. The length is 13, so no. A fits.",
        "The answer is A. The answer is B. No, wait.",
        "Either the answer is A or the answer is B.",
        "The answer is B.\nTherefore C is the correct answer.",
        "The answer is:\n\nB. 21 cm\n\nC. 1.2 cm",
        "The answer is:\nA. 12 cm\nB. 21 cm",
        "**Answer**\n\nB or C",
    ],
)
def test_a_choice_that_is_taken_back_or_left_open_is_not_right(response, verifier):
    for rule in (LENGTHS, Rule("nearest", "B", LENGTHS.choices), Rule("letter", "B")):
        if rule.choices or "cm)" not in response:  # else nobody knows whose text that is
            assert judge([rule], [response], ["How long?"], verifier) != ["right"]


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


MANY = 400_000  # characters: steps of their square would take longer than a test may


def test_a_response_takes_as_many_steps_as_it_has_characters():
    """Tried again from each of its spaces, the first one would take hours."""
    for text in ("answer" + " " * MANY, "answer is" + "* " * MANY, "answer " * (MANY // 7)):
        assert len(_PHRASE.findall(text)) <= 1
        assert answer_said(text) is None
    runs = (" ", ". ", ", ", ".", "is ", "*", "or ", "might be ", "or the answer ")
    of_runs = (run * (MANY // len(run)) for run in runs)
    for text in (*of_runs, "or" + " " * MANY, "is" + " " * MANY):
        for pattern in (_CHOSEN, _END, _TAKEN_BACK, _WITHDRAWN):
            pattern.search(text)
