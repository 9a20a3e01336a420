"""One optimizer step's sequences in RL, with what the loss needs to know of each.

Only selected sequences get here, so that old and reference log-probabilities cost a forward pass
for these alone; and of these only the live ones, since a zero advantage contributes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from training.encoding import TokenSequence
from training.learner import LossFunction
from training.recipe_stages import RlStage
from training.rl import schedules
from training.rl.losses import LossSettings, loss_normalizer, policy_loss
from training.scoring import Scores


@dataclass(frozen=True)
class MiniBatch:
    """K sequences of all ranks.

    Attributes:
        sequences: Prompt and response, K.
        advantages: None of them zero [K].
        sampler_log_probs: What the rollout engine reported, each [L].
        old_log_probs: Of the policy before this step's first update, by row; None where this is
            the first update, whose own log-probabilities are the old ones.
        reference_log_probs: Of the stage's initial policy, by row; None without a KL term.
    """

    sequences: Sequence[TokenSequence]
    advantages: torch.Tensor
    sampler_log_probs: Sequence[torch.Tensor]
    old_log_probs: Mapping[int, torch.Tensor] | None = None
    reference_log_probs: Mapping[int, torch.Tensor] | None = None

    def loss_function(self, stage: RlStage, settings: LossSettings) -> LossFunction:
        """The loss of `training.rl.losses` on this batch, for the learner."""
        lengths = torch.tensor([len(log_probs) for log_probs in self.sampler_log_probs])
        normalizer = loss_normalizer(
            torch.arange(int(lengths.max())) < lengths[:, None],
            self.advantages,
            aggregation=stage.aggregation,
            max_response_tokens=stage.max_response_tokens,
        )

        def loss(scores: Scores, rows: list[int]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
            device = scores.log_probs.device

            def pad(values: Mapping[int, torch.Tensor] | Sequence[torch.Tensor]) -> torch.Tensor:
                flat = torch.cat([values[row].to(device) for row in rows])
                return torch.zeros_like(scores.log_probs).masked_scatter(scores.mask, flat)

            return policy_loss(
                scores.log_probs,
                scores.log_probs.detach()
                if self.old_log_probs is None
                else pad(self.old_log_probs),
                self.advantages[rows].to(device),
                scores.mask,
                normalizer=normalizer,
                settings=settings,
                reference_log_probs=(
                    None if self.reference_log_probs is None else pad(self.reference_log_probs)
                ),
                entropy=scores.entropy,
                sampler_log_probs=pad(self.sampler_log_probs),
                nucleus_log_mass=scores.nucleus_log_mass,
            )

        return loss


def loss_settings(stage: RlStage, step: int) -> LossSettings:
    """The recipe's loss at one step (from 0)."""
    entropy = stage.entropy
    return LossSettings(
        clip_low=stage.clip_low,
        clip_high=stage.clip_high,
        aggregation=stage.aggregation,
        kl_coefficient=stage.kl.coefficient if stage.kl else 0.0,
        kl_estimator=stage.kl.estimator if stage.kl else "k3",
        entropy_coefficient=schedules.entropy_coefficient(
            step,
            coefficient=entropy.coefficient,
            decay=entropy.decay,
            warmup_steps=entropy.warmup_steps,
        )
        if entropy
        else 0.0,
    )
