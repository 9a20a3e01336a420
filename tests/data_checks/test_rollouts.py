"""Rollouts that can teach nothing, and stages that forget what the stage before knew."""

import json

import pytest

from contracts.errors import DataError
from data_checks.gate import GateError, check_evaluation, check_rollouts
from data_checks.steps import read_steps, steps_frame
from tests.data_checks.conftest import prediction, score
from training.recipe.gates import RolloutsGate
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
    "kl": {"coefficient": 1e-3, "estimator": "k3"},
}


@pytest.fixture
def rl_values(recipe_values):
    recipe_values["stages"].append(RL)
    recipe_values["gates"]["rollouts"] = {
        **{"min_reward_spread": 0.1, "max_truncated": 0.5, "max_zero_variance": 0.75},
        **{"min_response_tokens": 4.0, "max_response_tokens": 40.0, "max_length_growth": 1.5},
        **{"min_entropy": 0.25, "max_entropy": 2.0, "max_sampler_kl": 0.125},
        **{"max_reference_kl": 0.5, "max_duplicates": 0.25, "max_timeouts": 0.125},
        "max_idle_steps": 0.5,
    }
    return recipe_values


def steps(**changes):
    """Four steps, at the very limits; a change is a figure's value in the third."""
    sound = {
        **{"num_steps": 4, "reward": 0.5, "reward_std": 0.1, "truncated_fraction": 0.5},
        **{"zero_variance_fraction": 0.75, "response_length_tokens": 20.0, "entropy": 2.0},
        **{"sampler_kl": 0.125, "kl_reference": 0.5, "duplicate_fraction": 0.25},
        **{"verification_right": 3, "verification_wrong": 3, "verification_unparseable": 1},
        **{"verification_timeout": 1, "skipped_update": 0},
    }
    return [sound | {"step": n} | (changes if n == 3 else {}) for n in range(1, 5)]


@pytest.fixture
def look(rl_values, tmp_path):
    def looked(lines, stage=RL, **gate):
        rl_values["gates"]["rollouts"] |= gate
        rl_values["stages"][1] = stage | {"num_steps": max(4, len(lines))}
        recipe = parse_recipe(rl_values, where="test")
        (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
        return check_rollouts(recipe, recipe.stages[1], tmp_path)

    return looked


def test_rollouts_at_the_very_limits_pass(look):
    record = look(steps()).record
    assert record.passed and record.name == "rollouts-rl" and len(record.checks) == 25
    names = {check.name.split(": ")[1] for check in record.checks}
    assert names == set(RolloutsGate.BUILT_IN)
    assert look(steps(response_length_tokens=30.0)).record.passed  # half more than the first
    assert look(steps(response_length_tokens=40.0), max_length_growth=2.0).record.passed
    assert look(steps(entropy=0.25)).record.passed


def test_a_step_that_made_no_update_has_no_figures_of_it(look):
    idle = steps(skipped_update=1, entropy=None, sampler_kl=None, kl_reference=None)
    assert look(idle).record.passed
    with pytest.raises(GateError) as caught:
        look([one | {"skipped_update": 0} for one in idle])
    names = ("entropy", "sampler KL", "reference KL")
    assert caught.value.broken_rows == {f"updates: {name} known": ["step 3"] for name in names}


def test_a_step_whose_updates_were_all_left_out_has_no_figures_of_them(look):
    """Two overflows in ten steps; the step that made one of two updates has its figures."""
    figures = {"loss": 0.5, "nonfinite_updates": 0}
    sound = steps()[0] | figures
    left_out = {"loss": None, "nonfinite_updates": 2}
    left_out |= dict.fromkeys(("entropy", "sampler_kl", "kl_reference"))
    changes = {2: left_out, 5: left_out, 7: {"nonfinite_updates": 1}}
    lines = [sound | {"step": n} | changes.get(n, {}) for n in range(1, 11)]
    assert look(lines).record.passed
    with pytest.raises(GateError) as caught:
        look([*lines[:6], lines[6] | {"entropy": None}, *lines[7:]])
    assert caught.value.broken_rows == {"updates: entropy known": ["step 7"]}


def test_a_stage_without_a_reference_is_asked_for_no_distance_to_it(look):
    record = look(steps(kl_reference=None), {**RL, "kl": None}).record
    assert record.passed and not [one for one in record.checks if "reference" in one.name]


# Figure -> the expectations that need it.
FIGURES = {
    "reward": ["steps: reward"],
    "reward_std": ["steps: reward spread known"],
    "truncated_fraction": ["steps: truncated known"],
    "zero_variance_fraction": ["steps: zero variance known", "steps: idle steps known"],
    "response_length_tokens": ["steps: response length known", "steps: length growth known"],
    "duplicate_fraction": ["steps: duplicates known"],
    "verification_timeout": ["steps: time-outs known"],
    "entropy": ["updates: entropy known"],
    "sampler_kl": ["updates: sampler KL known"],
    "kl_reference": ["updates: reference KL known"],
}


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("fault", ["not a number", "by another name"])
def test_a_bound_of_a_figure_that_is_not_there_is_broken(figure, fault, look):
    lines = steps()
    for line in lines:
        if fault == "by another name":
            line[f"{figure}_new"] = line.pop(figure)
        else:
            line[figure] = float("nan")
    with pytest.raises(GateError) as caught:
        look(lines)
    every = [f"step {n}" for n in range(1, 5)]
    assert caught.value.broken_rows == dict.fromkeys(FIGURES[figure], every)


def test_a_figure_that_no_bound_is_about_may_be_missing(rl_values, look):
    rl_values["gates"]["rollouts"] = {"max_truncated": 0.5}
    record = look([{"step": 1, "reward": 0.5, "truncated_fraction": 0.5}]).record
    assert record.passed
    assert [check.name for check in record.checks] == [
        *("steps: steps", "steps: step", "steps: reward"),
        *("steps: truncated", "steps: truncated known"),
    ]


def test_that_a_figure_is_known_counts_as_much_as_its_bound(look):
    lines = steps(truncated_fraction=None, entropy=None)
    severities = {"truncated": "error", "entropy known": "error"}
    with pytest.raises(GateError) as caught:
        look(lines, severity="warning", severities=severities)
    stopping = [check.name for check in caught.value.record.stopping]
    assert stopping == ["steps: truncated known", "updates: entropy known"]
    assert look(lines, severities={}).record.verdict == "warned"


FAULTS = {
    "no reward": ({"reward": None}, ["reward"]),
    "equal rewards": ({"reward_std": 0.0}, ["reward spread"]),
    "cut off": ({"truncated_fraction": 0.6}, ["truncated"]),
    "groups that agree": ({"zero_variance_fraction": 0.8}, ["zero variance"]),
    "too short": ({"response_length_tokens": 3.0}, ["response length"]),
    "too long": ({"response_length_tokens": 40.1}, ["response length", "length growth"]),
    "longer than at the start": ({"response_length_tokens": 30.1}, ["length growth"]),
    "a collapsed policy": ({"entropy": 0.24}, ["entropy"]),
    "a policy at random": ({"entropy": 2.1}, ["entropy"]),
    "another model than sampled": ({"sampler_kl": 0.126}, ["sampler KL"]),
    "far from its start": ({"kl_reference": 0.51}, ["reference KL"]),
    "all the same": ({"duplicate_fraction": 0.26}, ["duplicates"]),
    "answers that hang": ({"verification_timeout": 2, "verification_wrong": 2}, ["time-outs"]),
}


def test_each_step_that_breaks_a_bound_is_named_and_no_other(look):
    lines, expected = steps()[:1], {}
    for changes, names in FAULTS.values():
        lines.append(lines[0] | {"step": len(lines) + 1} | changes)
        for name in names:
            table = "updates" if name in ("entropy", "sampler KL", "reference KL") else "steps"
            expected.setdefault(f"{table}: {name}", []).append(f"step {len(lines)}")
    with pytest.raises(GateError) as caught:
        look(lines)
    assert caught.value.broken_rows == expected


def test_only_a_share_of_the_steps_may_teach_nothing(look):
    idle = steps(zero_variance_fraction=1.0)
    free = {"max_zero_variance": 1.0}
    assert look(idle, max_idle_steps=0.25, **free).record.passed
    with pytest.raises(GateError) as caught:
        look(idle, max_idle_steps=0.2, **free)
    assert caught.value.broken_rows == {"steps: idle steps": ["step 3"]}
    assert look(idle[2:3], max_idle_steps=1.0, **free).record.passed


def test_length_is_measured_against_the_first_tenth_of_the_steps(tmp_path):
    """Of 20 steps the first two, 10 and 30 tokens long, are the start: 20."""
    lengths = [10.0, 30.0, *[25.0] * 18]
    lines = [{"step": n, "response_length_tokens": one} for n, one in enumerate(lengths, 1)]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    frame = steps_frame(read_steps(path))
    assert frame["length_growth"].tolist() == [0.5, 1.5, *[1.25] * 18]
    assert frame["timeout_fraction"].isna().all()


def test_what_nobody_could_verify_is_what_ran_out_of_time_or_died(tmp_path):
    """Of 8 responses 1 and 2."""
    counts = {"right": 3, "wrong": 2, "unparseable": 0, "timeout": 1, "crashed": 2}
    line = {"step": 1} | {f"verification_{name}": count for name, count in counts.items()}
    path = tmp_path / "metrics.jsonl"
    path.write_text(json.dumps(line) + "\n")
    assert steps_frame(read_steps(path))["timeout_fraction"].tolist() == [0.375]


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
