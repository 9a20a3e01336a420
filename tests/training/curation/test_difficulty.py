import pytest

from training.curation.difficulty import (
    assign_difficulty,
    level_of,
    pass_rate,
    pass_rate_requests,
    pass_rates,
)
from training.rollout.protocol import SamplingSettings


def test_a_problem_with_a_pass_rate_is_not_asked_and_keeps_it(make):
    problems = [make(1, pass_rate=0.5), make(2, question="new", answer="3"), make(4)]
    settings = SamplingSettings(8, samples_per_prompt=4)
    requests = pass_rate_requests(problems, settings)
    assert [(one.id, one.prompt.question, one.reference) for one in requests] == [
        ("p2", "new", "3"),
        ("p4", "What is 4 + 1?", "5"),
    ]
    outcomes = [["right", "wrong", "wrong", "unparseable"], ["timeout"] * 4]
    assert pass_rates(problems, outcomes) == [0.5, 0.25, None]


def test_a_timeout_says_nothing_about_the_response():
    assert pass_rate(["right", "timeout", "wrong", "timeout"]) == 0.5
    assert pass_rate(["right", "unparseable"]) == 0.5
    assert pass_rate(["timeout", "timeout"]) is None


@pytest.mark.parametrize(
    ("rate", "level"), [(1.0, 1), (0.75, 3), (0.5, 6), (0.25, 8), (0.0, 10), (0.9, 2), (0.1, 9)]
)
def test_levels_of_pass_rates(rate, level):
    assert level_of(rate) == level


def test_a_level_of_the_source_stays_and_a_missing_one_comes_from_the_pass_rate(make):
    problems = [make(1, level=4), make(2), make(3)]
    result = assign_difficulty(problems, [0.0, 0.75, None])
    assert [(row["id"], row["level"], row["pass_rate"]) for row in result.kept] == [
        ("p1", 4, 0.0),
        ("p2", 3, 0.75),
    ]
    assert [(each.problem["id"], each.reason) for each in result.rejects] == [
        ("p3", "every verification timed out")
    ]
