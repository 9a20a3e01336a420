"""The plan of a recipe on the machine at hand, before a run starts."""

import logging
import shutil
from collections.abc import Collection
from pathlib import Path

import psutil

from contracts.errors import PlanError
from infra.oom import memory_limit
from infra.requirements.choose import driver_version, too_old
from infra.settings import load_settings
from tasks.placement import check_clusters, on_clusters
from training.plan.machine import Machine, machine_here
from training.recipe.recipe import Recipe

# Where Linux (and Windows' Linux) shows an NVIDIA GPU: without one, torch need not be loaded.
_DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - its size is read, nothing is written


def check_machine(
    recipe: Recipe, stages: Collection[str], *, is_sized: bool = True, salt: str = ""
) -> None:
    """Refuses stages that this machine cannot hold, or that are for a GPU where there is none.

    A float32 recipe without a GPU runs on the CPU, and is not planned. Nor are stages on a Ray
    cluster, which is asked whether it has their nodes.

    Args:
        recipe: The resolved recipe.
        stages: Names of the stages that are to run here.
        is_sized: Whether what they compute with has the sizes of the recipe's models. A policy that
            is evaluated by itself may be of any; then nothing is planned.
        salt: See `tasks.room.check_room`.

    Raises:
        PlanError: It names the stage, the figure, the limit and the setting.
        PreflightError: A cluster lacks nodes, or these do not share the store; or a disk has no
            room for a stage's scratch, or for what it stores.
        StoreError: The store's folder cannot be read.
    """
    settings = load_settings()
    check_clusters(recipe, stages, settings)
    there = on_clusters(recipe, stages)
    stages = [stage for stage in stages if stage not in there]
    is_for_gpus = recipe.model.dtype == "bfloat16"
    if not stages or not (is_for_gpus or any(path.exists() for path in _DRIVERS)):
        return
    import torch  # seconds, which a run on CPUs need not pay

    if torch.cuda.is_available():
        from tasks.room import check_room
        from training.plan.plan import make_plan, require_fits
        from training.plan.shape import is_planned

        others = recipe.curation.sampled_models if "curate" in stages else []
        unknown = [one.path for one in [recipe.model, *others] if not is_planned(one.path)]
        if is_sized and recipe.model.path not in unknown:
            plan = make_plan(recipe, machine_of_run(), stages)
            require_fits(plan)
            check_room(recipe, plan.stages, settings, salt)
        for path in unknown:
            logging.getLogger(__name__).warning(
                "%s: memory is not planned, as the model's sizes are not known here", path
            )
    elif is_for_gpus:
        raise PlanError(
            "The recipe computes in bfloat16, and torch finds no CUDA GPU on this machine"
            f"{_why_none(driver_version(), torch.version.cuda)}.",
            where='model.dtype = "bfloat16"',
            rule="a bfloat16 recipe runs on GPUs: a CPU would take weeks, in silence",
            fix='run it where `nvidia-smi` lists GPUs; a small model may take dtype = "float32"',
        )


def machine_of_run() -> Machine:
    """This machine's GPUs, and what this process's control group may take of its memory."""
    limits = [psutil.virtual_memory().total, memory_limit()]
    return machine_here(
        host_memory=min(one for one in limits if one is not None),
        shared_memory=shutil.disk_usage(SHARED_MEMORY).total if SHARED_MEMORY.is_dir() else None,
    )


def _why_none(driver: str | None, cuda: str | None) -> str:
    """What keeps torch from the GPUs of a driver that answers; empty where none does."""
    if driver is None:
        return ""
    if cuda is None:
        return f": a driver {driver} answers, but torch was built without CUDA"
    return f": {too_old(driver, cuda) or f'a driver {driver} answers all the same'}"
