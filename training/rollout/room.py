"""Whether a prompt and its longest response have room where a model answers: none is ever cut.

A sampling job counts a question without room as one without a response, for good. RL cannot go on
without one: curation keeps no prompt that has no room, and a recipe whose RL stages have less room
than curation's prompts need is refused when curation begins, and when such a stage does.
"""

from collections.abc import Iterable, Iterator, Sequence

from contracts.errors import DataError, RecipeError
from contracts.failures import TOO_LONG
from training.model.encoding import EncodedPrompt, encode_prompt, encode_prompts
from training.model.policy import Policy
from training.recipe.model import RolloutRecipe
from training.rollout.protocol import Finished, Prompt, Request, Sample


def room_tokens(policy: Policy, rollout: RolloutRecipe) -> int:
    """Tokens that a prompt and its response may have together: the recipe's bound or the model's.

    Args:
        policy: Whose prompts; its weights are not looked at.
        rollout: How it is sampled from.
    """
    if rollout.engine == "vllm" and rollout.max_length_tokens is not None:
        return rollout.max_length_tokens
    return int(policy.model.config.get_text_config().max_position_embeddings)


def refuse_crowded(wrong: Iterator[str]) -> None:
    """Refuses a recipe of which something is wrong with the room for a response.

    Args:
        wrong: See `training.recipe.lengths.no_room`.

    Raises:
        RecipeError: There is such a thing; the first is told.
    """
    for first in wrong:
        rule, _, fix = first.partition("; ")
        raise RecipeError(
            "There is no room for the responses that the recipe asks for.",
            where=f"recipe, {rule.partition(' (')[0]}",
            rule=rule,
            fix=fix,
        )


def too_long(num_prompt_tokens: int, max_response_tokens: int, room: int) -> str:
    """In words, that a prompt leaves no room for its longest response; empty where it does.

    Args:
        num_prompt_tokens: Of the prompt, those of its images included.
        max_response_tokens: Of the response.
        room: Tokens of both together.
    """
    if num_prompt_tokens + max_response_tokens <= room:
        return ""
    return (
        f"{TOO_LONG}: {num_prompt_tokens} tokens leave no room for a response of "
        f"{max_response_tokens} in {room}, the rollout's max_length_tokens or the model's own"
    )


def parted(
    policy: Policy, requests: Sequence[Request], room: int
) -> tuple[list[tuple[Request, EncodedPrompt]], list[Finished]]:
    """Requests with their prompts' tokens, and those that are too long, as a job counts them."""
    fitting, refused = list[tuple[Request, EncodedPrompt]](), list[Finished]()
    for request in requests:
        encoded = encode_prompt(policy, request.prompt)
        length = len(encoded.token_ids)
        if reason := too_long(length, request.settings.max_response_tokens, room):
            sample = Sample("", 0, truncated=False, failure=reason, num_prompt_tokens=length)
            refused.append((request, [sample] * request.settings.samples_per_prompt))
        else:
            fitting.append((request, encoded))
    return fitting, refused


def check_room(
    policy: Policy, prompts: Iterable[tuple[str, Prompt]], max_response_tokens: int, room: int
) -> None:
    """Refuses prompts of which one is too long.

    Args:
        policy: Whose prompts.
        prompts: What to call each by, and the prompt.
        max_response_tokens: Of a response.
        room: Tokens of both together.

    Raises:
        DataError: One leaves no room for its response.
    """
    named = [*prompts]
    encoded = encode_prompts(policy, [prompt for _, prompt in named])
    for (name, prompt), read in zip(named, encoded, strict=True):
        num_tokens = len(read.token_ids)
        if reason := too_long(num_tokens, max_response_tokens, room):
            raise DataError(
                f"P{reason[1:]}.",
                where=f"{name}: {prompt.question[:200]!r}",
                rule="prompts are never truncated",
                fix="raise rollout.max_length_tokens, up to what the model has, or lower "
                "max_response_tokens or curation.max_prompt_tokens",
            )
