"""Whether a sampler reads the tokens that the learner reads."""

from collections.abc import Sequence

from contracts.errors import ModelError
from training.model.encoding import encode_prompt
from training.model.policy import Policy
from training.rollout.protocol import Prompt


def check_tokens(policy: Policy, prompt: Prompt, theirs: Sequence[int]) -> None:
    """Refuses a sampler whose tokens of a prompt are not the learner's.

    Args:
        policy: Its processor makes the learner's.
        prompt: What was asked.
        theirs: The sampler's.

    Raises:
        ModelError: They differ.
    """
    ours = encode_prompt(policy, prompt).token_ids.tolist()
    if ours == list(theirs):
        return
    pairs = enumerate(zip(ours, theirs, strict=False))
    first = next((i for i, (one, other) in pairs if one != other), None)
    raise ModelError(
        f"vLLM makes {len(theirs)} tokens of a prompt, the model's processor "
        f"{len(ours)}; the first that differs is token {first}.",
        where=repr(prompt.question[:200]),
        rule="sampler and learner see the same tokens",
        fix="choose the engine transformers, or a family of docs/models.md",
    )
