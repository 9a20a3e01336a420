"""Scoring: a policy as a function from sequences to log-probabilities of their responses."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn

from training.model import family
from training.model.encoding import ImageInputs, MicroBatch, TokenSequence, collate
from training.model.log_probs import nucleus_log_mass, token_log_probs
from training.model.nucleus import Truncation
from training.model.policy import Policy
from training.runtime.ahead import ahead


@dataclass(frozen=True)
class ForwardSettings:
    """What a forward pass computes.

    Attributes:
        temperature: The sampler's temperature, so that both mean one distribution.
        truncation: The sampler's; the log-mass of what it can draw is computed as well.
        with_entropy: Whether to compute the entropy.
        bans_placeholders: Whether the tokens that a sampler can never draw have probability 0.
    """

    temperature: float = 1.0
    truncation: Truncation = Truncation()  # noqa: RUF009 - frozen
    with_entropy: bool = False
    bans_placeholders: bool = False


class TokenLogProbs(NamedTuple):
    """Measurements of the responses of a micro-batch, zero where `mask` is False.

    Attributes:
        log_probs: Of each response token [S, L], differentiable.
        mask: True where there is a token [S, L].
        entropy: Of the distribution each token was drawn from, nats [S, L].
        nucleus_log_mass: Log-probability of the sampler's nucleus, infinite at tokens outside; None
            without truncation [S, L].
    """

    log_probs: torch.Tensor
    mask: torch.Tensor
    entropy: torch.Tensor | None
    nucleus_log_mass: torch.Tensor | None


class ResponseLogProbs(NamedTuple):
    """Measurements of one response, without gradient.

    Attributes:
        log_probs: Of each token [L].
        nucleus_log_mass: Log-probability of the sampler's nucleus, infinite at tokens outside [L];
            None without truncation.
    """

    log_probs: torch.Tensor
    nucleus_log_mass: torch.Tensor | None


@dataclass(frozen=True)
class Scoring:
    """A policy whose log-probabilities are wanted, and how.

    Attributes:
        settings: What the forward pass computes.
        forward_pass: Another policy, such as the reference; None for the one being trained.
        around: What has to hold around each forward pass.
    """

    settings: ForwardSettings
    forward_pass: "ForwardPass | None" = None
    around: Callable[[], AbstractContextManager[None]] = nullcontext


class ForwardPass(nn.Module):
    """A policy's forward pass with the LM head in chunks, over response positions only."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.model = policy.model
        self._policy = policy
        self._banned = policy.forbidden_token_ids.to(policy.device)

    def forward(
        self, given: Sequence[TokenSequence] | MicroBatch, settings: ForwardSettings
    ) -> TokenLogProbs:
        """Computes one micro-batch: sequences, or what `collate` has made of them."""
        batch = given if isinstance(given, MicroBatch) else collate(self._policy, given)
        batch = batch.to(self._policy.device)
        mask = batch.response_mask
        rows, offsets = mask.nonzero(as_tuple=True)
        # The hidden state before a token predicts it.
        hidden = hidden_states(self._policy, batch)[
            rows, batch.prompt_lengths_tokens[rows] - 1 + offsets
        ]
        head_weight = self.model.get_output_embeddings().weight
        banned = self._banned if settings.bans_placeholders else None
        log_probs, entropy = token_log_probs(
            hidden,
            head_weight,
            batch.response_ids[mask],
            temperature=settings.temperature,
            with_entropy=settings.with_entropy,
            banned_token_ids=banned,
        )
        log_mass = None
        if not settings.truncation.is_none:
            log_mass = nucleus_log_mass(
                hidden.detach(),
                head_weight,
                temperature=settings.temperature,
                truncation=settings.truncation,
                targets=batch.response_ids[mask],
                banned_token_ids=banned,
            )
        return TokenLogProbs(
            _spread(log_probs, mask),
            mask,
            None if entropy is None else _spread(entropy, mask),
            None if log_mass is None else _spread(log_mass, mask),
        )


def hidden_states(policy: Policy, batch: MicroBatch) -> torch.Tensor:
    """The forward pass up to the language-model head, [S, T, D]."""
    inputs = image_arguments(policy, batch.token_ids, batch.images)
    hidden: torch.Tensor = policy.model.base_model(
        input_ids=batch.token_ids, use_cache=False, **inputs
    ).last_hidden_state
    return hidden


def image_arguments(
    policy: Policy, token_ids: torch.Tensor, images: ImageInputs | None
) -> dict[str, Any]:
    """What the model is called with beside token ids [S, T]: features, positions, token types."""
    if images is None:
        return {}
    model = policy.model
    features = family.image_features(model, images.pixels, images.num_visual_tokens, images.rows)
    return {
        "mm_encoder_outputs": {"image": features},
        **family.type_arguments(model, images.token_types),
        **family.position_arguments(
            model, token_ids, images.token_types, images.pixels, images.image_rows
        ),
    }


def _spread(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Puts flat values [T] where the mask [S, L] is True, zero elsewhere."""
    return values.new_zeros(mask.shape).masked_scatter(mask, values)


def collated(
    policy: Policy, sequences: Sequence[TokenSequence], rows: Sequence[list[int]]
) -> Iterator[tuple[list[int], MicroBatch]]:
    """Micro-batches with their rows, made one ahead of use; so are images that are not remembered.

    Args:
        policy: What it remembers of prompts.
        sequences: The global batch.
        rows: The micro-batches, as indices of `sequences`.
    """
    batches = ahead(lambda micro: collate(policy, [sequences[row] for row in micro]), rows)
    return zip(rows, batches, strict=True)


@torch.no_grad()
def forward_without_gradient(
    forward_pass: nn.Module,
    batches: Iterable[tuple[list[int], MicroBatch]],
    settings: ForwardSettings,
) -> dict[int, ResponseLogProbs]:
    """Computes some sequences' responses; returns them by row.

    Args:
        forward_pass: A `ForwardPass`, bare or wrapped by the learner.
        batches: See `collated`.
        settings: See `ForwardSettings`.
    """
    by_row: dict[int, ResponseLogProbs] = {}
    for micro, batch in batches:
        computed = forward_pass(batch, settings)
        log_mass = computed.nucleus_log_mass
        for i, row in enumerate(micro):
            mask = computed.mask[i]
            by_row[row] = ResponseLogProbs(
                computed.log_probs[i][mask], None if log_mass is None else log_mass[i][mask]
            )
    return by_row
