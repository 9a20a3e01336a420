"""One step's experience: sample groups of responses, verify and reward them, share over ranks."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from training.answers import Outcome, Verifier
from training.recipe.stages import RewardRecipe
from training.records import Problem
from training.rl.rewards import total_rewards
from training.rollout.protocol import Prompt, Response, RolloutEngine, SamplingSettings
from training.runtime import device
from training.runtime.failures import phase


@dataclass(frozen=True)
class Experience:
    """Rewarded responses of all ranks, grouped by prompt: N = prompts x G.

    Attributes:
        problems: What was asked, one a group.
        responses: N responses; `prompt_index` is the problem's.
        outcomes: The verifier's verdict on each response, N.
        rewards: Weighted totals [N].
        reward_parts: Unweighted, by kind of reward, each [N].
        seconds_rollout: Sampling, on the slowest rank.
        seconds_reward: Verification and rewards, on the slowest rank.
    """

    problems: list[Problem]
    responses: list[Response]
    outcomes: list[Outcome]
    rewards: torch.Tensor
    reward_parts: dict[str, torch.Tensor]
    seconds_rollout: float
    seconds_reward: float

    @property
    def group_ids(self) -> torch.Tensor:
        """Which problem each response answers [N]."""
        return torch.tensor([response.prompt_index for response in self.responses])

    @property
    def truncated(self) -> torch.Tensor:
        """Which responses reached the longest length without an end [N], bool."""
        return torch.tensor([response.truncated for response in self.responses])

    @property
    def lengths_tokens(self) -> torch.Tensor:
        """Tokens of each response [N]."""
        return torch.tensor([len(response.token_ids) for response in self.responses])


@phase("sampling")
def collect(
    engine: RolloutEngine,
    verifier: Verifier,
    problems: Sequence[Problem],
    settings: SamplingSettings,
    *,
    rewards: Sequence[RewardRecipe],
    generator: torch.Generator,
) -> Experience:
    """Samples and rewards G responses to each problem; each rank does its share of the problems.

    Args:
        engine: Samples from the newest weights.
        verifier: Decides whether an answer is right.
        problems: The same on every rank.
        settings: How responses are drawn.
        rewards: The recipe's weighted list.
        generator: This rank's source of randomness.

    Returns:
        The experience of all ranks, in the order of `problems`, on every rank.
    """
    own = range(device.rank(), len(problems), device.world_size())
    start = time.monotonic()
    prompts = [Prompt(problems[i]["question"], problems[i]["images"]) for i in own]
    responses = engine.generate(prompts, settings, generator)
    responses = [replace(r, prompt_index=own[r.prompt_index]) for r in responses]
    sampled = time.monotonic()
    asked = [problems[response.prompt_index] for response in responses]
    texts = [response.text for response in responses]
    outcomes = verifier.verify(
        texts, [each["answer"] for each in asked], [each["question"] for each in asked]
    )
    lengths = [len(response.token_ids) for response in responses]
    totals, parts = total_rewards(texts, lengths, outcomes, rewards, asked)
    experience = Experience(
        list(problems),
        responses,
        outcomes,
        totals,
        parts,
        seconds_rollout=sampled - start,
        seconds_reward=time.monotonic() - sampled,
    )
    return _in_order(device.gather_from_all_ranks(experience))


def _in_order(ranks: Sequence[Experience]) -> Experience:
    """Puts the ranks' shares of one list of problems together, in the order of the problems."""
    joined = _join(ranks, ranks[0].problems)
    order = sorted(range(len(joined.responses)), key=lambda i: joined.responses[i].prompt_index)
    return replace(
        joined,
        responses=[joined.responses[i] for i in order],
        outcomes=[joined.outcomes[i] for i in order],
        rewards=joined.rewards[order],
        reward_parts={kind: part[order] for kind, part in joined.reward_parts.items()},
        seconds_rollout=max(rank.seconds_rollout for rank in ranks),
        seconds_reward=max(rank.seconds_reward for rank in ranks),
    )


def append(first: Experience, second: Experience) -> Experience:
    """Adds the experience of further problems, whose groups are numbered on."""
    offset = len(first.problems)
    moved = [replace(r, prompt_index=r.prompt_index + offset) for r in second.responses]
    parts = [first, replace(second, responses=moved)]
    return replace(
        _join(parts, [*first.problems, *second.problems]),
        seconds_rollout=first.seconds_rollout + second.seconds_rollout,
        seconds_reward=first.seconds_reward + second.seconds_reward,
    )


def _join(parts: Sequence[Experience], problems: list[Problem]) -> Experience:
    return replace(
        parts[0],
        problems=problems,
        responses=[response for part in parts for response in part.responses],
        outcomes=[outcome for part in parts for outcome in part.outcomes],
        rewards=torch.cat([part.rewards for part in parts]),
        reward_parts={
            kind: torch.cat([part.reward_parts[kind] for part in parts])
            for kind in parts[0].reward_parts
        },
    )
