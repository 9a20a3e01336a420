"""Rewards: by hand, and the presets of the recipe."""

import pytest
import torch

from contracts.errors import RecipeError
from training.recipe.recipe import load_recipe, parse_recipe, resolved_toml_values
from training.recipe.stages import RlStage
from training.rl.rewards import (
    accuracy,
    efficient_length,
    keywords,
    repetition,
    think_then_box,
    total_rewards,
)

GOOD = r"<think> 1 + 1 is 2 </think> The answer is \boxed{2}"


def test_accuracy_is_for_right_answers_only():
    outcomes = ["right", "wrong", "unparseable", "timeout", "crashed"]
    assert [accuracy(outcome) for outcome in outcomes] == [1.0, 0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("length_tokens, reward", [(0, 1.0), (150, 0.75), (200, 0.5), (280, 0.1)])
def test_efficient_length_of_the_paper(length_tokens, reward):
    # alpha 0.005, delta 0.5, a budget of 200: one half at the budget, nothing 100 tokens past it.
    value = efficient_length(length_tokens, budget=200, alpha=0.005, delta=0.5)
    assert value == pytest.approx(reward)
    assert efficient_length(300, budget=200, alpha=0.005, delta=0.5) == 0.0
    assert efficient_length(10**6, budget=200, alpha=0.005, delta=0.5) == 0.0


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        (GOOD, 1.0),
        (f"\n {GOOD} \n", 1.0),
        (r"\boxed{2}", 0.0),
        (r"<think> </think> \boxed{2}", 0.0),
        (r"<think> 2 \boxed{2}", 0.0),
        (r"<think> 2 </think> 2", 0.0),
        (r"<think> 2 </think> \boxed{}", 0.0),
        (r"<think> 2 </think> \boxed{2} or \boxed{3}", 0.0),
        (r"well <think> 2 </think> \boxed{2}", 0.0),
        (r"<think> a </think> <think> b </think> \boxed{2}", 0.0),
        (r"</think> <think> \boxed{2}", 0.0),
        ("", 0.0),
    ],
)
def test_format(text, reward):
    assert think_then_box(text) == reward


def test_repetition_is_one_minus_the_share_of_repeated_ngrams():
    assert repetition("a b c d", ngram=2) == 1.0
    # Pairs: ab bc ca ab bc, three of five new.
    assert repetition("a b c a b c", ngram=2) == pytest.approx(3 / 5)
    assert repetition("a", ngram=2) == 1.0
    assert repetition("again " * 101, ngram=1) == pytest.approx(1 / 101)


def stage(rewards, max_response_tokens=400):
    return RlStage.model_validate(
        {
            "kind": "rl",
            "name": "rl",
            "data": "set",
            "optimizer": {"learning_rate": 1e-6},
            "num_steps": 1,
            "prompts_per_step": 1,
            "group_size": 2,
            "max_response_tokens": max_response_tokens,
            "rewards": rewards,
        }
    )


def test_the_total_is_the_weighted_sum_of_the_parts():
    rewards = stage(
        [
            {"kind": "accuracy", "weight": 0.6},
            {"kind": "format", "weight": 0.1},
            {"kind": "efficient_length", "weight": 0.2, "budget_tokens": 200},
            {"kind": "repetition", "weight": 0.1, "ngram": 1},
        ]
    ).rewards
    total, parts = total_rewards([GOOD, "no no"], [150, 250], ["right", "unparseable"], rewards)
    assert {name: part.tolist() for name, part in parts.items()} == {
        "accuracy": [1.0, 0.0],
        "format": [1.0, 0.0],
        "efficient_length": [0.75, 0.25],
        "repetition": pytest.approx([9 / 11, 0.5]),
    }
    expected = [0.6 + 0.1 + 0.2 * 0.75 + 0.1 * 9 / 11, 0.2 * 0.25 + 0.1 * 0.5]
    assert total.tolist() == pytest.approx(expected)
    assert total.dtype == torch.float32


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0.0),
        ("Waiting, butter and awaited: no word is whole.", 0.0),
        ("Wait. But WAIT, let me check.", 0.4),
        ("a.b a+b axb", 0.1),  # no pattern is read into a word
        ("wait " * 30, 1.0),
    ],
)
def test_keywords_are_counted_whole_and_in_any_case_up_to_one(text, expected):
    words = ("wait", "but", "let me check", "a.b")
    assert keywords(text, words=words, value=0.1) == pytest.approx(expected)


def test_no_responses():
    total, parts = total_rewards([], [], [], stage("paper-v1").rewards)
    assert total.shape == (0,) and parts["accuracy"].shape == (0,)


def test_presets():
    kinds = {
        name: [(reward.kind, reward.weight) for reward in stage(name).rewards]
        for name in ("paper-v1", "paper-v2", "released")
    }
    assert kinds == {
        "paper-v1": [("accuracy", 0.9), ("efficient_length", 0.1)],
        "paper-v2": [("accuracy", 1.0)],
        "released": [("accuracy", 0.85), ("repetition", 0.10), ("keywords", 0.05)],
    }
    length = stage("paper-v1").rewards[1]
    assert (length.alpha, length.delta, length.budget_tokens) == (0.005, 0.5, 200)


def test_a_recipe_with_a_preset_resolves_to_the_list(request):
    path = request.config.rootpath / "infra" / "recipes" / "pocket.toml"
    values = resolved_toml_values(load_recipe(path))
    values["stages"][1]["rewards"] = "paper-v2"
    recipe = parse_recipe(values, where="test")
    assert resolved_toml_values(recipe)["stages"][1]["rewards"] == [
        {"kind": "accuracy", "weight": 1.0}
    ]


def test_bad_rewards_are_named(request):
    path = request.config.rootpath / "infra" / "recipes" / "pocket.toml"
    values = resolved_toml_values(load_recipe(path))
    values["stages"][1]["rewards"] = "paper-v9"
    with pytest.raises(RecipeError, match="'paper-v9' is none of the presets"):
        parse_recipe(values, where="test")
    values["stages"][1]["rewards"] = [{"kind": "accuracy"}, {"kind": "accuracy"}]
    with pytest.raises(RecipeError, match="each kind of reward may occur once"):
        parse_recipe(values, where="test")
