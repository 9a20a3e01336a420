"""The top-p nucleus, defined once for the sampler and the trainer."""

import torch

from training.runtime import device


def nucleus_floor(probs: torch.Tensor, top_p: float) -> torch.Tensor:
    """The least probability inside the nucleus, per row.

    The nucleus is the smallest set of most likely tokens whose mass reaches `top_p` (Holtzman et
    al. 2020, section 3.1): a token belongs to it if those before it do not reach `top_p` yet.

    Args:
        probs: Distributions [T, V], without gradient.
        top_p: In (0, 1).

    Returns:
        [T, 1]; tokens of at least this probability are inside (equals of the last one too).
    """
    ranked = device.sort_descending(probs)
    before = ranked.cumsum(dim=-1) - ranked
    last = (before < top_p).sum(dim=-1, keepdim=True) - 1
    return ranked.gather(-1, last)
