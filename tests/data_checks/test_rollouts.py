"""Rollouts that can teach nothing, and stages that forget what the stage before knew."""

import json

import pytest

from contracts.errors import DataError
from data_checks.gate import GateError, check_evaluation, check_rollouts
from tests.data_checks.conftest import prediction, score
from training.recipe.recipe import parse_recipe

RL = {
    "kind": "rl",
    "name": "rl",
    "data": "seeing",
    "optimizer": {"learning_rate": 1e-4},
    "num_steps": 4,
    "prompts_per_step": 2,
    "group_size": 2,
    "max_response_tokens": 32,
    "rewards": [{"kind": "accuracy"}],
}


@pytest.fixture
def rl_values(recipe_values):
    recipe_values["stages"].append(RL)
    recipe_values["gates"]["rollouts"] = {
        **{"min_reward_spread": 0.1, "max_truncated": 0.5, "max_zero_variance": 0.75},
        **{"min_response_tokens": 4.0, "max_response_tokens": 30.0},
    }
    return recipe_values


def steps(**changes):
    """Four steps, at the very limits; a change is a figure's value in the third."""
    sound = {
        **{"num_steps": 4, "reward": 0.5, "reward_std": 0.1, "truncated_fraction": 0.5},
        **{"zero_variance_fraction": 0.75, "response_length_tokens": 30.0, "entropy": None},
    }
    return [sound | {"step": n} | (changes if n == 3 else {}) for n in range(1, 5)]


@pytest.fixture
def look(rl_values, tmp_path):
    def looked(lines, **gate):
        rl_values["gates"]["rollouts"] |= gate
        recipe = parse_recipe(rl_values, where="test")
        (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
        return check_rollouts(recipe, recipe.stages[1], tmp_path)

    return looked


def test_rollouts_at_the_very_limits_pass(look):
    record = look(steps()).record
    assert record.passed and record.name == "rollouts-rl" and len(record.checks) == 7


FAULTS = {
    "no reward": ({"reward": None}, "reward"),
    "equal rewards": ({"reward_std": 0.0}, "reward spread"),
    "cut off": ({"truncated_fraction": 0.6}, "truncated"),
    "groups that agree": ({"zero_variance_fraction": 0.8}, "zero variance"),
    "too short": ({"response_length_tokens": 3.0}, "response length"),
    "too long": ({"response_length_tokens": 31.0}, "response length"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_step_that_breaks_a_bound_is_named(fault, look):
    changes, expected = FAULTS[fault]
    with pytest.raises(GateError) as caught:
        look(steps(**changes))
    assert caught.value.broken_rows == {f"steps: {expected}": ["step 3"]}


def test_a_share_of_the_steps_may_break_a_bound(look):
    assert look(steps(truncated_fraction=0.6), share_of_steps=0.75).record.passed
    with pytest.raises(GateError):
        look(steps(truncated_fraction=0.6), share_of_steps=0.8)


def test_a_step_that_is_logged_twice_is_found(look):
    lines = steps()
    with pytest.raises(GateError) as caught:
        look([*lines[:2], lines[1], lines[3]])
    assert caught.value.broken_rows == {"steps: step": ["step 2", "step 2"]}


@pytest.mark.parametrize("text", ["{", "[]", "{}", None])
def test_metrics_that_cannot_be_read_are_a_data_error(text, rl_values, tmp_path):
    recipe = parse_recipe(rl_values, where="test")
    if text is not None:
        (tmp_path / "metrics.jsonl").write_text(text)
    with pytest.raises(DataError, match=r"metrics\.jsonl cannot be checked"):
        check_rollouts(recipe, recipe.stages[1], tmp_path)


@pytest.fixture
def decayed(rl_values, write_evaluation):
    """Three policies on 20 problems each; after RL the text benchmark falls from 12 to 9 right."""
    right = {"base": (4, 4), "cold_start": (12, 6), "rl": (9, 8)}
    predictions, scores = [], []
    for policy, counts in right.items():
        for benchmark, count in zip(("pocket_text", "pocket_multimodal"), counts, strict=True):
            scores.append(score(policy, benchmark, count / 20, 20))
            predictions += [
                prediction(policy, benchmark, number, "right" if number < count else "wrong")
                for number in range(20)
            ]
    folder = write_evaluation(predictions, scores)

    def looked(**drop):
        gate = rl_values["gates"]["evaluation"]
        values = {"name": "text decay", "stage": "rl", "max_points": 14.9} | drop
        gate["drops"] = [values]
        return check_evaluation(parse_recipe(rl_values, where="test"), folder)

    return looked


def test_a_named_drop_is_measured_against_the_stage_before(decayed):
    assert decayed(max_points=15.0).record.passed
    with pytest.raises(GateError) as caught:
        decayed()
    assert caught.value.broken_rows == {"drops, rl: text decay": ["rl/pocket_text"]}
    (row,) = caught.value.checked.rows
    assert (row["before"], row["stage"]) == ("cold_start", "rl")
    # Three problems lost, none won: McNemar's exact p is 2 / 2^3.
    assert float(row["p"]) == 0.25 and float(row["drop_points"]) == pytest.approx(15.0)


def test_only_its_benchmarks_its_stage_and_what_is_proven_count(decayed):
    assert decayed(benchmarks=["pocket_multimodal"]).record.passed
    assert decayed(stage="cold_start", max_points=0.0).record.passed
    assert decayed(alpha=0.24).record.passed
    with pytest.raises(GateError):
        decayed(alpha=0.25)
    warned = decayed(severity="warning").record
    assert not warned.passed and warned.verdict == "warned"


def test_any_drop_can_be_bounded(decayed, rl_values):
    rl_values["gates"]["evaluation"]["max_drop_points"] = 10.0
    with pytest.raises(GateError) as caught:
        decayed(max_points=100.0)
    assert caught.value.broken_rows == {"drops: drop after a stage": ["rl/pocket_text"]}
