"""PAD and what it is compared with: the arms of the ablation (Table 4), and the released code.

An arm is the rows that it selects, and nothing else: every selected row counts in the loss's
denominator, in the KL term and in the entropy bonus. `pad` and `filter` select no row whose
advantage is zero, since T_low is positive; `none` and `random` do, as plain GRPO and TRL do.
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from training.rl.advantages import zero_variance_sequences
from training.rl.pad import Selection, distill, effective_set, num_selected

Strategy = Literal["pad", "filter", "random", "none", "dynamic", "released"]

# Constants of the authors' launch script (examples/main.sh, verl/trainer/ray_trainer.py).
RELEASED_EXPONENT = 1.5  # pad_alpha
RELEASED_RATIO = 1.5  # pad_sample_size_ratio


@dataclass(frozen=True)
class Batch:
    """What an arm selects from, all ranks together.

    Attributes:
        advantages: [M].
        rewards: [M].
        group_ids: Which prompt each sequence answers [M].
        size: N, the sequences that a step asks for; M is larger after a refill.
        masked: Rows that no arm may select [M]; None for none.
    """

    advantages: Tensor
    rewards: Tensor
    group_ids: Tensor
    size: int
    masked: Tensor | None = None


def mask(batch: Batch, rows: Tensor) -> Batch:
    """Leaves rows [M, bool] out of every arm, loss and denominator: DAPO's overlong filtering.

    Their rewards still count in their groups' means: a response that was cut off shows nothing
    about the end that it might have had, but its prompt was no easier for it.
    """
    return replace(batch, advantages=batch.advantages.masked_fill(rows, 0.0), masked=rows)


def select(
    batch: Batch,
    *,
    low: float,
    high: float,
    ratio: float,
    temperature: float,
    generator: torch.Generator,
    strategy: Strategy = "pad",
) -> Selection:
    """The sequences that an arm trains on, with the weights that would undo the choice's bias.

    Args:
        batch: What there is to select from.
        low: T_low; this and what follows as in `training.rl.pad.distill`.
        high: T_high.
        ratio: rho.
        temperature: tau.
        generator: Source of randomness.
        strategy: `pad` is Algorithm 1; `filter` all of E; `random` as many as `pad`, uniformly
            from the batch; `none` the whole batch, plain GRPO; `dynamic` all but zero-variance
            groups (DAPO; refilling is the caller's loop); `released` the authors' code.
    """
    if strategy == "pad":
        return distill(
            batch.advantages,
            low=low,
            high=high,
            ratio=ratio,
            temperature=temperature,
            generator=generator,
            batch_size=batch.size,
        )
    if strategy == "released":
        indices, weights = released_draw(batch.advantages, low=low, high=high, generator=generator)
        # The masked are among them only where the authors' code falls back to the whole batch.
        keeps = torch.isin(indices, _unmasked(batch, indices))
        return Selection(indices[keeps], weights[keeps])
    rows = population(batch, low=low, high=high, strategy=strategy)
    if strategy == "random":
        num_effective = len(effective_set(batch.advantages, low=low, high=high))
        size = num_selected(batch.size, num_effective, ratio=ratio)
        indices = rows[uniform_draw(len(rows), size=size, generator=generator)]
        return Selection(indices, torch.full((size,), len(rows) / max(size, 1)))
    return Selection(rows, torch.ones(len(rows)))


def population(batch: Batch, *, low: float, high: float, strategy: Strategy) -> Tensor:
    """The rows that `select` draws from [K], ascending; see there for the arguments.

    Over many draws a selection, weighted, stands for these rows: an unbiased gradient divides by
    the normaliser of all of them.
    """
    if strategy == "released":
        rows = released_set(batch.advantages, low=low, high=high)
    elif strategy in ("pad", "filter"):
        rows = effective_set(batch.advantages, low=low, high=high)
    elif strategy == "dynamic":
        rows = live_groups(batch)
    else:
        rows = torch.arange(len(batch.advantages))
    return _unmasked(batch, rows)


def _unmasked(batch: Batch, rows: Tensor) -> Tensor:
    return rows if batch.masked is None else rows[~batch.masked[rows]]


def num_useful(batch: Batch, *, low: float, high: float, strategy: Strategy) -> int:
    """How many rows a refill counts: the live groups' for `dynamic` (DAPO), else |E|."""
    if strategy == "dynamic":
        return len(population(batch, low=low, high=high, strategy=strategy))
    return len(effective_set(batch.advantages, low=low, high=high))


def is_real_draw(selection: Selection, num_drawn_from: int) -> bool:
    """Whether something was left out: otherwise PAD has trained on all of E, as `filter` does."""
    return len(set(selection.indices.tolist())) < num_drawn_from


def uniform_draw(num_sequences: int, *, size: int, generator: torch.Generator) -> Tensor:
    """Draws `size` of `num_sequences` uniformly without replacement; ascending indices."""
    return torch.randperm(num_sequences, generator=generator)[:size].sort().values


def live_groups(batch: Batch) -> Tensor:
    """Keeps the groups whose rewards differ, every row of them (DAPO, arXiv 2503.14476, Eq. 11)."""
    return (~zero_variance_sequences(batch.rewards, batch.group_ids)).nonzero().flatten()


def released_set(advantages: Tensor, *, low: float, high: float) -> Tensor:
    """The rows that the authors' code draws from: strict bounds, and everything if none is left."""
    inside = _strictly_inside(advantages.abs(), low, high)
    return inside if len(inside) else torch.arange(len(advantages))


def released_draw(
    advantages: Tensor, *, low: float, high: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The selection of the authors' code, its deviations from Algorithm 1 included.

    Strict bounds; weights |A|^1.5 instead of a softmax; 1.5 N draws with replacement whatever rho
    is; an empty effective set trains on the whole batch. With the script's bounds (0.03, 0.97) the
    minority outcome of a group of 8 is dropped except at 4 of 8.

    Returns:
        Indices, ascending, possibly repeated; and the inverse of each one's expected count.
    """
    magnitudes = advantages.abs()
    effective = _strictly_inside(magnitudes, low, high)
    if len(effective) == 0:
        return torch.arange(len(advantages)), torch.ones(len(advantages))
    powered = (magnitudes[effective].double() + 1e-8) ** RELEASED_EXPONENT
    probabilities = powered / powered.sum()
    size = int(len(advantages) * RELEASED_RATIO)
    drawn = torch.multinomial(probabilities, size, replacement=True, generator=generator)
    drawn = drawn.sort().values
    return effective[drawn], (1 / (size * probabilities[drawn])).float()


def _strictly_inside(magnitudes: Tensor, low: float, high: float) -> Tensor:
    return ((magnitudes > low) & (magnitudes < high)).nonzero().flatten()
