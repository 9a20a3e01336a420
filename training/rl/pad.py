"""Prioritized Advantage Distillation: Algorithm 1 of the paper (arXiv 2506.04207).

GRPO learns nothing from a sequence whose advantage is zero, and groups of equal rewards are full of
them. PAD trains on a subset: sequences whose |advantage| lies within two thresholds, drawn the more
often the larger it is. `distill` is the algorithm; what it is compared with, the authors' own code
included, is in `arms.py`.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Selection(NamedTuple):
    """The sequences to train on.

    Attributes:
        indices: Rows of the batch [k], ascending; empty if there is nothing to learn.
        weights: Inverse inclusion probabilities [k], float32. Over many draws the sum of
            weight x f over the selection averages to the sum of f over the set drawn from.
    """

    indices: Tensor
    weights: Tensor


def effective_set(advantages: Tensor, *, low: float, high: float) -> Tensor:
    """E = {i : T_low <= |A_i| <= T_high} (step 1), as ascending indices."""
    magnitudes = advantages.abs()
    return ((magnitudes >= low) & (magnitudes <= high)).nonzero().flatten()


def num_selected(num_sequences: int, num_effective: int, *, ratio: float) -> int:
    """How many sequences to draw: k' = min(ceil(rho N), |E|) (step 3)."""
    # 0.55 * 100 is 55.000000000000007 in floating point: its ceiling must still be 55.
    return min(math.ceil(ratio * num_sequences - 1e-9), num_effective)


def prioritized_draw(
    magnitudes: Tensor, *, size: int, temperature: float, generator: torch.Generator
) -> Selection:
    """Draws without replacement with P(i) proportional to exp(|A_i| / tau) (steps 2 and 3).

    The largest of |A_i| / tau + Gumbel noise are distributed exactly as successive draws from P
    without replacement (Yellott 1977), and no exponential is taken, so nothing overflows and the
    paper's special case of a zero denominator can't occur.

    Args:
        magnitudes: |A_i| of the effective set [E].
        size: k', at most E.
        temperature: tau.
        generator: Source of randomness.
    """
    logits = magnitudes.double() / temperature
    exponential = torch.empty_like(logits).exponential_(generator=generator)
    order = (logits - exponential.log()).argsort(descending=True, stable=True)
    chosen = order[:size].sort().values
    if size == len(order):
        return Selection(chosen, torch.ones(size))
    # Given the first key left out, each index passed with a probability known in closed form;
    # its inverse is an unbiased weight (Duffield et al. 2007; Kool et al. 2019).
    left_out = order[size]
    threshold = logits[left_out] - exponential[left_out].log()
    passed = -torch.expm1(-torch.exp(logits[chosen] - threshold))
    return Selection(chosen, (1 / passed).float())


def distill(
    advantages: Tensor,
    *,
    low: float,
    high: float,
    ratio: float,
    temperature: float,
    generator: torch.Generator,
    batch_size: int | None = None,
) -> Selection:
    """Algorithm 1: the paper's D', with the weights that would undo the bias of its draw.

    Args:
        advantages: One per sequence of the whole batch, all ranks [M].
        low: T_low, inclusive.
        high: T_high, inclusive. Must admit the minority outcome of a group: with 8 responses and
            0/1 rewards one right answer among seven wrong ones has an advantage of 2.47.
        ratio: rho, the share of the batch to keep.
        temperature: tau; small values prefer the largest advantages more sharply.
        generator: Source of randomness; every rank must pass one in the same state.
        batch_size: N, where a refill has sampled more than the batch, so that rho still means a
            share of what the recipe asks for; M if None.
    """
    effective = effective_set(advantages, low=low, high=high)
    num_sequences = len(advantages) if batch_size is None else batch_size
    size = num_selected(num_sequences, len(effective), ratio=ratio)
    drawn = prioritized_draw(
        advantages[effective].abs(), size=size, temperature=temperature, generator=generator
    )
    return Selection(effective[drawn.indices], drawn.weights)


def effective_sample_size(weights: Tensor) -> float:
    """(sum w)^2 / sum w^2 (Kish): how many equally weighted sequences the selection is worth."""
    total = weights.double().sum()
    return (total.square() / weights.double().square().sum()).item() if len(weights) else 0.0
