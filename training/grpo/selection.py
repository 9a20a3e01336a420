"""Which of a step's responses an arm trains on, and which of those need a forward pass."""

import torch

from training.grpo.experience import Experience
from training.recipe.stages import RlStage
from training.rl import arms
from training.rl.advantages import group_advantages
from training.rl.arms import Batch, mask
from training.rl.pad import Selection


def batch_of(experience: Experience, stage: RlStage) -> Batch:
    """What the stage's arm selects from."""
    advantages = group_advantages(
        experience.rewards, experience.group_ids, scale=stage.advantage_scale
    )
    size = stage.prompts_per_step * stage.group_size
    batch = Batch(advantages, experience.rewards, experience.group_ids, size)
    return mask(batch, experience.truncated) if stage.mask_truncated else batch


def num_missing_prompts(batch: Batch, stage: RlStage) -> int:
    """How many further prompts a refill samples, at least 0: as if every answer were useful."""
    pad = stage.pad
    useful = arms.num_useful(batch, low=pad.low, high=pad.high, strategy=pad.strategy)
    return max(-(-(batch.size - useful) // stage.group_size), 0)


def distill_batch(
    batch: Batch, stage: RlStage, *, temperature: float, generator: torch.Generator
) -> Selection:
    """The arm's choice; every rank passes a generator in the same state."""
    pad = stage.pad
    return arms.select(
        batch,
        low=pad.low,
        high=pad.high,
        ratio=pad.ratio,
        temperature=temperature,
        generator=generator,
        strategy=pad.strategy,
    )


def drawn_from(batch: Batch, stage: RlStage) -> torch.Tensor:
    """The rows that the arm's selection stands for [K]."""
    pad = stage.pad
    return arms.population(batch, low=pad.low, high=pad.high, strategy=pad.strategy)


def parts_of(num_selected: int, num_updates: int, generator: torch.Generator) -> list[torch.Tensor]:
    """Deals a selection out to a step's updates, at random if there are several.

    Args:
        num_selected: K.
        num_updates: At most so many parts; fewer where fewer are selected.
        generator: In the same state on every rank.

    Returns:
        Indices of 0 to K - 1 for each update; none is empty.
    """
    num_parts = min(num_updates, num_selected)
    if num_parts < 2:
        return [torch.arange(num_selected)] * num_parts
    return list(torch.randperm(num_selected, generator=generator).tensor_split(num_parts))


def rows_with_gradient(advantages: torch.Tensor, stage: RlStage) -> torch.Tensor:
    """Which of an update's sequences need a forward pass, as indices; not empty.

    A zero advantage leaves a sequence nothing but its KL term and entropy bonus. Without them it
    counts in the denominator alone. If that holds for all, one of them carries the gradient of
    zero: AdamW still decays the weights and follows its momentum, as in plain GRPO.

    Args:
        advantages: Of the sequences of one update [K], K > 0.
        stage: Says which terms there are.
    """
    if stage.kl or stage.entropy:
        return torch.arange(len(advantages))
    live = advantages.nonzero().flatten()
    return live if len(live) else torch.zeros(1, dtype=torch.long)
