"""The diagnostics of one RL step, by the names that metrics.jsonl uses."""

from collections.abc import Mapping, Sequence

import torch

from training.answers import count_outcomes
from training.grpo.experience import Experience
from training.learner.learner import UpdateResult
from training.recipe.stages import RlStage
from training.rl.advantages import zero_variance_fraction
from training.rl.losses import mean_diagnostics
from training.rl.pad import Selection, effective_sample_size, effective_set
from training.runtime.metrics import Metric

_MEASURED_BY_UPDATES = (
    "loss",
    "grad_norm",
    "learning_rate",
    "clip_low_fraction",
    "clip_high_fraction",
    "importance_ratio_mean",
    "sampler_kl",
    "entropy",
)


def experience_metrics(experience: Experience) -> dict[str, Metric]:
    """Of the sampled responses: rewards, lengths, verdicts, speed."""
    num_responses = len(experience.responses)
    outcomes = count_outcomes(experience.outcomes)
    lengths = experience.lengths_tokens.float()
    truncated = sum(response.truncated for response in experience.responses)
    return {
        "reward": float(experience.rewards.mean()),
        "accuracy": outcomes["right"] / num_responses,
        **{f"reward_{k}": float(part.mean()) for k, part in experience.reward_parts.items()},
        "response_length_tokens": float(lengths.mean()),
        "truncated_fraction": truncated / num_responses,
        **{f"verification_{outcome}": count for outcome, count in outcomes.items()},
        "seconds_rollout": experience.seconds_rollout,
        "seconds_reward": experience.seconds_reward,
        "rollout_tokens_per_second": float(lengths.sum()) / experience.seconds_rollout,
        "reward_tokens_per_second": float(lengths.sum()) / experience.seconds_reward,
    }


def selection_metrics(
    experience: Experience, advantages: torch.Tensor, selection: Selection, stage: RlStage
) -> dict[str, Metric]:
    """Of PAD: how much of the batch can teach anything, and how much of that was taken."""
    effective = effective_set(advantages, low=stage.pad.low, high=stage.pad.high)
    return {
        "effective_fraction": len(effective) / len(advantages),
        "zero_variance_fraction": zero_variance_fraction(experience.rewards, experience.group_ids),
        "selected_sequences": len(selection.indices),
        "effective_sample_size": effective_sample_size(selection.weights),
    }


def update_speed(experience: Experience, selection: Selection, seconds: float) -> dict[str, Metric]:
    """Of selection, scoring and updates, in response tokens that were selected."""
    num_tokens = float(experience.lengths_tokens[selection.indices].sum())
    return {"seconds_update": seconds, "update_tokens_per_second": num_tokens / seconds}


def update_metrics(results: Sequence[UpdateResult], stage: RlStage) -> dict[str, Metric]:
    """Of a step's optimizer steps; null where a skipped update leaves nothing to measure."""
    if not results:
        names = (*_MEASURED_BY_UPDATES, *(("kl_reference",) if stage.kl else ()))
        return {"skipped_update": 1} | dict.fromkeys(names)
    sums: Mapping[str, torch.Tensor] = {
        name: torch.stack([result.diagnostics[name] for result in results]).sum()
        for name in results[0].diagnostics
    }
    return {
        "skipped_update": 0,
        "loss": sum(result.loss for result in results) / len(results),
        "grad_norm": sum(result.grad_norm for result in results) / len(results),
        "learning_rate": results[-1].learning_rate,
        **mean_diagnostics(sums),
    }
