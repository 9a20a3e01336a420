"""Drawing one token per row from logits: greedy, temperature, nucleus."""

import torch


def draw_tokens(
    logits: torch.Tensor, uniforms: torch.Tensor, temperature: float, top_p: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draws by inverting the cumulative distribution, one random number a row.

    Args:
        logits: [R, V] float32; -inf forbids a token.
        uniforms: Random numbers in [0, 1) [R], float64.
        temperature: 0 takes the most likely token.
        top_p: The nucleus is the smallest set of most likely tokens whose mass reaches it
            (Holtzman et al. 2020, section 3.1).

    Returns:
        Token ids [R] and their log-probabilities [R] under the distribution they were drawn
        from: with temperature, renormalised over the nucleus; 0 where the draw is greedy.
    """
    if temperature == 0.0:
        greedy = logits.argmax(dim=-1)
        return greedy, torch.zeros_like(logits[:, 0])
    log_probs = torch.log_softmax(logits / temperature, dim=-1)
    if top_p == 1.0:
        return _invert(log_probs, uniforms)
    ordered, tokens = log_probs.sort(dim=-1, descending=True, stable=True)
    probs = ordered.exp()
    # A token belongs to the nucleus if those before it do not reach top_p yet.
    outside = probs.cumsum(dim=-1) - probs >= top_p
    ordered = ordered.masked_fill(outside, -torch.inf)
    drawn, drawn_log_probs = _invert(ordered, uniforms)
    mass = ordered.logsumexp(dim=-1)
    return tokens.gather(1, drawn[:, None]).squeeze(1), drawn_log_probs - mass


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
