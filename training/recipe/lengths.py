"""Whether a response leaves room for its prompt where a model answers."""

from collections.abc import Iterator


def no_room(
    room: int, section: str, max_response_tokens: int, max_prompt_tokens: int = 1
) -> Iterator[str]:
    """What is wrong with a section's `max_response_tokens`, with the fix; nothing where it fits.

    Args:
        room: Tokens of a prompt and its response together.
        section: Of the recipe, which has that field.
        max_response_tokens: Its value.
        max_prompt_tokens: Of the longest prompt that is asked.
    """
    if max_prompt_tokens + max_response_tokens <= room:
        return
    fix = "lower it, or raise vLLM's rollout.max_length_tokens where the model holds more"
    if max_prompt_tokens > 1 and max_response_tokens < room:
        fix += f", or set curation.max_prompt_tokens to at most {room - max_response_tokens}"
    yield (
        f"{section}: max_response_tokens ({max_response_tokens}) must leave room for prompts of "
        f"{max_prompt_tokens} token(s) in {room}, which prompt and response share; {fix}"
    )
