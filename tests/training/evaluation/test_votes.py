"""Which wrong answers are one vote: as their rule reads them."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from training.evaluation import votes
from training.evaluation.asking import Answered, prediction
from training.evaluation.items import Rule, make_item
from training.evaluation.metrics import items_of
from training.evaluation.requests import requests_of
from training.evaluation.verdicts import extract, verdict
from training.evaluation.votes import Ballot, majority_right, reading
from training.recipe.evaluation import BenchmarkRecipe, EvaluationRecipe

LISTS, ROUNDED = Rule("list", "[9, 8]"), Rule("number", "9.5", decimals=1)
WHOLE, BARE, METRES = Rule("integer", "9"), Rule("number", "9"), Rule("number", "9 m")
ALGEBRA, CHOICE = Rule("math", "9"), Rule("letter", "C", ("60", "65", "70"))


@pytest.mark.parametrize(
    ("rule", "wrong", "expected"),
    [
        (LISTS, ["[1,2]", "1, 2", "(1.0, 2)"], 0.0),
        (LISTS, ["[1,2]", "2, 1", "(1, 3)"], 1.0),
        (ROUNDED, ["3.14", "3.1", "3.142"], 0.0),
        (ROUNDED, ["3.14", "3.2", "3.04"], 1.0),
        (WHOLE, ["13.2", "13.4", "13"], 0.0),
        (WHOLE, ["13.2", "14.2", "12.9"], 1.0),
        (BARE, ["3.14", "3.1", "3.142"], 1.0),
        *((rule, ["12 cm", "120 mm", "0.12 m"], 0.0) for rule in (BARE, METRES, ALGEBRA)),
        *((rule, ["12 cm", "12 mm", "12 m"], 1.0) for rule in (BARE, METRES, ALGEBRA)),
        # A bare number is of the one kind that is beside it, of none if there are two.
        *((rule, ["5 m", "5", "5.0"], 0.0) for rule in (BARE, METRES, ALGEBRA)),
        *((rule, ["5 kg", "5 m", "5"], 1.0) for rule in (BARE, ALGEBRA)),
        (CHOICE, ["60", "A", "A. 60.0"], 0.0),
        (CHOICE, ["60", "B", "A. 65"], 1.0),
        (ALGEBRA, ["x+1", "1+x", "(x + 1)"], 0.0),
        (ALGEBRA, ["x+1", "x-1", "2x"], 1.0),
    ],
)
def test_three_wrong_answers_and_two_right_ones(rule, wrong, expected):
    """One vote of three beats the two that are right, three votes do not."""
    said = [(rule.answer, True)] * 2 + [(answer, False) for answer in wrong]
    ballots = [Ballot(answer, right, reading(rule, answer, "")) for answer, right in said]
    assert majority_right(ballots, rule.kind) == expected


def test_the_verifier_is_asked_of_few_pairs(monkeypatch):
    """Of thirty expressions with the same numbers it was asked 435 times: seconds for one item."""
    asked = []
    real = votes._is_same
    monkeypatch.setattr(votes, "_is_same", lambda *pair: asked.append(pair) or real(*pair))
    names = "abcdfghjklmnopqrstuvwxyz"
    wrong = [f"2{name}+3" for name in names] + [f"3{name}+2" for name in names[:6]]
    said = [Ballot("9", True)] * 2 + [Ballot(answer, False) for answer in [*wrong, "3+2a"]]
    assert majority_right(said, "math") == 0.5  # `3+2a` is `2a+3` by its form alone
    assert 0 < len(asked) <= votes.MOST_PAIRS < len(wrong) ** 2 / 2


RULES = (LISTS, ROUNDED, WHOLE, BARE, METRES, ALGEBRA, CHOICE, Rule("letters", "A, B"))
RULES += (Rule("number", "5.5", tolerance=0.001), Rule("text", "nine"), Rule("boxed", "9"))
NO_NUMBERS = ("5/0", "0/0", "3 kg 1/0", "\u0665/\u0660", "1" * 5000, "5/", "1 2/0, 3", "9 cm 0")
TEXTS = st.sampled_from([*NO_NUMBERS, "9", "9.0 cm", "90 mm", "1, 2", "B", "x + 1"]) | st.text(
    "0123456789/,. -+=^{}()\\\u0665ABcmkgx%", max_size=12
)


OWN = BenchmarkRecipe(
    name="own", kind="file", path="/own", metric="text", columns={"question": "q", "answer": "a"}
)
RIGHT = ((RULES[-3], "5.5"), (LISTS, "9, 8"), (WHOLE, "9"), (METRES, "900 cm"), (CHOICE, "C"))


def predictions(rule, boxed):
    """Some answers in boxes, as an evaluation judges and keeps them."""
    item = make_item("own", "1", question="How much is it?", rule=rule)
    recipe = EvaluationRecipe(benchmarks=(OWN,), max_response_tokens=8)
    (request,) = requests_of("rl", OWN, [item], recipe)
    came = {"request": request.key, "num_tokens": 5, "num_prompt_tokens": 9}
    came |= {"truncated": False, "failure": ""}
    for sample, text in enumerate(f"\\boxed{{{answer}}}" for answer in boxed):
        outcome = verdict(rule, extract(text, rule), item.prompt)
        answer = came | {"sample": sample, "text": text, "outcome": outcome}
        yield prediction(("rl", "own"), Answered(item, request, answer), None)


@given(st.sampled_from(RIGHT), TEXTS)
@example(RIGHT[0], "5/0")
@example(RIGHT[0], "3 kg 1/0")
@example(RIGHT[0], "1" * 5000)
def test_no_text_beside_right_answers_ends_an_evaluation(rule_and_right, text):
    """Of `5/0`, which no rule reads, the text was taken for a reading: it divided by zero."""
    rule, right = rule_and_right
    rows = [*predictions(rule, [text, right, text, right])]
    (item,) = items_of(rows)
    assert item.voted == (0.5 if rows[0]["outcome"] == "wrong" else 1.0)


@given(st.sampled_from(RULES), st.lists(st.tuples(TEXTS, st.booleans()), max_size=7), st.data())
def test_no_text_ends_a_vote_and_no_order_changes_it(rule, said, data):
    ballots = [Ballot(text, right, reading(rule, text, "")) for text, right in said]
    found = majority_right(ballots, rule.kind)
    assert 0.0 <= found <= 1.0
    assert majority_right(data.draw(st.permutations(ballots)), rule.kind) == found


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        ("(1.0, 2.0)", "(1, 2)", True),
        ("Sep", "September", True),
        ("5:05", "5:5", True),
        ("y = 4", "y = 4.0", True),
        ("(1, 2)", "[1, 2]", False),
        ("x = 4", "y = 4", False),
        ("5:50", "5:5", False),
    ],
)
def test_wrong_texts_that_the_rule_takes_for_one_another(first, second, is_one):
    """`(1.0, 2.0)` and `(1, 2)` were two votes."""
    ballots = [Ballot("(9, 9)", True), Ballot(first, False), Ballot(second, False)]
    assert majority_right(ballots, "text") == pytest.approx(0.0 if is_one else 1 / 3)


def test_a_list_of_measures_is_no_bare_number():
    """Its reading was taken for that of one number, and a bare 5 counted with it."""
    said = [("[9, 8]", True)] * 2 + [("[5 m, 6 m]", False)] * 2 + [("[5]", False)]
    ballots = [Ballot(text, right, reading(LISTS, text, "")) for text, right in said]
    assert majority_right(ballots, "list") == 0.5
