"""Log-probabilities of tokens without the logits of the whole batch.

With a vocabulary of 152,064, float32 logits of 8,192 tokens take 5 GB, their log-softmax and
gradient as much again. Here the head, the log-softmax and their gradients are computed for a few
hundred tokens at a time; the backward pass recomputes a chunk's logits instead of keeping them.
"""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from training.nucleus import nucleus_floor

_CHUNK_LOGITS = 2**25  # float32 elements, 128 MiB
_SMALLEST_LOG = -1000.0  # stands for log 0: its exponential is 0 too, its products are finite


def token_log_probs(
    hidden: Tensor,
    head_weight: Tensor,
    targets: Tensor,
    *,
    temperature: float = 1.0,
    chunk_tokens: int | None = None,
    with_entropy: bool = False,
    banned_token_ids: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Computes log softmax(hidden @ head_weight.T / temperature)[targets], differentiable.

    Args:
        hidden: Last hidden states at the positions that predict the targets [T, D].
        head_weight: Weight of the LM head [V, D].
        targets: Token ids [T].
        temperature: The sampler's temperature, so that both mean the same distribution.
        chunk_tokens: Tokens whose logits exist at one time; by default 128 MiB of logits' worth.
        with_entropy: Also compute the entropy, in nats; costs one more pass over the logits.
        banned_token_ids: Ids that the sampler can't draw; they get probability zero.

    Returns:
        Log-probabilities [T] and entropies [T] (None unless asked for), float32.
    """
    chunk = _default_chunk(chunk_tokens, head_weight)
    # torch types neither `apply` nor what a function keeps on its context.
    log_probs, entropy = _ChunkedLogProbs.apply(  # type: ignore[no-untyped-call]
        hidden, head_weight, targets, temperature, chunk, with_entropy, banned_token_ids
    )
    return log_probs, entropy if with_entropy else None


@torch.no_grad()
def nucleus_log_mass(
    hidden: Tensor,
    head_weight: Tensor,
    *,
    temperature: float = 1.0,
    top_p: float,
    chunk_tokens: int | None = None,
    banned_token_ids: Tensor | None = None,
) -> Tensor:
    """Log of the probability that the top-p nucleus holds, to renormalise log-probabilities with.

    A sampler with top-p draws from the nucleus, renormalised. Comparing its log-probabilities
    with those of the full distribution biases the importance ratio (mean 0.9 at top-p 0.8);
    `log_prob - nucleus_log_mass` is the trainer's side of the same distribution.

    Args:
        hidden: As in `token_log_probs` [T, D].
        head_weight: [V, D].
        temperature: The sampler's temperature.
        top_p: The nucleus is the smallest set of most likely tokens whose probabilities sum to
            at least this.
        chunk_tokens: Tokens whose logits exist at one time; by default 128 MiB of logits' worth.
        banned_token_ids: Ids that the sampler can't draw.

    Returns:
        Log-masses [T], float32, at most 0; zeros if `top_p` is 1.
    """
    masses = torch.zeros(len(hidden), device=hidden.device)
    if top_p >= 1.0:
        return masses
    for rows in _chunks(len(hidden), _default_chunk(chunk_tokens, head_weight)):
        logits = _logits(hidden[rows], head_weight, temperature, banned_token_ids)
        probs = logits.softmax(-1)
        outside = probs < nucleus_floor(probs, top_p)
        masses[rows] = probs.masked_fill(outside, 0.0).sum(-1).log()
    return masses


class _ChunkedLogProbs(torch.autograd.Function):
    """With z the logits, p = softmax(z), l = z_target - logsumexp(z) and H = -sum p log p.

    dl/dz_j = 1[j = target] - p_j, and dH/dz_j = -p_j (log p_j + H).
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        hidden: Tensor,
        head_weight: Tensor,
        targets: Tensor,
        temperature: float,
        chunk_tokens: int,
        with_entropy: bool,
        banned: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        normalizers = torch.empty(len(hidden), device=hidden.device)
        log_probs = torch.empty_like(normalizers)
        entropy = torch.zeros_like(normalizers)
        for rows in _chunks(len(hidden), chunk_tokens):
            logits = _logits(hidden[rows], head_weight, temperature, banned)
            normalizers[rows] = logits.logsumexp(-1)
            log_probs[rows] = logits.gather(-1, targets[rows, None]).squeeze(-1)
            if with_entropy:
                entropy[rows] = _entropy(logits.sub_(normalizers[rows, None]))
        log_probs -= normalizers
        ctx.save_for_backward(hidden, head_weight, targets, normalizers, entropy)
        ctx.settings = temperature, chunk_tokens, with_entropy, banned  # type: ignore[attr-defined]
        if not with_entropy:
            ctx.mark_non_differentiable(entropy)
        return log_probs, entropy

    @staticmethod
    @once_differentiable
    def backward(
        ctx: FunctionCtx, grad_log_probs: Tensor, grad_entropy: Tensor
    ) -> tuple[Tensor | None, ...]:
        hidden, head_weight, targets, normalizers, entropy = ctx.saved_tensors  # type: ignore[attr-defined]
        temperature, chunk_tokens, with_entropy, banned = ctx.settings  # type: ignore[attr-defined]
        needs_hidden, needs_weight = ctx.needs_input_grad[:2]  # type: ignore[attr-defined]
        grad_hidden = torch.zeros_like(hidden, dtype=torch.float32) if needs_hidden else None
        grad_weight = torch.empty_like(head_weight) if needs_weight else None
        # With the normalisers known, the vocabulary can be cut instead of the tokens: each slice
        # of the weight's gradient, the largest tensor here, is then written once.
        chunk_vocabulary = max(chunk_tokens * len(head_weight) // max(len(hidden), 1), 1)
        for columns in _chunks(len(head_weight), chunk_vocabulary):
            weight = head_weight[columns]
            log_p = _logits(hidden, weight, temperature, _inside(banned, columns))
            grad = _grad_logits(
                log_p.sub_(normalizers[:, None]),
                entropy,
                grad_log_probs,
                grad_entropy if with_entropy else None,
            )
            hits = ((targets >= columns.start) & (targets < columns.stop)).nonzero().flatten()
            grad[hits, targets[hits] - columns.start] += grad_log_probs[hits]
            grad = grad.div_(temperature).to(head_weight.dtype)
            if grad_hidden is not None:
                grad_hidden += grad @ weight
            if grad_weight is not None:
                grad_weight[columns] = grad.T @ hidden
        if grad_hidden is not None:
            grad_hidden = grad_hidden.to(hidden.dtype)
        return grad_hidden, grad_weight, None, None, None, None, None


def _grad_logits(
    log_p: Tensor, entropy: Tensor, grad_l: Tensor, grad_entropy: Tensor | None
) -> Tensor:
    """-p (g_l + g_H (log p + H)), the gradient without the target's own term; consumes `log_p`."""
    p = log_p.exp()
    if grad_entropy is None:
        return p.mul_(-grad_l[:, None])
    # A banned token has p = 0 and log p = -inf: its product must be 0, not NaN.
    factor = log_p.clamp_(min=_SMALLEST_LOG).add_(entropy[:, None])
    return p.mul_(factor.mul_(grad_entropy[:, None]).add_(grad_l[:, None]).neg_())


def _entropy(log_p: Tensor) -> Tensor:
    """-sum p log p over the last axis, with 0 log 0 = 0; consumes `log_p`."""
    p = log_p.exp()
    return -p.mul_(log_p.clamp_(min=_SMALLEST_LOG)).sum(-1)


def _logits(
    hidden: Tensor, head_weight: Tensor, temperature: float, banned: Tensor | None
) -> Tensor:
    """Logits over temperature [T, V], float32."""
    logits = (hidden @ head_weight.T).float()
    if temperature != 1.0:
        logits /= temperature
    if banned is not None:
        logits[:, banned] = -torch.inf
    return logits


def _inside(ids: Tensor | None, columns: slice) -> Tensor | None:
    """The ids within a slice of the vocabulary, counted from its start."""
    if ids is None:
        return None
    inside: Tensor = ids[(ids >= columns.start) & (ids < columns.stop)] - columns.start
    return inside


def _default_chunk(chunk_tokens: int | None, head_weight: Tensor) -> int:
    return chunk_tokens or max(_CHUNK_LOGITS // len(head_weight), 1)


def _chunks(length: int, chunk: int) -> list[slice]:
    return [slice(start, min(start + chunk, length)) for start in range(0, length, chunk)]
