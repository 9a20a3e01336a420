"""What a sampler leaves out of a distribution, defined once for the sampler and the trainer."""

from dataclasses import dataclass

import torch

from training.runtime import device

# A peaked distribution's nucleus lies within so many tokens, which cost less to find than 152,064
# to sort (`bench/nucleus.py`). Rows that need more are sorted as a whole.
NUM_RANKED = 1024
# Sums in float32 may fall by an ulp from one token to the next: a row whose mass passes `top_p` by
# less is sorted as a whole, so that a count over all of its tokens cannot come out otherwise.
MARGIN = 1e-6


@dataclass(frozen=True)
class Truncation:
    """Which tokens can be drawn; applied in the order of vLLM, each to what the last one has left.

    Attributes:
        min_p: No token of less than this times the largest probability (arXiv 2407.01082); 0 for
            all.
        top_k: The most likely tokens, so many of them and the last one's equals; 0 for all.
        top_p: The nucleus, see `nucleus_floor`; 1 for all.
    """

    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0

    @property
    def is_none(self) -> bool:
        """Whether every token can be drawn."""
        return self.top_p >= 1.0 and self.top_k == 0 and self.min_p == 0.0


def outside(probs: torch.Tensor, truncation: Truncation) -> torch.Tensor:
    """Marks the tokens that a truncated sampler never draws [T, V].

    Args:
        probs: Distributions after temperature [T, V], without gradient.
        truncation: What is left out.
    """
    is_out = torch.zeros_like(probs, dtype=torch.bool)
    if truncation.min_p > 0.0:
        is_out = probs < truncation.min_p * probs.amax(dim=-1, keepdim=True)
    if 0 < truncation.top_k < probs.shape[-1]:
        kept = probs.masked_fill(is_out, 0.0)
        is_out = is_out | (kept < kept.topk(truncation.top_k, dim=-1).values[..., -1:])
    if truncation.top_p < 1.0:
        kept = probs.masked_fill(is_out, 0.0)
        kept = kept / kept.sum(dim=-1, keepdim=True)
        is_out = is_out | (kept < nucleus_floor(kept, truncation.top_p))
    return is_out


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
    if probs.shape[-1] <= NUM_RANKED:
        return _floor(device.sort_descending(probs), top_p)
    ranked = device.largest(probs, NUM_RANKED)
    floor = _floor(ranked, top_p)
    # Written so that a sum that is not a number counts as short.
    is_short = ~(ranked.cumsum(dim=-1)[..., -1] > top_p + MARGIN)
    if is_short.any():
        floor[is_short] = _floor(device.sort_descending(probs[is_short]), top_p)
    return floor


def _floor(ranked: torch.Tensor, top_p: float) -> torch.Tensor:
    """The floor from probabilities in descending order, down to the nucleus' end at least."""
    before = ranked.cumsum(dim=-1) - ranked
    last = (before < top_p).sum(dim=-1, keepdim=True) - 1
    return ranked.gather(-1, last)
