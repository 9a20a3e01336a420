"""Every rule of the gate behind the evaluation is broken once, alone, and the gate must name it."""

import pandas as pd
import pytest

from data_checks import frames
from data_checks.gate import GateError, check_evaluation
from tests.data_checks.test_gate import failures
from training.recipe.recipe import parse_recipe


def test_a_sound_evaluation_passes_at_the_very_limits(recipe, sound_evaluation, write_evaluation):
    record = check_evaluation(recipe, write_evaluation(*sound_evaluation)).record
    assert record.passed and record.name == "evaluation"


def at(rows, **where):
    return next(row for row in rows if all(row[key] == value for key, value in where.items()))


def test_a_gain_that_is_too_small_fails(recipe, sound_evaluation, write_evaluation):
    predictions, scores = sound_evaluation
    at(predictions, policy="cold_start", benchmark="pocket_text", outcome="right")["outcome"] = (
        "wrong"
    )
    at(scores, policy="cold_start", benchmark="pocket_text")["value"] = 6 / 20
    with pytest.raises(GateError) as caught:
        check_evaluation(recipe, write_evaluation(predictions, scores))
    assert caught.value.broken_rows == {
        "final checkpoint: gain over base": ["cold_start/pocket_text"]
    }


def gain(benchmark, low, high):
    return {
        **{"policy": "cold_start", "over": "base", "benchmark": benchmark},
        **{"points": 15.0, "low_points": low, "high_points": high},
    }


@pytest.mark.parametrize(
    ("high", "is_shown"),
    # Two benchmarks: 2.2414 standard errors, the normal distribution's 98.75 % quantile, for 1.96.
    # 15 + 2.2414 / 1.96 x 4 is 19.574, x 5 is 20.718.
    [(19.0, True), (20.0, False)],
)
def test_a_gain_is_too_small_where_that_is_shown_of_all_benchmarks_together(
    high, is_shown, recipe_values, sound_evaluation, write_evaluation
):
    recipe_values["gates"]["evaluation"]["min_gain_points"] = 20.0
    gains = [gain("pocket_text", -2.0, high), gain("pocket_multimodal", -2.0, 32.0)]
    folder = write_evaluation(*sound_evaluation, gains)
    recipe = parse_recipe(recipe_values, where="test")
    seen = (
        f"cold_start/pocket_text +15.0 [-2.0, +{high}]; "
        "cold_start/pocket_multimodal +15.0 [-2.0, +32.0]"
    )
    if not is_shown:
        (check,) = named(check_evaluation(recipe, folder).record, "gain over base")
        assert (check.passed, check.observed) == (True, seen)
        return
    with pytest.raises(GateError) as caught:
        check_evaluation(recipe, folder)
    assert caught.value.broken_rows == {
        "final checkpoint: gain over base": ["cold_start/pocket_text"]
    }
    assert f"not shown to be below 20 points, observed {seen} (cold_start/" in str(caught.value)


def named(record, name):
    return [check for check in record.checks if check.name.endswith(f": {name}")]


def test_ten_benchmarks_that_lost_nothing_stop_one_run_of_forty(sound_evaluation, write_evaluation):
    """Of each alone: a 400th in each tail, so that the bound lies 2.807 standard errors away."""
    names = [f"b{n}" for n in range(10)]
    folder = write_evaluation(*sound_evaluation, [gain(name, 5.4, 16.96) for name in names])
    ids = [f"{policy}/{name}" for policy in ("base", "cold_start") for name in names]
    scores = pd.DataFrame({"id": ids, "value": [0.0] * 10 + [0.15] * 10})
    predictions = frames.predictions_frame(folder)
    final = frames.final_frame(folder, scores, predictions, names, "cold_start")
    # The interval's upper half is 1.96, which is one standard error of a point.
    assert final["possible_points"].tolist() == pytest.approx([15.0 + 2.8070] * 10, abs=1e-3)


def test_too_many_unparseable_responses_of_the_final_checkpoint_fail(
    recipe, sound_evaluation, write_evaluation
):
    predictions, scores = sound_evaluation
    for policy in ("base", "cold_start"):  # the base may answer as it likes
        at(predictions, policy=policy, benchmark="pocket_multimodal", outcome="wrong")[
            "outcome"
        ] = "unparseable"
    with pytest.raises(GateError) as caught:
        check_evaluation(recipe, write_evaluation(predictions, scores))
    assert caught.value.broken_rows == {
        "final checkpoint: unparseable responses": ["cold_start/pocket_multimodal"]
    }


def test_a_missing_score_fails(recipe, sound_evaluation, write_evaluation):
    predictions, scores = sound_evaluation
    with pytest.raises(GateError) as caught:
        check_evaluation(recipe, write_evaluation(predictions, scores[:-1]))
    assert failures(caught.value) == {"scores: scores", "final checkpoint: gain over base known"}
    assert caught.value.broken_rows["final checkpoint: gain over base known"] == [
        "cold_start/pocket_multimodal"
    ]


SCORE_FAULTS = {
    "a value that its predictions do not give": (
        {"value": 0.25},
        {"scores: value and predictions"},
    ),
    "a low above the value": ({"low": 0.21}, {"scores: value and low"}),
    "a high below the value": ({"high": 0.19}, {"scores: high and value"}),
    "a high above 1": ({"high": 1.01}, {"scores: high"}),
    "a low below 0": ({"low": -0.01}, {"scores: low"}),
    "another number of problems": (
        {"num_problems": 21},
        {"scores: num_problems", "scores: predictions"},
    ),
}


@pytest.mark.parametrize("fault", SCORE_FAULTS)
def test_one_faulty_score_fails_its_check(fault, recipe, sound_evaluation, write_evaluation):
    change, expected = SCORE_FAULTS[fault]
    predictions, scores = sound_evaluation
    at(scores, policy="base", benchmark="pocket_multimodal").update(change)
    with pytest.raises(GateError) as caught:
        check_evaluation(recipe, write_evaluation(predictions, scores))
    # A smaller value of the base would also change the gain: only the named checks may fail.
    assert expected <= failures(caught.value) <= expected | {"final checkpoint: gain over base"}
    assert caught.value.broken_rows[min(expected)] == ["base/pocket_multimodal"]


def test_scores_of_an_unknown_policy_fail(recipe, sound_evaluation, write_evaluation):
    predictions, scores = sound_evaluation
    for row in [*predictions, *scores]:
        if row["policy"] == "base" and row["benchmark"] == "pocket_text":
            row["policy"] = "stranger"
    with pytest.raises(GateError) as caught:
        check_evaluation(recipe, write_evaluation(predictions, scores))
    assert "scores: policy" in failures(caught.value)


def test_a_score_without_a_value_fails_though_its_accuracy_is_stated(
    recipe, sound_evaluation, write_evaluation
):
    predictions, scores = sound_evaluation
    at(scores, policy="base", benchmark="pocket_text").update(value=None, accuracy=4 / 20)
    with pytest.raises(GateError) as caught:
        check_evaluation(recipe, write_evaluation(predictions, scores))
    assert caught.value.broken_rows["scores: value known"] == ["base/pocket_text"]


PREDICTION_FAULTS = {
    "the same problem twice": (
        {"problem_id": "pocket_text/1"},
        {"predictions: policy, benchmark, problem", "scores: num_problems"},
    ),
    "an unknown outcome": ({"outcome": "maybe"}, {"predictions: outcome"}),
    "an empty response": ({"num_tokens": 0}, {"answers: num_tokens"}),
    "a response over the budget": ({"num_tokens": 33}, {"answers: num_tokens"}),
    "a response of unknown length": ({"num_tokens": None}, {"answers: num_tokens known"}),
}


@pytest.mark.parametrize("fault", PREDICTION_FAULTS)
def test_one_faulty_prediction_fails_its_check(fault, recipe, sound_evaluation, write_evaluation):
    change, expected = PREDICTION_FAULTS[fault]
    predictions, scores = sound_evaluation
    at(predictions, policy="base", problem_id="pocket_text/19").update(change)
    with pytest.raises(GateError) as caught:
        check_evaluation(recipe, write_evaluation(predictions, scores))
    assert failures(caught.value) == expected


def test_an_answer_that_did_not_come_has_no_length(
    recipe_values, sound_evaluation, write_evaluation
):
    """Set to a warning, it stops nothing under another name."""
    recipe_values["gates"]["evaluation"]["severities"] = {"questions without a response": "warning"}
    predictions, scores = sound_evaluation
    row = at(predictions, policy="base", problem_id="pocket_text/5")
    row.update(outcome="unparseable", num_tokens=0, failure="time-out: 60 s")
    at(scores, policy="base", benchmark="pocket_text")["failures"] = {"time-out": 1}
    recipe = parse_recipe(recipe_values, where="test")
    record = check_evaluation(recipe, write_evaluation(predictions, scores)).record
    assert record.verdict == "warned"
    assert [check.name for check in record.failed] == ["scores: questions without a response"]


def test_an_endpoint_counts_tokens_in_its_own_way(recipe, sound_evaluation, write_evaluation):
    predictions, scores = (
        [row | {"policy": "model"} for row in rows if row["policy"] == "base"]
        for rows in sound_evaluation
    )
    predictions[0]["num_tokens"], predictions[1]["num_tokens"] = 0, 33
    folder = write_evaluation(predictions, scores)
    assert check_evaluation(recipe, folder, ["model"]).record.passed


def test_every_problem_is_answered_as_often_as_the_recipe_says(
    recipe_values, sound_evaluation, write_evaluation
):
    """Three answers to each problem pass; one that is missing, or there twice, does not."""
    recipe_values["evaluation"] |= {"samples_per_problem": 3, "temperature": 1.0}
    recipe = parse_recipe(recipe_values, where="test")
    predictions, scores = sound_evaluation
    several = [row | {"sample": sample} for row in predictions for sample in range(3)]
    assert check_evaluation(recipe, write_evaluation(several, scores)).record.passed
    with pytest.raises(GateError) as caught:
        check_evaluation(recipe, write_evaluation(several[1:], scores))
    assert "scores: predictions" in failures(caught.value)
    with pytest.raises(GateError) as caught:
        check_evaluation(recipe, write_evaluation([several[1], *several[1:]], scores))
    assert "predictions: policy, benchmark, problem" in failures(caught.value)
