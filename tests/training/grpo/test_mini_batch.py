"""What the loss of one update is given: whose nucleus, which weights, which denominator."""

import pytest
import torch

from contracts.errors import RecipeError
from training.grpo.mini_batch import MiniBatch, loss_settings, normalizer_of
from training.model.forward import ResponseScores, Scores
from training.recipe.recipe import parse_recipe
from training.recipe.stages import RlStage
from training.rl.pad import population, select

LENGTHS = torch.tensor([3, 1, 4, 2, 5, 3, 2, 4])
ADVANTAGES = torch.tensor([2.0, -0.4, 0.5, -1.0, 0.01, 1.2, -0.3, -0.7])
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
    return Scores(log_probs, MASK, None, log_mass)


def test_later_updates_compare_the_sampler_with_the_old_policys_nucleus():
    old_log_probs, old_mass, new_mass = (random_log_probs(seed) for seed in (1, 2, 3))
    old = {
        row: ResponseScores(old_log_probs[row][MASK[row]], old_mass[row][MASK[row]])
        for row in range(8)
    }
    batch = mini_batch(torch.arange(8), normalizer=1.0, old=old)
    loss = batch.loss_function(loss_settings(new_stage(), 0))
    _, sums = loss(scores_of(random_log_probs(4), new_mass), list(range(8)))
    live = MASK & (ADVANTAGES != 0.0)[:, None]
    ratio = (old_log_probs - old_mass - random_log_probs(0)).exp()
    assert sums["importance_ratio_mean"].item() == pytest.approx(ratio[live].sum().item())


def test_the_only_update_compares_it_with_its_own():
    log_probs, mass = random_log_probs(1), random_log_probs(2)
    loss = mini_batch(torch.arange(8), normalizer=1.0).loss_function(loss_settings(new_stage(), 0))
    _, sums = loss(scores_of(log_probs, mass), list(range(8)))
    ratio = (log_probs - mass - random_log_probs(0)).exp()
    assert sums["importance_ratio_mean"].item() == pytest.approx(ratio[MASK].sum().item())


@pytest.mark.parametrize("strategy", ["pad", "random", "released"])
@pytest.mark.parametrize("aggregation", ["token_mean", "sequence_mean"])
def test_weights_make_the_expected_gradient_that_of_the_set_drawn_from(strategy, aggregation):
    """As in the training loop with two updates a step: each takes half of the selection."""
    stage = new_stage(aggregation=aggregation)
    settings = loss_settings(stage, 0)
    drawn_from = population(ADVANTAGES, low=0.05, high=3.0, strategy=strategy)
    assert len(drawn_from) == (8 if strategy == "random" else 7)
    normalizer = normalizer_of(LENGTHS[drawn_from], ADVANTAGES[drawn_from], stage)

    def gradient(rows, weights, share):
        leaf = random_log_probs(1).requires_grad_()
        mask = MASK[rows]
        batch = mini_batch(rows, normalizer=normalizer * share, weights=weights)
        loss = batch.loss_function(settings)
        scores = Scores(leaf[rows], mask, None, None)
        return torch.autograd.grad(loss(scores, list(range(len(rows))))[0], leaf)[0]

    wanted = gradient(drawn_from, None, 1.0)
    generator, mean, num_draws = torch.Generator().manual_seed(5), torch.zeros(8, 5), 4000
    for _ in range(num_draws):
        selection = select(
            ADVANTAGES, **PAD, temperature=0.7, generator=generator, strategy=strategy
        )
        order = torch.randperm(len(selection.indices), generator=generator)
        part = order[: (len(order) + 1) // 2]
        share = len(part) / len(order)
        mean += gradient(selection.indices[part], selection.weights[part], share) / num_draws
    assert (mean - wanted).norm() / wanted.norm() < 0.08


def test_every_choice_of_the_recipe_reaches_the_loss():
    correction = {"kind": "mask", "level": "sequence", "cap": 3.0}
    stage = new_stage(
        ratio_level="sequence", correction=correction, aggregation="dr_grpo", clip_high=0.3
    )
    settings = loss_settings(stage, 0)
    assert (settings.ratio_level, settings.aggregation) == ("sequence", "dr_grpo")
    assert (settings.correction, settings.correction_level) == ("mask", "sequence")
    assert (settings.correction_cap, settings.clip_high) == (3.0, 0.3)
    assert loss_settings(new_stage(surrogate="cispo"), 0).surrogate == "cispo"
    for warmup, expected in (("ramp", 0.01), ("zero", 0.0)):
        entropy = {"coefficient": 0.02, "warmup_steps": 1, "warmup": warmup}
        coefficient = loss_settings(new_stage(entropy=entropy), 0).entropy_coefficient
        assert coefficient == pytest.approx(expected)


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
    ],
)
def test_choices_that_make_no_sense_are_refused(tiny_recipe, changes, named):
    values = tiny_recipe.model_dump(mode="json")
    stage = new_stage().model_dump(mode="json") | changes
    with pytest.raises(RecipeError, match=named):
        parse_recipe(values | {"stages": [stage]}, where="tests")
