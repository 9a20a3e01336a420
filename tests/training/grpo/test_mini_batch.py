"""What the loss of one update is given: whose nucleus, which weights, which denominator."""

import math

import pytest
import torch

from contracts.errors import RecipeError
from training.grpo.mini_batch import MiniBatch, entropy_coefficient, normalizer_of
from training.grpo.selection import rows_with_gradient
from training.model.forward import ResponseLogProbs, TokenLogProbs
from training.recipe.recipe import parse_recipe
from training.recipe.stages import RlStage
from training.rl.arms import Batch, population, select

LENGTHS = torch.tensor([3, 1, 4, 2, 5, 3, 2, 4])
ADVANTAGES = torch.tensor([2.0, -0.4, 0.5, -1.0, 0.01, 1.2, -0.3, -0.7])
BATCH = Batch(ADVANTAGES, ADVANTAGES, torch.arange(8) // 4, size=8)
MASK = torch.arange(5) < LENGTHS[:, None]
PAD = {"low": 0.05, "high": 3.0, "ratio": 0.375}


def new_stage(**changes):
    values = {
        "kind": "rl",
        "name": "rl",
        "data": "text",
        "optimizer": {"learning_rate": 1e-3},
        "num_steps": 1,
        "prompts_per_step": 2,
        "group_size": 4,
        "max_response_tokens": 5,
        "rewards": "paper-v2",
    }
    return RlStage.model_validate(values | changes)


def random_log_probs(seed):
    return -torch.rand(8, 5, generator=torch.Generator().manual_seed(seed)) - 0.1


def mini_batch(rows, *, normalizer, weights=None, old=None):
    """Rows of a batch whose responses were sampled from `random_log_probs(0)`."""
    sampler = random_log_probs(0)
    return MiniBatch(
        sequences=[],
        advantages=ADVANTAGES[rows],
        sampler_log_probs=[sampler[row][MASK[row]] for row in rows.tolist()],
        normalizer=normalizer,
        weights=weights,
        old=old,
    )


def scores_of(log_probs, log_mass=None):
    return TokenLogProbs(log_probs, MASK, None, log_mass)


def test_later_updates_compare_the_sampler_with_the_old_policys_nucleus():
    old_log_probs, old_mass, new_mass = (random_log_probs(seed) for seed in (1, 2, 3))
    old = {
        row: ResponseLogProbs(old_log_probs[row][MASK[row]], old_mass[row][MASK[row]])
        for row in range(8)
    }
    batch = mini_batch(torch.arange(8), normalizer=1.0, old=old)
    loss = batch.loss_function(new_stage(), 0.0)
    _, sums = loss(scores_of(random_log_probs(4), new_mass), list(range(8)))
    ratio = (old_log_probs - old_mass - random_log_probs(0)).exp()
    assert sums["importance_ratio_mean"].item() == pytest.approx(ratio[MASK].sum().item())


def test_the_only_update_compares_it_with_its_own():
    log_probs, mass = random_log_probs(1), random_log_probs(2)
    loss = mini_batch(torch.arange(8), normalizer=1.0).loss_function(new_stage(), 0.0)
    _, sums = loss(scores_of(log_probs, mass), list(range(8)))
    ratio = (log_probs - mass - random_log_probs(0)).exp()
    assert sums["importance_ratio_mean"].item() == pytest.approx(ratio[MASK].sum().item())


@pytest.mark.parametrize("strategy", ["pad", "random", "released"])
@pytest.mark.parametrize("aggregation", ["token_mean", "sequence_mean"])
def test_weights_make_the_expected_gradient_that_of_the_set_drawn_from(strategy, aggregation):
    """As in the training loop with two updates a step: each takes half of the selection."""
    stage = new_stage(aggregation=aggregation)
    drawn_from = population(BATCH, low=0.05, high=3.0, strategy=strategy)
    assert len(drawn_from) == (8 if strategy == "random" else 7)
    normalizer = normalizer_of(LENGTHS[drawn_from], stage)

    def gradient(rows, weights, share):
        leaf = random_log_probs(1).requires_grad_()
        mask = MASK[rows]
        batch = mini_batch(rows, normalizer=normalizer * share, weights=weights)
        loss = batch.loss_function(stage, 0.0)
        computed = TokenLogProbs(leaf[rows], mask, None, None)
        return torch.autograd.grad(loss(computed, list(range(len(rows))))[0], leaf)[0]

    wanted = gradient(drawn_from, None, 1.0)
    generator, mean, num_draws = torch.Generator().manual_seed(5), torch.zeros(8, 5), 4000
    for _ in range(num_draws):
        selection = select(BATCH, **PAD, temperature=0.7, generator=generator, strategy=strategy)
        order = torch.randperm(len(selection.indices), generator=generator)
        part = order[: (len(order) + 1) // 2]
        share = len(part) / len(order)
        mean += gradient(selection.indices[part], selection.weights[part], share) / num_draws
    assert (mean - wanted).norm() / wanted.norm() < 0.08


@pytest.mark.parametrize(("warmup", "expected"), [("ramp", 0.01), ("zero", 0.0)])
def test_the_entropy_bonus_follows_the_recipes_warm_up(warmup, expected):
    entropy = {"coefficient": 0.02, "warmup_updates": 1, "warmup": warmup}
    assert entropy_coefficient(new_stage(entropy=entropy), 0) == pytest.approx(expected)
    assert entropy_coefficient(new_stage(), 0) == 0.0


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"surrogate": "cispo", "ratio_level": "sequence"}, "GSPO"),
        ({"surrogate": "ppo"}, "surrogate"),
        ({"correction": {"kind": "clip"}}, "correction.kind"),
        ({"correction": {"cap": 0.0}}, "correction.cap"),
        ({"aggregation": "mean"}, "aggregation"),
        ({"pad": {"strategy": "none", "importance_weight": True}}, "draws nothing"),
        ({"pad": {"strategy": "best"}}, "pad.strategy"),
        ({"ratio_level": "sequence"}, "sequence_mean"),
        ({"pad": {"strategy": "dynamic"}}, "refill_rounds"),
        ({"pad": {"refill_rounds": 17}}, "refill_rounds"),
        ({"dual_clip": 1.0}, "dual_clip"),
        ({"log_ratio_bound": 50.0}, "log_ratio_bound"),
        ({"kl": {"coefficient": 0.1, "cap": 0.0}}, "kl.cap"),
        ({"optimizer": {"learning_rate": 1e-3, "max_nonfinite_in_a_row": 0}}, "max_nonfinite"),
        ({"preset": "paper"}, "released"),
    ],
)
def test_choices_that_make_no_sense_are_refused(tiny_recipe, changes, named):
    values = tiny_recipe.model_dump(mode="json")
    stage = new_stage().model_dump(mode="json") | changes
    with pytest.raises(RecipeError, match=named):
        parse_recipe(values | {"stages": [stage]}, where="tests")


def test_the_released_preset_holds_the_authors_values_and_the_recipes_own_win():
    values = new_stage().model_dump(mode="json", exclude_unset=True)
    del values["rewards"], values["group_size"]
    stage = RlStage.model_validate(values | {"preset": "released", "clip_low": 0.1})
    assert (stage.clip_low, stage.clip_high, stage.dual_clip) == (0.1, 0.25, 3.0)
    assert stage.log_ratio_bound == pytest.approx(math.log(1000))
    assert (stage.pad.strategy, stage.pad.high, stage.group_size) == ("released", 0.97, 8)
    assert stage.entropy.warmup == "zero" and stage.kl.coefficient == 0.01
    assert [reward.kind for reward in stage.rewards] == ["accuracy", "repetition", "keywords"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [0, 2]),
        ({"kl": {"coefficient": 0.1}}, [0, 1, 2, 3]),
        ({"entropy": {"coefficient": 0.1}}, [0, 1, 2, 3]),
    ],
)
def test_a_row_without_any_term_costs_no_forward_pass(changes, expected):
    advantages = torch.tensor([1.0, 0.0, -1.0, 0.0])
    assert rows_with_gradient(advantages, new_stage(**changes)).tolist() == expected


def test_one_row_carries_a_gradient_of_zero():
    assert rows_with_gradient(torch.zeros(5), new_stage()).tolist() == [0]
