"""What the parts compute with: the pocket base, and problems with and without pictures."""

from infra.settings import PROJECT_ROOT
from training.model.encoding import TokenSequence, encode_prompt, encode_response
from training.model.policy import Policy, load_policy
from training.pocket.problems import generate
from training.recipe.model import ModelRecipe
from training.records import Modality, Problem
from training.rollout.protocol import Prompt

MODALITIES: tuple[Modality, ...] = ("text", "multimodal")
BASE = PROJECT_ROOT / "infra/models/pocket-base"


def new_policy(dtype: str) -> Policy:
    """The pocket base, on this process's device."""
    recipe = ModelRecipe.model_validate({"path": "unused", "dtype": dtype})
    return load_policy(BASE, recipe, system_prompt="Be brief.")


def new_problems(count: int) -> list[Problem]:
    """Every second one with a picture; the same ones on every rank."""
    texts, pictures = (
        generate(modality, "train", -(-count // 2), seed=0) for modality in MODALITIES
    )
    return [one for pair in zip(texts, pictures, strict=True) for one in pair][:count]


def prompt_of(problem: Problem) -> Prompt:
    """What a policy is asked."""
    return Prompt(problem["question"], problem["images"])


def new_batch(policy: Policy, count: int) -> list[TokenSequence]:
    """Traces to learn."""
    return [
        TokenSequence(
            encode_prompt(policy, prompt_of(one)), encode_response(policy, one["solution"] or "")
        )
        for one in new_problems(count)
    ]
