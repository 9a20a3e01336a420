"""The diagnostics of one RL step, by the names that metrics.jsonl uses."""

from collections.abc import Mapping, Sequence

import torch

from training.answers import count_outcomes
from training.grpo.experience import Experience
from training.grpo.selection import drawn_from
from training.learner.learner import UpdateResult
from training.recipe.stages import RlStage
from training.rl.advantages import zero_variance_fraction
from training.rl.arms import Batch, is_real_draw
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
    "outside_nucleus_fraction",
    "entropy",
)


def experience_metrics(experience: Experience) -> dict[str, Metric]:
    """The sampled responses: rewards, lengths, verdicts, speed."""
    num_responses = len(experience.responses)
    outcomes = count_outcomes(experience.outcomes)
    lengths = experience.lengths_tokens.float()
    truncated = sum(response.truncated for response in experience.responses)
    return {
        "reward": float(experience.rewards.mean()),
        "reward_std": float(experience.rewards.std(correction=0)),
        "accuracy": outcomes["right"] / num_responses,
        **{f"reward_{k}": float(part.mean()) for k, part in experience.reward_parts.items()},
        "response_length_tokens": float(lengths.mean()),
        "truncated_fraction": truncated / num_responses,
        "duplicate_fraction": _num_duplicates(experience) / num_responses,
        **{f"verification_{outcome}": count for outcome, count in outcomes.items()},
        "seconds_rollout": experience.seconds_rollout,
        "seconds_reward": experience.seconds_reward,
        "rollout_tokens_per_second": float(lengths.sum()) / experience.seconds_rollout,
        "reward_tokens_per_second": float(lengths.sum()) / experience.seconds_reward,
    }


def _num_duplicates(experience: Experience) -> int:
    """Responses whose text an earlier response to the same problem has already."""
    responses = experience.responses
    return len(responses) - len({(one.prompt_index, one.text) for one in responses})


def selection_metrics(batch: Batch, selection: Selection, stage: RlStage) -> dict[str, Metric]:
    """The arm: how much of what was sampled can teach anything, and how much was taken.

    `real_draw` is 1 if the arm left something out of what it draws from; PAD does not in a step
    whose whole effective set is wanted, and is the filter then.
    """
    effective = effective_set(batch.advantages, low=stage.pad.low, high=stage.pad.high)
    return {
        "sampled_sequences": len(batch.advantages),
        "effective_fraction": len(effective) / len(batch.advantages),
        "zero_variance_fraction": zero_variance_fraction(batch.rewards, batch.group_ids),
        "selected_sequences": len(selection.indices),
        "effective_sample_size": effective_sample_size(selection.weights),
        "real_draw": int(is_real_draw(selection, len(drawn_from(batch, stage)))),
    }


def update_speed(results: Sequence[UpdateResult], seconds: float) -> dict[str, Metric]:
    """The speed of selection, scoring and updates, in response tokens with a forward pass."""
    num_tokens = sum(float(result.diagnostics["num_tokens"]) for result in results)
    return {"seconds_update": seconds, "update_tokens_per_second": num_tokens / seconds}


def update_metrics(results: Sequence[UpdateResult], stage: RlStage) -> dict[str, Metric]:
    """A step's optimizer steps; null where there is nothing to measure.

    What is a mean over tokens is one over the tokens that had a forward pass, those of
    `scored_sequences`; updates whose gradient was not finite are counted and left out.
    """
    applied = [result for result in results if result.applied]
    counts = {
        "skipped_update": int(not results),
        "nonfinite_updates": len(results) - len(applied),
        "scored_sequences": sum(int(r.diagnostics["num_sequences"]) for r in results),
    }
    if not applied:
        names = (*_MEASURED_BY_UPDATES, *(("kl_reference",) if stage.kl else ()))
        return counts | dict.fromkeys(names)
    sums: Mapping[str, torch.Tensor] = {
        name: torch.stack([result.diagnostics[name] for result in applied]).sum()
        for name in applied[0].diagnostics
    }
    return {
        **counts,
        "loss": sum(result.loss for result in applied) / len(applied),
        "grad_norm": sum(result.grad_norm for result in applied) / len(applied),
        "learning_rate": applied[-1].learning_rate,
        **mean_diagnostics(sums),
    }
