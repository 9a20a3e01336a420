"""Drawing one token per row from logits: greedy, temperature, truncation."""

import torch

from training.model.nucleus import Truncation, outside


def draw_tokens(
    logits: torch.Tensor, uniforms: torch.Tensor, temperature: float, truncation: Truncation
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draws by inverting the cumulative distribution, one random number a row.

    Args:
        logits: [R, V] float32; -inf forbids a token.
        uniforms: Random numbers in [0, 1) [R], float64.
        temperature: 0 takes the most likely token.
        truncation: Which tokens can be drawn.

    Returns:
        Token ids [R] and their log-probabilities [R] under the distribution they were drawn
        from: with temperature, renormalised over what can be drawn; 0 where the draw is greedy.
    """
    if temperature == 0.0:
        greedy = logits.argmax(dim=-1)
        return greedy, torch.zeros_like(logits[:, 0])
    log_probs = torch.log_softmax(logits / temperature, dim=-1)
    if truncation.is_none:
        return _invert(log_probs, uniforms)
    log_probs = log_probs.masked_fill(outside(log_probs.exp(), truncation), -torch.inf)
    drawn, drawn_log_probs = _invert(log_probs, uniforms)
    return drawn, drawn_log_probs - log_probs.logsumexp(dim=-1)


def _invert(log_probs: torch.Tensor, uniforms: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The first entry whose cumulative mass exceeds the row's share of the total, and its value."""
    # float64: over a vocabulary of 150,000 tokens float32 sums lose the rare ones.
    cumulative = log_probs.double().exp().cumsum(dim=-1)
    total = cumulative[:, -1:].contiguous()
    drawn = torch.searchsorted(cumulative, uniforms[:, None] * total, right=True)
    # Rounding may carry a target up to the total: take the last entry that has any mass.
    last = torch.searchsorted(cumulative, total)
    drawn = torch.minimum(drawn, last)
    return drawn.squeeze(1), log_probs.gather(1, drawn).squeeze(1)
