"""The plan's figures of one stage in a sentence, to stand beside those that were measured."""

from training.plan.machine import GIB, Machine, machine_here
from training.plan.plan import StagePlan, make_plan
from training.plan.sampling import SamplingPlan
from training.plan.shape import is_planned
from training.plan.table import gpu_rows
from training.recipe.recipe import Recipe


def figures_here(recipe: Recipe, stage: str) -> str:
    """The figures for this machine's GPUs, or why there are none."""
    import torch  # seconds, which other commands need not pay

    if not torch.cuda.is_available():
        return "none was made: there is no CUDA GPU here"
    return figures(recipe, stage, machine_here())


def figures(recipe: Recipe, stage: str, machine: Machine) -> str:
    """What was planned of a GPU and of a host for one stage.

    Args:
        recipe: The run's.
        stage: `curate`, a training stage's name, or `evaluate`.
        machine: Where it runs.
    """
    if not is_planned(recipe.model.path):
        return f"none was made: the sizes of {recipe.model.path} are not known"
    plan = make_plan(recipe, machine, [stage])
    usable = f"of {machine.usable_gpu_memory / GIB:.1f} GiB a GPU"
    return "; ".join(
        [
            *(f"{usable} {_learning(one)}" for one in plan.stages),
            *(f"{usable} {_sampling(one)}" for one in plan.sampling),
        ]
    )


def _learning(one: StagePlan) -> str:
    parts = [(label.strip("*"), value) for label, (value,) in gpu_rows([one]) if value]
    return _listed([*parts, ("host of a node", one.memory.host)])


def _sampling(one: SamplingPlan) -> str:
    parts = [("weights", one.weights), ("sampler awake", one.sampler.awake), ("peak", one.peak)]
    named = _listed(
        [*((label, value) for label, value in parts if value), ("host of a node", one.host)]
    )
    return f"in {one.of.name}: {named}"


def _listed(parts: list[tuple[str, int]]) -> str:
    return ", ".join(f"{label} {value / GIB:.1f}" for label, value in parts)
