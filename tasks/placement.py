"""Which executor makes a stage, and whether the clusters that a recipe names will do."""

from collections.abc import Collection, Mapping

from contracts.artifact import Artifact
from infra.cluster.executor import RayExecutor, check_cluster
from infra.cluster.records import Placement
from infra.launcher import Executor, launch
from infra.settings import Settings
from tasks.keys import own_modules
from tasks.run import Run
from training.recipe.recipe import Recipe


def placement_of(recipe: Recipe, stage: str, settings: Settings) -> Placement | None:
    """The nodes that a stage wants of Ray; None if torchrun starts it on this machine."""
    hardware = recipe.hardware.of(stage)
    if hardware.executor != "ray":
        return None
    has_own = stage in recipe.hardware.stages
    return Placement(
        field=f"hardware.stages.{stage}" if has_own else "hardware",
        address=hardware.address,
        nodes=hardware.nodes,
        cpus=hardware.num_processes * hardware.threads_per_process,
        gpus=hardware.num_processes,
        # A bfloat16 recipe is for GPUs (`tasks.plan`); a float32 one takes those that there are.
        needs_gpus=recipe.model.dtype == "bfloat16",
        timeout_seconds=60.0 * hardware.placement_timeout_minutes,
        store=settings.store_uri,
    )


def executor_of(
    run: Run, stage: str, inputs: Mapping[str, Artifact], resume: Artifact | None
) -> Executor:
    """What runs a stage's processes.

    Args:
        run: The run that asks.
        stage: The stage's name.
        inputs: What it reads, by the names it knows it by.
        resume: The step checkpoint to go on from.
    """
    placement = placement_of(run.recipe, stage, run.settings)
    if placement is None:
        return launch
    modules = own_modules(run.recipe, stage)
    return RayExecutor(placement, run.settings.home, run.work.name, inputs, resume, modules)


def check_clusters(recipe: Recipe, stages: Collection[str], settings: Settings) -> None:
    """Proves that the clusters of some stages have their nodes, and that these share the store.

    Raises:
        PreflightError: See `infra.cluster.executor.check_cluster`.
    """
    wanted = [placement_of(recipe, stage, settings) for stage in stages]
    # Once for stages that want the same.
    for placement in dict.fromkeys(one for one in wanted if one is not None):
        check_cluster(placement)


def on_clusters(recipe: Recipe, stages: Collection[str]) -> set[str]:
    """Of some stages those whose processes run on machines of a cluster."""
    hardware = {stage: recipe.hardware.of(stage) for stage in stages}
    return {
        stage for stage, of in hardware.items() if of.executor == "ray" and of.address is not None
    }
