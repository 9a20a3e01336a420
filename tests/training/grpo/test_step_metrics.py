"""The figures of a step's responses, counted by hand."""

import torch

from training.grpo.experience import Experience
from training.grpo.step_metrics import experience_metrics
from training.rollout.protocol import Response


def test_only_a_repetition_within_its_group_is_a_duplicate():
    """Two of six: `a` a second and a third time to one problem, not once to another."""
    answers = [(0, "a"), (0, "a"), (0, "a"), (0, "b"), (1, "a"), (1, "A")]
    experience = Experience(
        prompts=[],
        responses=[
            Response(index, torch.tensor([7]), torch.tensor([-0.5]), text, truncated=False)
            for index, text in answers
        ],
        outcomes=["right"] * 3 + ["timeout"] * 2 + ["wrong"],
        rewards=torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0]),
        reward_parts={},
        seconds_rollout=1.0,
        seconds_reward=1.0,
    )
    metrics = experience_metrics(experience)
    assert metrics["duplicate_fraction"] == 2 / 6
    assert (metrics["accuracy"], metrics["verification_timeout"]) == (0.5, 2)
