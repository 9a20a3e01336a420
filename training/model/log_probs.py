"""Log-probabilities of tokens without the logits of the whole batch.

With a vocabulary of 152,064, float32 logits of 8,192 tokens take 5 GB, their log-softmax and
gradient as much again. Here the head, the log-softmax and their gradients are computed for a slice
of the vocabulary at a time; the backward pass recomputes a slice's logits instead of keeping them.
Slices of the vocabulary and not of the tokens: the products stay large enough to be fast, and each
slice of the head's gradient, the largest tensor here, is written once.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from training.model.nucleus import Truncation, outside

_CHUNK_LOGITS = 2**24  # float32 elements, 64 MiB
_SMALLEST_LOG = -1000.0  # stands for log 0: its exponential is 0 too, its products are finite
_LEAST = -1e30  # below every logit that a token can have


def token_log_probs(
    hidden: Tensor,
    head_weight: Tensor,
    targets: Tensor,
    *,
    temperature: float = 1.0,
    chunk_vocabulary: int | None = None,
    with_entropy: bool = False,
    banned_token_ids: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Computes log softmax(hidden @ head_weight.T / temperature)[targets], differentiable.

    Args:
        hidden: Last hidden states at the positions that predict the targets [T, D].
        head_weight: Weight of the LM head [V, D].
        targets: Token ids [T].
        temperature: The sampler's temperature, so that both mean the same distribution.
        chunk_vocabulary: Entries of the vocabulary for which the logits of all tokens exist at one
            time; by default 64 MiB of logits' worth.
        with_entropy: Also compute the entropy, in nats; costs one more pass over the logits.
        banned_token_ids: Ids that the sampler can't draw; they get probability zero.

    Returns:
        Log-probabilities [T] and entropies [T] (None unless asked for), float32.
    """
    chunk = chunk_vocabulary or _default_chunk(len(hidden))
    # torch does not type `apply`.
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
    truncation: Truncation,
    chunk_tokens: int | None = None,
    targets: Tensor | None = None,
    banned_token_ids: Tensor | None = None,
) -> Tensor:
    """Log of the probability of what a sampler can draw, to renormalise log-probabilities with.

    A sampler with top-p, top-k or min-p draws from a nucleus, renormalised. Comparing its
    log-probabilities with those of the full distribution biases the importance ratio (mean 0.9 at
    top-p 0.8);
    `log_prob - nucleus_log_mass` is the trainer's side of the same distribution. A token outside
    the nucleus has probability 0 there: its log-mass is infinite, so that the difference is log 0.

    Args:
        hidden: As in `token_log_probs` [T, D].
        head_weight: [V, D].
        temperature: The sampler's temperature.
        truncation: Which tokens are in the nucleus.
        chunk_tokens: Tokens whose logits exist at one time; by default 64 MiB of logits' worth.
        targets: Token ids [T]; None to take all of them for inside.
        banned_token_ids: Ids that the sampler can't draw.

    Returns:
        Log-masses [T], float32, at most 0 or infinite; zeros without truncation.
    """
    masses = torch.zeros(len(hidden), device=hidden.device)
    if truncation.is_none:
        return masses
    for rows in _chunks(len(hidden), chunk_tokens or _default_chunk(len(head_weight))):
        logits = _logits(hidden[rows], head_weight, temperature, banned_token_ids)
        probs = logits.softmax(-1)
        is_outside = outside(probs, truncation)
        masses[rows] = probs.masked_fill(is_outside, 0.0).sum(-1).log()
        if targets is not None:
            is_out = is_outside.gather(-1, targets[rows, None]).squeeze(-1)
            masses[rows] = masses[rows].masked_fill(is_out, torch.inf)
    return masses


class _Context(FunctionCtx):
    """Types of what a function's context holds; torch declares none of them."""

    saved_tensors: tuple[Tensor, ...]
    needs_input_grad: tuple[bool, ...]
    settings: tuple[float, int, bool, Tensor | None]


class _ChunkedLogProbs(torch.autograd.Function):
    """With z the logits, p = softmax(z), l = z_target - logsumexp(z) and H = -sum p log p.

    dl/dz_j = 1[j = target] - p_j, and dH/dz_j = -p_j (log p_j + H).
    """

    @staticmethod
    def forward(
        ctx: _Context,
        hidden: Tensor,
        head_weight: Tensor,
        targets: Tensor,
        temperature: float,
        chunk_vocabulary: int,
        with_entropy: bool,
        banned: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        log_probs = torch.zeros(len(hidden), device=hidden.device)
        zeros = torch.zeros_like(log_probs)
        sums = _Sums(torch.full_like(zeros, _LEAST), zeros, zeros)
        for columns in _chunks(len(head_weight), chunk_vocabulary):
            logits = _logits(hidden, head_weight[columns], temperature, _inside(banned, columns))
            rows, entries = _hits(targets, columns)
            log_probs[rows] = logits[rows, entries]
            sums = _add(sums, logits, with_entropy=with_entropy)
        normalizers = sums.maximum + sums.total.log()
        entropy = sums.total.log() - sums.moment / sums.total if with_entropy else zeros
        log_probs -= normalizers
        ctx.save_for_backward(hidden, head_weight, targets, normalizers, entropy)
        ctx.settings = temperature, chunk_vocabulary, with_entropy, banned
        if not with_entropy:
            ctx.mark_non_differentiable(entropy)
        return log_probs, entropy

    @staticmethod
    @once_differentiable
    def backward(
        ctx: _Context, grad_log_probs: Tensor, grad_entropy: Tensor
    ) -> tuple[Tensor | None, ...]:
        hidden, head_weight, targets, normalizers, entropy = ctx.saved_tensors
        temperature, chunk_vocabulary, with_entropy, banned = ctx.settings
        needs_hidden, needs_weight = ctx.needs_input_grad[:2]
        grad_hidden = torch.zeros_like(hidden, dtype=torch.float32) if needs_hidden else None
        grad_weight = torch.empty_like(head_weight) if needs_weight else None
        # Gradients of the logits over temperature, so that the large tensors need not be divided.
        grad_l = grad_log_probs / temperature
        grad_h = grad_entropy / temperature if with_entropy else None
        for columns in _chunks(len(head_weight), chunk_vocabulary):
            weight = head_weight[columns]
            log_p = _logits(hidden, weight, temperature, _inside(banned, columns))
            grad = _grad_logits(log_p.sub_(normalizers[:, None]), entropy, grad_l, grad_h)
            rows, entries = _hits(targets, columns)
            grad[rows, entries] += grad_l[rows]
            grad = grad.to(head_weight.dtype)
            if grad_hidden is not None:
                grad_hidden += grad @ weight
            if grad_weight is not None:
                torch.mm(grad.T, hidden, out=grad_weight[columns])
        if grad_hidden is not None:
            grad_hidden = grad_hidden.to(hidden.dtype)
        return grad_hidden, grad_weight, None, None, None, None, None


class _Sums(NamedTuple):
    """Over the vocabulary seen so far, m the largest logit: sums that give logsumexp and entropy.

    Attributes:
        maximum: m [T].
        total: sum exp(z - m) [T].
        moment: sum (z - m) exp(z - m) [T]; zero unless the entropy is asked for.
    """

    maximum: Tensor
    total: Tensor
    moment: Tensor


def _add(sums: _Sums, logits: Tensor, *, with_entropy: bool) -> _Sums:
    """Takes in the logits of further entries [T, C]; consumes them."""
    maximum = torch.maximum(sums.maximum, logits.amax(-1))
    rise = sums.maximum - maximum
    total, moment = rise.exp() * sums.total, sums.moment
    logits.sub_(maximum[:, None])
    if not with_entropy:
        return _Sums(maximum, total + logits.exp_().sum(-1), moment)
    exponentials = logits.exp()
    moment = rise.exp() * moment + rise.clamp(min=_SMALLEST_LOG) * total
    # A banned token has z = -inf and adds nothing: its product must be 0, not NaN.
    products = logits.clamp_(min=_SMALLEST_LOG).mul_(exponentials)
    return _Sums(maximum, total + exponentials.sum(-1), moment + products.sum(-1))


def _hits(targets: Tensor, columns: slice) -> tuple[Tensor, Tensor]:
    """The tokens whose targets lie within a slice of the vocabulary, and where in the slice."""
    rows = ((targets >= columns.start) & (targets < columns.stop)).nonzero().flatten()
    return rows, targets[rows] - columns.start


def _grad_logits(
    log_p: Tensor, entropy: Tensor, grad_l: Tensor, grad_entropy: Tensor | None
) -> Tensor:
    """-p (g_l + g_H (log p + H)), the gradient without the target's own term; consumes `log_p`."""
    if grad_entropy is None:
        return log_p.exp_().mul_(-grad_l[:, None])
    p = log_p.exp()
    # A banned token has p = 0 and log p = -inf: its product must be 0, not NaN.
    factor = log_p.clamp_(min=_SMALLEST_LOG).add_(entropy[:, None])
    return p.mul_(factor.mul_(grad_entropy[:, None]).add_(grad_l[:, None]).neg_())


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


def _default_chunk(length: int) -> int:
    """How much of one axis of the logits fits, the other having this length."""
    return max(_CHUNK_LOGITS // max(length, 1), 1)


def _chunks(length: int, chunk: int) -> list[slice]:
    return [slice(start, min(start + chunk, length)) for start in range(0, length, chunk)]
