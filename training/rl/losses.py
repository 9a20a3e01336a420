"""Policy-gradient losses: clipped surrogate, CISPO and GSPO, KL, entropy, sampler correction.

Shapes: S sequences of a micro-batch, right-padded to L response tokens. What `mask` hides is never
read, not even NaN. Every loss is a sum over the micro-batch divided by a normaliser of the whole
mini-batch, so losses and gradients of micro-batches, and of ranks, add up to the same result
however the batch is cut.

Every selected sequence counts, as in TRL: one whose advantage is zero is in the denominator, and
feels the KL term and the entropy bonus. Without those two it adds nothing else, so the caller can
spare its forward pass; whether it was to be selected at all is the arm's choice (`arms.py`).

No log-probabilities, however far apart, give a loss or a gradient that is not finite: log-ratios
and k3 are clamped, and dual clip bounds what a negative advantage can weigh.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from training.recipe.loss import KL_CAP, Aggregation, CorrectionRecipe, KlEstimator, LossRecipe

LEAST_LOG_PROB = -1e4  # stands for anything less likely, also for log 0


def policy_loss(
    log_probs: Tensor,
    old_log_probs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    normalizer: float,
    settings: LossRecipe,
    entropy_coefficient: float = 0.0,
    reference_log_probs: Tensor | None = None,
    entropy: Tensor | None = None,
    sampler_log_probs: Tensor | None = None,
    nucleus_log_mass: Tensor | None = None,
    sequence_weights: Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """A micro-batch's share of the loss, and sums for diagnostics.

    Args:
        log_probs: Of the policy, with gradient [S, L].
        old_log_probs: Of the policy before the first update on this batch [S, L]; at that first
            update `log_probs.detach()` is the same.
        advantages: [S].
        mask: True at response tokens [S, L].
        normalizer: `loss_normalizer` of the whole mini-batch, all micro-batches and ranks.
        settings: Which terms, with which weights.
        entropy_coefficient: Weight of the entropy bonus at this update.
        reference_log_probs: Of the reference policy [S, L]; needed for the KL term.
        entropy: Of the policy at each position, nats [S, L]; needed, with gradient, for the bonus.
        sampler_log_probs: What the rollout engine reported, after temperature and top-p [S, L].
        nucleus_log_mass: Log-mass of the trainer's nucleus [S, L], so that the ratio to the
            sampler compares two renormalised distributions, and infinite where the token lies
            outside, which has probability 0 there; None if the sampler truncates nothing.
        sequence_weights: Weight of each sequence's terms [S], such as the inverse inclusion
            probabilities that undo the bias of PAD's selection; the normaliser then counts the
            set drawn from.

    Returns:
        The loss, a scalar, and detached sums over tokens for `mean_diagnostics`, with
        `num_tokens` and `num_sequences` of this micro-batch.

    Raises:
        ValueError: A term is asked for without its input, or `normalizer` is not positive.
    """
    if normalizer <= 0.0:
        raise ValueError("nothing to learn from: skip the update when the normalizer is 0")
    bound = settings.log_ratio_bound
    log_probs = _readable(log_probs, mask)
    log_ratio = log_probs - _readable(old_log_probs, mask)
    if settings.ratio_level == "sequence":
        log_ratio = _sequence_mean(log_ratio, mask).expand_as(log_ratio)
    log_ratio = log_ratio.clamp(-bound, bound)
    ratio = log_ratio.exp()
    signal = advantages[:, None]

    low, high = 1.0 - settings.clip_low, 1.0 + settings.clip_high
    if settings.surrogate == "cispo":
        terms = -ratio.detach().clamp(max=high) * signal * log_probs
    else:
        surrogate = torch.minimum(ratio * signal, ratio.clamp(low, high) * signal)
        bounded = torch.maximum(surrogate, settings.dual_clip * signal)
        terms = -torch.where(signal < 0, bounded, surrogate)
    diagnostics = {
        "clip_low_fraction": (ratio < low) & (signal < 0),
        "clip_high_fraction": (ratio > high) & (signal > 0),
    }

    if sampler_log_probs is not None:
        gap = (_readable(old_log_probs, mask) - _readable(sampler_log_probs, mask)).detach()
        outside = torch.zeros_like(mask)
        if nucleus_log_mass is not None:
            outside = mask & nucleus_log_mass.isposinf()
            gap = gap - nucleus_log_mass.masked_fill(~mask | outside, 0.0)
        gap = gap.clamp(-bound, bound)
        correction, raw = sampler_correction(gap, mask, outside, settings=settings.correction)
        terms = terms * correction
        # The sampler drew the tokens, so k3 of this gap estimates KL(sampler || trainer).
        diagnostics["sampler_kl"] = gap.expm1() - gap
        diagnostics["importance_ratio_mean"] = raw
        diagnostics["outside_nucleus_fraction"] = outside
    if settings.kl is not None and reference_log_probs is not None:
        kl = kl_divergence(
            log_probs,
            _readable(reference_log_probs, mask),
            estimator=settings.kl.estimator,
            bound=bound,
            cap=settings.kl.cap,
        )
        diagnostics["kl_reference"] = kl
        terms = terms + settings.kl.coefficient * kl
    elif settings.kl is not None:
        raise ValueError("the KL term needs reference_log_probs")
    if entropy is not None:
        entropy = entropy.masked_fill(~mask, 0.0)
        diagnostics["entropy"] = entropy
        terms = terms - entropy_coefficient * entropy
    elif entropy_coefficient > 0.0:
        raise ValueError("the entropy bonus needs the entropy")

    if sequence_weights is not None:
        terms = terms * sequence_weights[:, None]
    loss = _aggregate(terms, mask, settings.aggregation) / normalizer
    sums = {name: value.masked_fill(~mask, 0).sum() for name, value in diagnostics.items()}
    sums["num_tokens"], sums["num_sequences"] = mask.sum(), torch.tensor(float(len(mask)))
    return loss, {name: value.detach().double() for name, value in sums.items()}


def loss_normalizer(
    lengths_tokens: Tensor, *, aggregation: Aggregation, max_response_tokens: int
) -> float:
    """The loss's denominator; the values of parts of a batch add up to that of the whole.

    Args:
        lengths_tokens: Of every selected response [N], those with a zero advantage included.
        aggregation: Which mean.
        max_response_tokens: The constant length of `dr_grpo`.
    """
    if aggregation == "token_mean":
        return float(lengths_tokens.sum())
    num_sequences = float(len(lengths_tokens))
    return num_sequences * max_response_tokens if aggregation == "dr_grpo" else num_sequences


def kl_divergence(
    log_probs: Tensor,
    reference: Tensor,
    *,
    estimator: KlEstimator,
    bound: float = 20.0,
    cap: float = KL_CAP,
) -> Tensor:
    """Estimates KL(policy || reference) from the policy's own samples (Schulman 2020).

    With r = reference / policy: k1 = -log r is unbiased, but its gradient averages to zero, so as
    a loss it only adds noise; k2 = (log r)^2 / 2 has the gradient of this KL; k3 = r - 1 - log r,
    which the paper uses, is never negative and of low variance, and its gradient is that of the
    opposite KL(reference || policy), the same to first order near the reference.

    Args:
        log_probs: Of the sampled tokens under the policy, any shape.
        reference: Of the same tokens under the reference, same shape.
        estimator: `k1`, `k2` or `k3`.
        bound: log r is clamped to +-this.
        cap: Largest value of k3, whose exponential a single token could let run away.
    """
    log_r = (reference - log_probs).clamp(-bound, bound)
    if estimator == "k1":
        return -log_r
    if estimator == "k2":
        return 0.5 * log_r.square()
    return (log_r.expm1() - log_r).clamp(max=cap)


def sampler_correction(
    gap: Tensor, mask: Tensor, outside: Tensor, *, settings: CorrectionRecipe
) -> tuple[Tensor, Tensor]:
    """Importance weights for tokens that another engine sampled (TIS, MIS).

    Args:
        gap: Trainer's minus sampler's log-probabilities, zero outside `mask` [S, L].
        mask: [S, L].
        outside: Tokens that the trainer's own nucleus does not hold [S, L]: their ratio is 0. A
            sequence's mean of logs keeps their plain ratio: one such token, which the rounding
            of two engines can make, would erase the whole sequence.
        settings: The correction's kind, level and cap.

    Returns:
        The weight and the ratio before truncation, both [S, L].
    """
    if settings.level == "sequence":
        ratio = _sequence_mean(gap, mask).expand_as(gap).exp()
    else:
        ratio = gap.exp().masked_fill(outside, 0.0)
    if settings.kind == "truncate":
        return ratio.clamp(max=settings.cap), ratio
    if settings.kind == "mask":
        return ratio.masked_fill(ratio > settings.cap, 0.0), ratio
    return torch.ones_like(ratio), ratio


def mean_diagnostics(sums: Mapping[str, Tensor]) -> dict[str, float]:
    """Means over tokens from the (added up) sums of `policy_loss`; empty without tokens."""
    num_tokens = sums["num_tokens"].item()
    if num_tokens == 0:
        return {}
    return {
        name: value.item() / num_tokens
        for name, value in sums.items()
        if not name.startswith("num_")
    }


def _readable(log_probs: Tensor, mask: Tensor) -> Tensor:
    """Zero where the mask hides it, and finite everywhere, so that differences are numbers."""
    return log_probs.masked_fill(~mask, 0.0).clamp(min=LEAST_LOG_PROB)


def _aggregate(terms: Tensor, mask: Tensor, aggregation: Aggregation) -> Tensor:
    """The loss's numerator: a sum over tokens, or over the sequences' means."""
    terms = terms.masked_fill(~mask, 0.0)
    return _sequence_mean(terms, mask).sum() if aggregation == "sequence_mean" else terms.sum()


def _sequence_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over tokens [S, 1] of values that are zero where the mask hides them [S, L]."""
    return values.sum(-1, keepdim=True) / mask.sum(-1, keepdim=True).clamp(min=1)
