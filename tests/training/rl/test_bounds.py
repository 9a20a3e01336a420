"""Losses and gradients stay finite, whatever the log-probabilities."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.recipe.loss import LossRecipe
from training.rl.losses import kl_divergence, mean_diagnostics, policy_loss

AGGREGATIONS = ["token_mean", "sequence_mean", "dr_grpo"]


def test_dual_clip_bounds_what_an_unlikely_answer_weighs():
    # Ratio 4, advantage -1: PPO's surrogate is -4, dual clip's -3, and beyond it there is no pull.
    log_probs = torch.tensor([[math.log(4.0)]], requires_grad=True)
    inputs = (log_probs, torch.zeros(1, 1), torch.tensor([-1.0]), torch.ones(1, 1).bool())
    loss, _ = policy_loss(*inputs, normalizer=1.0, settings=LossRecipe())
    assert loss.item() == pytest.approx(3.0)
    assert torch.autograd.grad(loss, log_probs)[0].item() == 0.0
    loss, _ = policy_loss(*inputs, normalizer=1.0, settings=LossRecipe(dual_clip=5.0))
    assert loss.item() == pytest.approx(4.0)


def test_fifteen_nats_from_the_reference_pull_no_harder_than_the_cap():
    log_probs = torch.tensor([-15.0], requires_grad=True)
    for nats, value, gradient in ((2.0, math.exp(2) - 3, 1 - math.exp(2)), (15.0, 10.0, 0.0)):
        kl = kl_divergence(log_probs, log_probs.detach() + nats, estimator="k3")
        assert kl.item() == pytest.approx(value, rel=1e-5)
        assert torch.autograd.grad(kl, log_probs)[0].item() == pytest.approx(gradient, rel=1e-5)


extreme = st.one_of(
    st.floats(-200.0, 0.0, width=32), st.just(-math.inf), st.just(-3e38), st.just(0.0)
)
lists_of_six = st.lists(extreme, min_size=6, max_size=6)


@settings(deadline=None, derandomize=True)
@given(
    columns=st.tuples(lists_of_six, lists_of_six, lists_of_six, lists_of_six),
    masses=st.lists(
        st.one_of(st.floats(-5.0, 0.0, width=32), st.just(math.inf)), min_size=6, max_size=6
    ),
    advantages=st.lists(st.floats(-100.0, 100.0, width=32), min_size=2, max_size=2),
    choices=st.fixed_dictionaries(
        {
            "surrogate": st.sampled_from(["clip", "cispo"]),
            "ratio_level": st.sampled_from(["token", "sequence"]),
            "aggregation": st.sampled_from(AGGREGATIONS),
            "kl": st.fixed_dictionaries(
                {"coefficient": st.just(0.1), "estimator": st.sampled_from(["k1", "k2", "k3"])}
            ),
            "correction": st.fixed_dictionaries(
                {
                    "kind": st.sampled_from(["none", "truncate", "mask"]),
                    "level": st.sampled_from(["token", "sequence"]),
                }
            ),
        }
    ),
)
def test_no_log_probabilities_give_a_loss_or_a_gradient_that_is_not_finite(
    columns, masses, advantages, choices
):
    """Without the clamps a log-ratio of 100 gives infinity, and infinity times zero NaN."""
    tensors = [torch.tensor(column).reshape(2, 3) for column in columns]
    log_probs = tensors[0].requires_grad_()
    loss, sums = policy_loss(
        log_probs,
        tensors[1],
        torch.tensor(advantages),
        torch.tensor([[True, True, True], [True, True, False]]),
        normalizer=2.0,
        settings=LossRecipe(**choices),
        reference_log_probs=tensors[2],
        sampler_log_probs=tensors[3],
        nucleus_log_mass=torch.tensor(masses).reshape(2, 3),
    )
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(log_probs.grad).all()
    assert log_probs.grad.abs().max() < 1e5
    assert all(math.isfinite(mean) for mean in mean_diagnostics(sums).values())
