"""Advantages of responses against their group: GRPO, and estimators that differ in the scale.

All of them centre a reward on its group's mean; what they multiply it by is their whole difference.
"""

from typing import Literal

import torch
from torch import Tensor

Scale = Literal["std", "none", "batch", "rloo", "reinforce++"]


def group_advantages(
    rewards: Tensor, group_ids: Tensor, *, scale: Scale = "std", eps: float = 1e-6
) -> Tensor:
    """A_i = (r_i - mean of the group) x scale.

    Args:
        rewards: One reward per response [N].
        group_ids: Which prompt each response answers [N], integers in any order; groups may
            differ in size.
        scale: `std`: 1 / (std of the group + eps), GRPO. `none`: 1, Dr. GRPO (arXiv 2503.20783:
            dividing favours too easy and too hard prompts). `batch`: 1 / (std of all rewards +
            eps), one scale for all groups (Lite PPO, arXiv 2508.08221). `rloo`: n / (n - 1), which
            makes the baseline the mean of the group's other responses (arXiv 2402.14740, Eq. 8).
            `reinforce++`: 1 / (std of all centred rewards + eps), REINFORCE++ with a group
            baseline (arXiv 2501.03262). Deviations are unbiased.
        eps: Added to a standard deviation.

    Returns:
        Advantages [N], float32. A group of one, and a group whose rewards are all equal, gets
        exactly zero: no rounding residue of the mean is blown up by the division.
    """
    values = rewards.double()
    groups, sizes = _groups(group_ids)
    centred = values - (_sum_by_group(values, groups, sizes) / sizes)[groups]
    others = (sizes - 1).clamp(min=1)
    if scale == "std":
        variance = _sum_by_group(centred.square(), groups, sizes) / others
        centred = centred / (variance.sqrt()[groups] + eps)
    elif scale == "rloo":
        centred = centred * (sizes / others)[groups]
    elif scale != "none":
        spread = values if scale == "batch" else centred
        centred = centred / (_std(spread) + eps)
    return centred.masked_fill(zero_variance_sequences(rewards, group_ids), 0.0).float()


def zero_variance_sequences(rewards: Tensor, group_ids: Tensor) -> Tensor:
    """Marks the responses [N] of dead groups: those whose rewards are all equal.

    Args:
        rewards: One reward per response [N].
        group_ids: Which prompt each response answers [N].
    """
    return _dead_groups(rewards, group_ids)[_groups(group_ids)[0]]


def zero_variance_fraction(rewards: Tensor, group_ids: Tensor) -> float:
    """Share of the groups whose rewards are all equal; 0 for an empty batch."""
    dead = _dead_groups(rewards, group_ids)
    return dead.double().mean().item() if len(dead) else 0.0


def _dead_groups(rewards: Tensor, group_ids: Tensor) -> Tensor:
    groups, sizes = _groups(group_ids)
    highest = rewards.new_zeros(len(sizes)).scatter_reduce(
        0, groups, rewards, "amax", include_self=False
    )
    lowest = rewards.new_zeros(len(sizes)).scatter_reduce(
        0, groups, rewards, "amin", include_self=False
    )
    return highest == lowest


def _groups(group_ids: Tensor) -> tuple[Tensor, Tensor]:
    """Group number of each response [N], and the size of each group."""
    _, groups, sizes = torch.unique(group_ids, return_inverse=True, return_counts=True)
    return groups, sizes


def _sum_by_group(values: Tensor, groups: Tensor, sizes: Tensor) -> Tensor:
    return values.new_zeros(len(sizes)).index_add(0, groups, values)


def _std(values: Tensor) -> Tensor:
    """Unbiased standard deviation; 0 of fewer than two values."""
    return values.std() if len(values) > 1 else values.new_zeros(())
