"""Group-relative advantages: by hand, and as properties."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.rl.advantages import (
    group_advantages,
    zero_variance_fraction,
    zero_variance_sequences,
)


def test_two_unequal_groups_in_any_order_by_hand():
    # Group 5 holds 1, 3: mean 2, unbiased std sqrt(2). Group 2 holds 0, 0, 6: mean 2, std sqrt(12).
    rewards = torch.tensor([1.0, 0.0, 3.0, 6.0, 0.0])
    groups = torch.tensor([5, 2, 5, 2, 2])
    expected = [-1 / 2**0.5, -2 / 12**0.5, 1 / 2**0.5, 4 / 12**0.5, -2 / 12**0.5]
    assert group_advantages(rewards, groups, eps=0.0).tolist() == pytest.approx(expected)


def test_without_scaling_only_the_mean_is_taken_away():
    advantages = group_advantages(
        torch.tensor([1.0, 3.0, 7.0]), torch.tensor([0, 0, 1]), scale="none"
    )
    assert advantages.tolist() == [-1.0, 1.0, 0.0]


# Group 0 holds 1, 0, 0, 0; group 1 holds 1, 1; group 2 holds 0, 1: group 1 is dead.
REWARDS = torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0])
GROUPS = torch.tensor([0, 0, 0, 0, 1, 1, 2, 2])
CENTRED = [0.75, -0.25, -0.25, -0.25, 0.0, 0.0, -0.5, 0.5]


def test_rloo_compares_with_the_mean_of_the_others():
    # 1 against (0, 0, 0): 1. 0 against (1, 0, 0): -1/3. 0 against (1): -1.
    expected = [1.0, -1 / 3, -1 / 3, -1 / 3, 0.0, 0.0, -1.0, 1.0]
    assert group_advantages(REWARDS, GROUPS, scale="rloo").tolist() == pytest.approx(expected)


def test_one_deviation_for_the_whole_batch():
    # Four ones of eight: the unbiased variance of all rewards is 8 / 7 x 1 / 4 = 2 / 7.
    expected = [value / (2 / 7) ** 0.5 for value in CENTRED]
    advantages = group_advantages(REWARDS, GROUPS, scale="batch", eps=0.0)
    assert advantages.tolist() == pytest.approx(expected)


def test_reinforce_plus_plus_whitens_what_the_group_baseline_leaves():
    # Squares of the centred rewards sum to 9/16 + 3/16 + 1/2 = 5/4, over 8 - 1 of them.
    expected = [value / (5 / 28) ** 0.5 for value in CENTRED]
    advantages = group_advantages(REWARDS, GROUPS, scale="reinforce++", eps=0.0)
    assert advantages.tolist() == pytest.approx(expected)
    assert advantages.std().item() == pytest.approx(1.0)


@pytest.mark.parametrize("scale", ["std", "none", "batch", "rloo", "reinforce++"])
def test_no_scale_revives_a_dead_batch(scale):
    # The mean of seven times 0.1 is not 0.1: no rounding residue may be blown up.
    rewards = torch.full((7,), 0.1)
    for rows in (7, 1):
        advantages = group_advantages(
            rewards[:rows], torch.zeros(rows, dtype=torch.long), scale=scale, eps=1e-12
        )
        assert advantages.tolist() == [0.0] * rows


def test_eps_is_added_to_the_deviation():
    advantages = group_advantages(torch.tensor([0.0, 2.0]), torch.tensor([0, 0]), eps=0.5)
    assert advantages.tolist() == pytest.approx([-1 / (2**0.5 + 0.5), 1 / (2**0.5 + 0.5)])


def test_a_group_of_one_gets_zero():
    assert group_advantages(torch.tensor([3.0]), torch.tensor([9])).tolist() == [0.0]


def test_equal_rewards_give_exactly_zero_in_spite_of_rounding():
    # The mean of seven times 0.1 is not 0.1 in float32; divided by eps the residue would matter.
    rewards = torch.full((7,), 0.1)
    advantages = group_advantages(rewards, torch.zeros(7, dtype=torch.long), eps=1e-12)
    assert advantages.tolist() == [0.0] * 7


def test_an_empty_batch():
    empty = torch.zeros(0)
    assert group_advantages(empty, empty.long()).tolist() == []
    assert zero_variance_fraction(empty, empty.long()) == 0.0


def test_zero_variance_counts_groups_not_sequences():
    rewards = torch.tensor([1.0, 1.0, 1.0, 0.0, 1.0, 0.5])
    groups = torch.tensor([0, 0, 0, 1, 1, 2])
    assert zero_variance_sequences(rewards, groups).tolist() == [True] * 3 + [False] * 2 + [True]
    assert zero_variance_fraction(rewards, groups) == pytest.approx(2 / 3)


batches = st.lists(
    st.tuples(st.integers(0, 5), st.floats(-10, 10, width=32)), min_size=1, max_size=40
)


@settings(deadline=None, derandomize=True)
@given(batch=batches, shift=st.floats(-5, 5), factor=st.floats(0.5, 5), seed=st.integers(0, 99))
def test_properties(batch, shift, factor, seed):
    groups = torch.tensor([group for group, _ in batch])
    rewards = torch.tensor([reward for _, reward in batch], dtype=torch.float64)
    advantages = group_advantages(rewards, groups)
    for group in groups.unique():
        members = advantages[groups == group].double()
        assert members.mean().item() == pytest.approx(0.0, abs=1e-4)
        if len(members) > 1 and rewards[groups == group].std() > 1e-2:
            assert members.std().item() == pytest.approx(1.0, abs=1e-3)
            moved = group_advantages(rewards * factor + shift, groups)[groups == group]
            assert torch.allclose(moved.double(), members, atol=1e-2)
    order = torch.randperm(len(batch), generator=torch.Generator().manual_seed(seed))
    shuffled = group_advantages(rewards[order], groups[order])
    assert torch.allclose(shuffled, advantages[order], atol=1e-5)
