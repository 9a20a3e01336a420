import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.curation.difficulty import (
    assign_difficulty,
    grade_requests,
    graded_levels,
    grades_of,
    levels_of,
    pass_rate,
    pass_rate_requests,
    pass_rates,
)
from training.recipe.recipe import SetRecipe
from training.rollout.protocol import SamplingSettings


def test_a_problem_with_a_pass_rate_is_not_asked_and_keeps_it(make, outlines_of):
    problems = [make(1, pass_rate=0.5), make(2, question="new", answer="3"), make(4)]
    settings = SamplingSettings(8, samples_per_prompt=4)
    requests = pass_rate_requests(problems, settings)
    assert [(one.id, one.prompt.question, one.reference) for one in requests] == [
        ("p2", "new", "3"),
        ("p4", "What is 4 + 1?", "5"),
    ]
    outcomes = [["right", "wrong", "wrong", "unparseable"], ["timeout"] * 4]
    found = pass_rates(outlines_of(problems), outcomes)
    np.testing.assert_array_equal(found, [0.5, 0.25, np.nan])
    with pytest.raises(ValueError, match="shorter"):
        pass_rates(outlines_of(problems), outcomes[:1])


def test_a_timeout_and_a_crash_say_nothing_about_the_response():
    assert pass_rate(["right", "crashed", "wrong", "crashed"]) == 0.5
    assert pass_rate(["crashed", "timeout"]) is None
    assert pass_rate(["right", "timeout", "wrong", "timeout"]) == 0.5
    assert pass_rate(["right", "unparseable"]) == 0.5
    assert pass_rate(["timeout", "timeout"]) is None
    assert pass_rate([]) is None


@pytest.mark.parametrize(
    ("rate", "level"), [(1.0, 1), (0.75, 3), (0.5, 6), (0.25, 8), (0.0, 10), (0.9, 2), (0.1, 9)]
)
def test_levels_of_pass_rates(rate, level):
    assert levels_of(np.array([rate])).tolist() == [level]


def test_a_level_of_the_source_stays_and_a_missing_one_comes_from_the_pass_rate(make, outlines_of):
    problems = outlines_of([make(1, level=4), make(2), make(3)])
    result = assign_difficulty(problems, np.array([0.0, 0.75, np.nan])).to_pylist()
    # Of the third every verification timed out.
    assert [(row["id"], row["level"], row["pass_rate"]) for row in result] == [
        ("p1", 4, 0.0),
        ("p2", 3, 0.75),
    ]


def test_levels_by_a_larger_model_worked_by_hand():
    # Four samples: five rates, a fifth of the scale each. Of the three never solved, by length:
    # places 1/6, 3/6, 5/6 of the last fifth, so 8.3, 9 and 9.7 tenths.
    rates, lengths = [1.0, 1.0, 0.5, 0.0, 0.0, 0.0], [10, 20, 7, 30, 10, 20]
    assert graded_levels(rates, lengths, 4) == [1, 2, 6, 10, 9, 10]
    # Equally long ones share the middle.
    assert graded_levels([0.0, 0.0], [5, 5], 1) == [8, 8]
    assert graded_levels([], [], 4) == []


@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(1, 50)), min_size=1, max_size=40),
    st.randoms(),
)
def test_levels_fall_with_the_rate_rise_with_the_length_and_know_no_order(answered, random):
    rates, lengths = [right / 8 for right, _ in answered], [length for _, length in answered]
    levels = graded_levels(rates, lengths, 8)
    assert all(1 <= level <= 10 for level in levels)
    hardness = sorted(zip([-rate for rate in rates], lengths, levels, strict=True))
    assert [level for _, _, level in hardness] == sorted(levels)
    order = list(range(len(rates)))
    random.shuffle(order)
    moved = graded_levels([rates[i] for i in order], [lengths[i] for i in order], 8)
    assert moved == [levels[i] for i in order]


def test_the_larger_model_is_asked_what_has_no_level_and_may_be_admitted(make):
    problems = [make(1, level=4), make(2), make(3), make(4), make(5, modality="multimodal")]
    rates = np.array([0.5, 0.5, 1.0, np.nan, 0.5])
    text = {"modality": "text", "num_problems": 5}
    sets = [
        SetRecipe(name="a", max_pass_rate=0.4, **text),
        SetRecipe(name="b", min_pass_rate=0.4, max_pass_rate=0.9, **text),
    ]
    asked = grade_requests(problems, rates, sets, SamplingSettings(8, samples_per_prompt=4))
    assert list(asked) == [1]
    assert asked[1].id == "grader/p2" and asked[1].reference == "3"


def test_grades_count_before_the_base_and_a_problem_whose_grading_failed_is_dropped(
    make, outlines_of
):
    def answers(*outcomes):
        return [{"outcome": one, "num_tokens": 5, "failure": ""} for one in outcomes]

    too_long = [{"outcome": "unparseable", "num_tokens": 0, "failure": "prompt too long: 9"}] * 2
    told = [answers("right", "right"), answers("wrong", "right"), answers("timeout", "timeout")]
    grades = grades_of([0, 1, 2, 5], [*told, too_long], 2)
    # One of each rate, in the middle of its third: 1/6 and 3/6 of the scale.
    unknown = {2: "no answer was verified", 5: "prompt too long for the grader"}
    assert grades == {0: 2, 1: 6} | unknown
    problems = outlines_of([make(1), make(2), make(3), make(4), make(5, level=7), make(6)])
    result = assign_difficulty(problems, np.zeros(6), grades).to_pylist()
    assert [(row["id"], row["level"]) for row in result] == [
        ("p1", 2),
        ("p2", 6),
        ("p4", 10),
        ("p5", 7),
    ]
