"""The plan's figures of one stage in a sentence, to stand beside those that were measured.

python -m training.plan.beside JOB.json
"""

import json
import sys
from pathlib import Path

from contracts.job import Job
from training.plan.machine import GIB, Machine, machine_here
from training.plan.plan import StagePlan, make_plan
from training.plan.sampling import SamplingPlan
from training.plan.shape import is_planned
from training.plan.table import gpu_rows
from training.recipe.recipe import Recipe, parse_recipe


def figures_of(job: Job) -> str:
    """The figures of a job here; or why there are none: that must cost nobody what they are for."""
    try:
        return figures_here(recipe_of(job), job.stage)
    except Exception as error:  # noqa: BLE001 - with no memory left anything may fail; it is told
        return f"none was made: {type(error).__name__}: {error}"


def recipe_of(job: Job) -> Recipe:
    """A job's recipe, with the model that the stage begins with, if it has one."""
    values = json.loads(job.recipe.read_text(encoding="utf-8"))
    recipe = parse_recipe(values, where=str(job.recipe)).for_stage(job.stage)
    if "policy" not in job.inputs:
        return recipe
    # A folder, whose sizes can be read.
    model = recipe.model.model_copy(update={"path": str(job.inputs["policy"])})
    return recipe.model_copy(update={"model": model})


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


if __name__ == "__main__":
    asked = Job.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.stdout.write(f"{figures_of(asked)}\n")
