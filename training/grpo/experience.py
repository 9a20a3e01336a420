"""One step's experience: sample groups of responses, verify and reward them, share over ranks.

All ranks have the problems, so that no image travels between them; and each makes tokens of its own
prompts alone, since that takes reading their images.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch

from training.answers import Outcome, Verifier
from training.model.encoding import EncodedPrompt, encode_prompts
from training.model.policy import Policy
from training.recipe.stages import RewardRecipe
from training.records import Problem
from training.rl.rewards import total_rewards
from training.rollout.protocol import Prompt, Response, RolloutEngine, SamplingSettings
from training.runtime import device
from training.runtime.failures import phase
from training.runtime.preemption import NEVER, Stop


@dataclass(frozen=True)
class Experience:
    """Rewarded responses of all ranks, grouped by prompt: N = prompts x G.

    Attributes:
        prompts: What was asked, as tokens, one a group.
        responses: N responses; `prompt_index` is the prompt's.
        outcomes: The verifier's verdict on each response, N.
        rewards: Weighted totals [N].
        reward_parts: Unweighted, by kind of reward, each [N].
        seconds_rollout: Sampling, on the slowest rank.
        seconds_reward: Verification and rewards, on the slowest rank.
    """

    prompts: list[EncodedPrompt]
    responses: list[Response]
    outcomes: list[Outcome]
    rewards: torch.Tensor
    reward_parts: dict[str, torch.Tensor]
    seconds_rollout: float
    seconds_reward: float

    @property
    def group_ids(self) -> torch.Tensor:
        """Which prompt each response answers [N]."""
        return torch.tensor([response.prompt_index for response in self.responses])

    @property
    def truncated(self) -> torch.Tensor:
        """Which responses reached the longest length without an end [N], bool."""
        return torch.tensor([response.truncated for response in self.responses])

    @property
    def lengths_tokens(self) -> torch.Tensor:
        """Tokens of each response [N]."""
        return torch.tensor([len(response.token_ids) for response in self.responses])


class _Tokens(NamedTuple):
    """See `EncodedPrompt`, of which only the images are missing."""

    token_ids: torch.Tensor
    token_types: torch.Tensor | None


@dataclass(frozen=True)
class _Share:
    """What a rank tells the others: see `Experience`; prompts and responses are its own.

    Attributes:
        tokens: Of its prompts, in order.
    """

    tokens: list[_Tokens]
    responses: list[Response]
    outcomes: list[Outcome]
    rewards: torch.Tensor
    reward_parts: dict[str, torch.Tensor]
    seconds_rollout: float
    seconds_reward: float


@phase("sampling")
def collect(
    engine: RolloutEngine,
    verifier: Verifier,
    problems: Sequence[Problem],
    settings: SamplingSettings,
    *,
    policy: Policy,
    rewards: Sequence[RewardRecipe],
    generator: torch.Generator,
    stop: Stop = NEVER,
) -> Experience:
    """Samples and rewards G responses to each problem; each rank does its share of the problems.

    Args:
        engine: Samples from the newest weights.
        verifier: Decides whether an answer is right.
        problems: The same on every rank.
        settings: How responses are drawn.
        policy: Its processor makes tokens of prompts.
        rewards: The recipe's weighted list.
        generator: This rank's source of randomness.
        stop: Looked at meanwhile.

    Returns:
        The experience of all ranks, in the order of `problems`, on every rank.

    Raises:
        Preempted: See `Stop`.
    """
    with stop.agreed():
        own = range(device.rank(), len(problems), device.world_size())
        start = time.monotonic()
        prompts = [Prompt(problems[i]["question"], problems[i]["images"]) for i in own]
        encoded = [*encode_prompts(policy, prompts)]
        responses = engine.generate(prompts, settings, generator, stop.is_told)
        responses = [replace(r, prompt_index=own[r.prompt_index]) for r in responses]
        sampled = time.monotonic()
        asked = [problems[response.prompt_index] for response in responses]
        texts = [response.text for response in responses]
        outcomes = verifier.verify(
            texts, [each["answer"] for each in asked], [each["question"] for each in asked]
        )
        lengths = [len(response.token_ids) for response in responses]
        totals, parts = total_rewards(texts, lengths, outcomes, rewards, asked)
        share = _Share(
            [_Tokens(prompt.token_ids, prompt.token_types) for prompt in encoded],
            responses,
            outcomes,
            totals,
            parts,
            seconds_rollout=sampled - start,
            seconds_reward=time.monotonic() - sampled,
        )
    return _in_order(problems, device.gather_from_all_ranks(share))


def _in_order(problems: Sequence[Problem], ranks: Sequence[_Share]) -> Experience:
    """Puts the ranks' shares of one list of problems together, in the order of the problems."""
    tokens = [ranks[i % len(ranks)].tokens[i // len(ranks)] for i in range(len(problems))]
    responses = [response for rank in ranks for response in rank.responses]
    outcomes = [outcome for rank in ranks for outcome in rank.outcomes]
    order = sorted(range(len(responses)), key=lambda i: responses[i].prompt_index)
    return Experience(
        prompts=[
            EncodedPrompt(ids, problem["images"], types)
            for (ids, types), problem in zip(tokens, problems, strict=True)
        ],
        responses=[responses[i] for i in order],
        outcomes=[outcomes[i] for i in order],
        rewards=torch.cat([rank.rewards for rank in ranks])[order],
        reward_parts={
            kind: torch.cat([rank.reward_parts[kind] for rank in ranks])[order]
            for kind in ranks[0].reward_parts
        },
        seconds_rollout=max(rank.seconds_rollout for rank in ranks),
        seconds_reward=max(rank.seconds_reward for rank in ranks),
    )


def append(first: Experience, second: Experience) -> Experience:
    """Adds the experience of further problems, whose groups are numbered on."""
    offset = len(first.prompts)
    moved = [replace(r, prompt_index=r.prompt_index + offset) for r in second.responses]
    return Experience(
        prompts=[*first.prompts, *second.prompts],
        responses=[*first.responses, *moved],
        outcomes=[*first.outcomes, *second.outcomes],
        rewards=torch.cat([first.rewards, second.rewards]),
        reward_parts={
            kind: torch.cat([part, second.reward_parts[kind]])
            for kind, part in first.reward_parts.items()
        },
        seconds_rollout=first.seconds_rollout + second.seconds_rollout,
        seconds_reward=first.seconds_reward + second.seconds_reward,
    )
