"""What the parts compute with: the pocket base, problems with pictures, and a learner."""

from infra.settings import PROJECT_ROOT
from training.learner.learner import Learner
from training.model.encoding import TokenSequence, encode_prompt, encode_response
from training.model.policy import Policy, load_policy
from training.pocket.problems import generate
from training.recipe.recipe import HardwareRecipe, ModelRecipe
from training.recipe.stages import OptimizerRecipe
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


def new_learner(policy: Policy, zero_stage: int = 0, tokens_per_micro_batch: int = 2048) -> Learner:
    """A learner that takes large steps, so that a difference shows."""
    return Learner(
        policy,
        optimizer=OptimizerRecipe(learning_rate=1e-4),
        hardware=HardwareRecipe(zero_stage=zero_stage),
        num_updates=100,
        tokens_per_micro_batch=tokens_per_micro_batch,
    )
