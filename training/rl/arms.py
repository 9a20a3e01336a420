"""What PAD is compared with: the arms of the ablation (Table 4) and the authors' released code."""

import torch
from torch import Tensor

# Constants of the authors' launch script (examples/main.sh, verl/trainer/ray_trainer.py).
RELEASED_EXPONENT = 1.5  # pad_alpha
RELEASED_RATIO = 1.5  # pad_sample_size_ratio


def uniform_draw(num_sequences: int, *, size: int, generator: torch.Generator) -> Tensor:
    """Draws `size` of `num_sequences` uniformly without replacement; ascending indices."""
    return torch.randperm(num_sequences, generator=generator)[:size].sort().values


def live_groups(advantages: Tensor, group_ids: Tensor | None) -> Tensor:
    """Keeps the groups in which some advantage is not zero (DAPO, arXiv 2503.14476, Eq. 11).

    Args:
        advantages: [N].
        group_ids: Which prompt each sequence answers [N].

    Raises:
        ValueError: `group_ids` is None.
    """
    if group_ids is None:
        raise ValueError("dynamic sampling drops whole groups: pass group_ids")
    return torch.isin(group_ids, group_ids[advantages != 0]).nonzero().flatten()


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
