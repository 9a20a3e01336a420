"""One optimizer step's sequences in RL, with what the loss needs to know of each.

Only selected sequences get here, so that old and reference log-probabilities cost a forward pass
for these alone; and of these only the ones that have a gradient (`selection.rows_with_gradient`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from training.learner.learner import LossFunction
from training.model.encoding import TokenSequence
from training.model.forward import ResponseLogProbs, TokenLogProbs
from training.recipe.loss import LossRecipe
from training.recipe.stages import RlStage
from training.rl import schedules
from training.rl.losses import loss_normalizer, policy_loss


@dataclass(frozen=True)
class MiniBatch:
    """K sequences of all ranks.

    Attributes:
        sequences: Prompt and response, K.
        advantages: [K].
        sampler_log_probs: What the rollout engine reported, each [L].
        normalizer: The loss's denominator, see `normalizer_of`; it counts selected sequences that
            are not here, too.
        weights: Inverse inclusion probabilities [K]; None where the selection's bias is wanted.
        old: Log-probabilities before this step's first update, by row; None where this is the
            first update, whose own are the old ones.
        reference: Those of the stage's initial policy, by row; None without a KL term.
    """

    sequences: Sequence[TokenSequence]
    advantages: torch.Tensor
    sampler_log_probs: Sequence[torch.Tensor]
    normalizer: float
    weights: torch.Tensor | None = None
    old: Mapping[int, ResponseLogProbs] | None = None
    reference: Mapping[int, ResponseLogProbs] | None = None

    def loss_function(self, settings: LossRecipe, entropy_coefficient: float) -> LossFunction:
        """The loss of `training.rl.losses` on this batch, for the learner."""

        def loss(
            computed: TokenLogProbs, rows: list[int]
        ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
            device = computed.log_probs.device

            def pad(values: list[torch.Tensor]) -> torch.Tensor:
                flat = torch.cat(values).to(device)
                return torch.zeros_like(computed.log_probs).masked_scatter(computed.mask, flat)

            old_log_probs, log_mass = computed.log_probs.detach(), computed.nucleus_log_mass
            if self.old is not None:
                old_log_probs = pad([self.old[row].log_probs for row in rows])
                # The sampler drew from the old policy's nucleus, not from that of this update.
                masses = [self.old[row].nucleus_log_mass for row in rows]
                known = [mass for mass in masses if mass is not None]
                log_mass = pad(known) if known else None
            reference = self.reference
            return policy_loss(
                computed.log_probs,
                old_log_probs,
                self.advantages[rows].to(device),
                computed.mask,
                normalizer=self.normalizer,
                settings=settings,
                entropy_coefficient=entropy_coefficient,
                reference_log_probs=(
                    None if reference is None else pad([reference[row].log_probs for row in rows])
                ),
                entropy=computed.entropy,
                sampler_log_probs=pad([self.sampler_log_probs[row] for row in rows]),
                nucleus_log_mass=log_mass,
                sequence_weights=None if self.weights is None else self.weights[rows].to(device),
            )

        return loss


def normalizer_of(lengths_tokens: torch.Tensor, stage: RlStage) -> float:
    """The loss's denominator for a set of responses.

    Args:
        lengths_tokens: Of each response [M].
        stage: Says how the loss is aggregated.
    """
    return loss_normalizer(
        lengths_tokens,
        aggregation=stage.aggregation,
        max_response_tokens=stage.max_response_tokens,
    )


def entropy_coefficient(stage: RlStage, update: int) -> float:
    """Weight of the entropy bonus at one optimizer update of the stage (from 0)."""
    if stage.entropy is None:
        return 0.0
    return schedules.entropy_coefficient(
        update,
        coefficient=stage.entropy.coefficient,
        decay=stage.entropy.decay,
        warmup_updates=stage.entropy.warmup_updates,
        warmup=stage.entropy.warmup,
    )
