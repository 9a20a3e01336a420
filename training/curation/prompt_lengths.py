"""How long prompts are, as a policy sees them."""

from collections.abc import Sequence

from training.model import family
from training.model.encoding import conversations, encode_prompt
from training.model.policy import Policy
from training.rollout.protocol import Prompt


def count_prompt_tokens(policy: Policy, prompts: Sequence[Prompt]) -> list[int]:
    """Tokens of each prompt, those of its images included.

    Prompts without images are cut into tokens all at once, which takes a fraction of the time.

    Raises:
        DataError: See `training.model.encoding.conversations`.
    """
    lengths = [0] * len(prompts)
    places = [place for place, prompt in enumerate(prompts) if not prompt.images]
    texts = conversations(policy, [prompts[place] for place in places])
    for place, ids in zip(places, _token_ids(policy, texts), strict=True):
        lengths[place] = len(ids)
    for place, prompt in enumerate(prompts):
        if prompt.images:
            lengths[place] = len(encode_prompt(policy, prompt).token_ids)
    return lengths


def _token_ids(policy: Policy, texts: Sequence[str]) -> list[Sequence[int]]:
    """The tokens of each conversation; those that are cut alike are cut at once."""
    settings = [family.special_token_settings(policy.tokenizer, text) for text in texts]
    found: list[Sequence[int]] = [()] * len(texts)
    for setting in (dict[str, bool](), {"add_special_tokens": False}):
        places = [place for place, one in enumerate(settings) if one == setting]
        if places:
            made = policy.tokenizer([texts[place] for place in places], **setting)
            for place, ids in zip(places, made["input_ids"], strict=True):
                found[place] = ids
    return found
