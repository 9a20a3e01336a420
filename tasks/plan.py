"""The plan of a recipe on the machine at hand, before a run starts."""

import logging
from collections.abc import Collection
from pathlib import Path

import psutil

from contracts.errors import PlanError
from infra.settings import load_settings
from tasks.placement import check_clusters, on_clusters
from training.plan.machine import USABLE, Machine
from training.recipe.recipe import Recipe

# Where Linux (and Windows' Linux) shows an NVIDIA GPU: without one, torch need not be loaded.
_DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/dxg"))


def check_machine(recipe: Recipe, stages: Collection[str], *, is_sized: bool = True) -> None:
    """Refuses stages that this machine cannot hold, or that are for a GPU where there is none.

    A float32 recipe without a GPU runs on the CPU, and is not planned. Nor are stages on a Ray
    cluster, which is asked whether it has their nodes.

    Args:
        recipe: The resolved recipe.
        stages: Names of the stages that are to run here.
        is_sized: Whether what they compute with has the sizes of the recipe's models. A policy that
            is evaluated by itself may be of any; then nothing is planned.

    Raises:
        PlanError: It names the stage, the figure, the limit and the setting.
        PreflightError: A cluster lacks nodes, or these do not share the store.
    """
    check_clusters(recipe, stages, load_settings())
    there = on_clusters(recipe, stages)
    stages = [stage for stage in stages if stage not in there]
    is_for_gpus = recipe.model.dtype == "bfloat16"
    if not stages or not (is_for_gpus or any(path.exists() for path in _DRIVERS)):
        return
    import torch  # seconds, which a run on CPUs need not pay

    if torch.cuda.is_available():
        from training.plan.plan import make_plan, require_fits
        from training.plan.shape import is_planned

        grader = recipe.curation.grader
        graded = [grader.model] if grader is not None and "curate" in stages else []
        unknown = [one.path for one in [recipe.model, *graded] if not is_planned(one.path)]
        if is_sized and recipe.model.path not in unknown:
            require_fits(make_plan(recipe, machine_here(), stages))
        for path in unknown:
            logging.getLogger(__name__).warning(
                "%s: memory is not planned, as the model's sizes are not known here", path
            )
    elif is_for_gpus:
        raise PlanError(
            "The recipe computes in bfloat16, and torch finds no CUDA GPU on this machine.",
            where='model.dtype = "bfloat16"',
            rule="a bfloat16 recipe runs on GPUs: a CPU would take weeks, in silence",
            fix='run it where `nvidia-smi` lists GPUs; a small model may take dtype = "float32"',
        )


def machine_here() -> Machine:
    """This machine's GPUs and memory; for CUDA machines only.

    Not its disk: a run that goes on has filled a part of what the plan asks for.
    """
    import torch

    memories = [
        torch.cuda.get_device_properties(index).total_memory
        for index in range(torch.cuda.device_count())
    ]
    return Machine(
        num_gpus=len(memories),
        gpu_memory=int(min(memories) / USABLE),  # torch states what is usable
        host_memory=psutil.virtual_memory().total,
    )
