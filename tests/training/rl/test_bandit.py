"""Bandits whose optimum is known in closed form."""

import pytest
import torch

from training.recipe.loss import LossRecipe
from training.rl.advantages import group_advantages
from training.rl.arms import Batch, select
from training.rl.losses import loss_normalizer, policy_loss

REWARDS = torch.tensor([0.0, 0.3, 1.0, 0.7], dtype=torch.double)


def optimum(settings, *, bonus=0.0, reference=None, num_steps=600, rate=2.0):
    """Follows the exact expected gradient: each arm once, weighed by its probability."""
    logits = torch.zeros(4, dtype=torch.double, requires_grad=True)
    for _ in range(num_steps):
        log_probs = logits.log_softmax(-1)
        policy = log_probs.detach().exp()
        entropy = -(log_probs.exp() * log_probs).sum().expand(4)
        loss, _ = policy_loss(
            log_probs[:, None],
            log_probs.detach()[:, None],
            REWARDS - (policy * REWARDS).sum(),
            torch.ones(4, 1, dtype=torch.bool),
            normalizer=1.0,
            settings=settings,
            entropy_coefficient=bonus,
            entropy=entropy[:, None],
            reference_log_probs=None if reference is None else reference.log()[:, None],
            sequence_weights=policy,
        )
        (gradient,) = torch.autograd.grad(loss, logits)
        with torch.no_grad():
            logits -= rate * gradient
    return logits.softmax(-1).detach()


def test_the_best_arm_wins():
    assert optimum(LossRecipe())[2] > 0.99


@pytest.mark.parametrize("coefficient", [0.4, 0.8])
def test_the_entropy_bonus_leads_to_the_softmax_of_the_rewards(coefficient):
    found = optimum(LossRecipe(), bonus=coefficient)
    assert torch.allclose(found, (REWARDS / coefficient).softmax(-1), atol=1e-4)


REFERENCE = torch.tensor([0.4, 0.3, 0.1, 0.2], dtype=torch.double)


def test_k2_leads_to_the_tilted_reference():
    """E[r] - b KL(p || ref) is largest at p = ref exp(r / b), normalised."""
    settings = LossRecipe(kl={"coefficient": 0.5, "estimator": "k2"})
    tilted = REFERENCE * (REWARDS / 0.5).exp()
    found = optimum(settings, reference=REFERENCE)
    assert torch.allclose(found, tilted / tilted.sum(), atol=1e-4)


def test_k3_leads_to_the_optimum_of_the_opposite_kl():
    """E[r] - b KL(ref || p) is largest at p = b ref / (c - r), with c such that p sums to 1."""
    settings = LossRecipe(kl={"coefficient": 0.5, "estimator": "k3"})
    low, high = 1.0, 2.0
    for _ in range(60):
        middle = (low + high) / 2
        total = (0.5 * REFERENCE / (middle - REWARDS)).sum()
        low, high = (middle, high) if total > 1 else (low, middle)
    found = optimum(settings, reference=REFERENCE)
    assert torch.allclose(found, 0.5 * REFERENCE / (low - REWARDS), atol=1e-4)


def test_k1_as_a_loss_pulls_nowhere():
    settings = LossRecipe(kl={"coefficient": 0.5, "estimator": "k1"})
    assert optimum(settings, reference=REFERENCE)[2] > 0.99


@pytest.mark.parametrize("strategy", ["pad", "filter", "random", "none", "dynamic", "released"])
def test_sampled_groups_find_the_best_arm(strategy):
    """Rewards of 0 or 1 with odds 0.1 to 0.8, groups of 8, the whole chain from sample to step."""
    odds = torch.tensor([0.1, 0.4, 0.8, 0.6])
    generator = torch.Generator().manual_seed(0)
    logits = torch.zeros(4, requires_grad=True)
    groups = torch.arange(8).repeat_interleave(8)
    for _ in range(150):
        log_policy = logits.log_softmax(-1)
        arms = torch.multinomial(log_policy.exp().detach(), 64, True, generator=generator)
        rewards = (torch.rand(64, generator=generator) < odds[arms]).float()
        advantages = group_advantages(rewards, groups)
        index, _ = select(
            Batch(advantages, rewards, groups, size=64),
            low=0.03,
            high=10.0,
            ratio=0.5,
            temperature=0.5,
            generator=generator,
            strategy=strategy,
        )
        mask = torch.ones(len(index), 1, dtype=torch.bool)
        normalizer = loss_normalizer(mask.sum(-1), aggregation="token_mean", max_response_tokens=1)
        if normalizer == 0.0:
            continue
        chosen = log_policy[arms[index]][:, None]
        loss, _ = policy_loss(
            chosen,
            chosen.detach(),
            advantages[index],
            mask,
            normalizer=normalizer,
            settings=LossRecipe(),
        )
        (gradient,) = torch.autograd.grad(loss, logits)
        with torch.no_grad():
            logits -= 0.5 * gradient
    policy = logits.softmax(-1)
    assert policy.argmax() == 2 and policy[2] > 0.9, policy.tolist()
