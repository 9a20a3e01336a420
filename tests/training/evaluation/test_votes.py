"""Which wrong answers are one vote: as their rule reads them."""

import pytest

from training.evaluation import votes
from training.evaluation.items import Rule
from training.evaluation.votes import majority_right, reading

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
    votes_of = [(reading(rule, answer, "") or answer, right) for answer, right in said]
    assert majority_right(votes_of, rule.kind) == expected


def test_the_verifier_is_asked_of_few_pairs(monkeypatch):
    """Of thirty expressions with the same numbers it was asked 435 times: seconds for one item."""
    asked = []
    real = votes._is_same
    monkeypatch.setattr(votes, "_is_same", lambda *pair: asked.append(pair) or real(*pair))
    names = "abcdfghjklmnopqrstuvwxyz"
    wrong = [f"2{name}+3" for name in names] + [f"3{name}+2" for name in names[:6]]
    said = [("9", True)] * 2 + [(answer, False) for answer in [*wrong, "3+2a"]]
    assert majority_right(said, "math") == 0.5  # `3+2a` is `2a+3` by its form alone
    assert 0 < len(asked) <= votes.MOST_PAIRS < len(wrong) ** 2 / 2
