"""The whole recipe's plan, and the refusal of one that a machine cannot hold."""

from collections.abc import Container
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from operator import attrgetter

from contracts.errors import PlanError
from training.plan.fixes import Planned, planned_sampling, planned_stage
from training.plan.learned import BYTES
from training.plan.machine import GIB, Machine
from training.plan.memory import StageMemory, stage_memory
from training.plan.sampling import SAMPLING, SamplingPlan, sampling_plans
from training.plan.shape import ModelShape, is_planned, shape_at
from training.plan.work import StageWork, stage_work
from training.recipe.hardware import HardwareRecipe
from training.recipe.recipe import Recipe
from training.recipe.stages import Stage

# What NVIDIA asks containers to have where several processes of NCCL exchange tensors through the
# host (NCCL's user guide, "Troubleshooting"); Docker gives 64 MiB.
SHARED_MEMORY = GIB
LARGER_GPU = "take a GPU with more memory, or a smaller model"


@dataclass(frozen=True)
class StagePlan:
    """One training stage.

    Attributes:
        stage: Its section of the recipe.
        hardware: What it runs on.
        memory: What it takes of a GPU and of a host.
        work: Its tokens, times and bytes on disk.
    """

    stage: Stage
    hardware: HardwareRecipe
    memory: StageMemory
    work: StageWork


@dataclass(frozen=True)
class Plan:
    """All stages of a recipe, on one machine.

    Attributes:
        recipe: Whose plan it is.
        machine: What it was made for.
        shape: The model's.
        stages: The training stages that were asked for, in the recipe's order.
        sampling: Curation, its grader and evaluation, if they were.
        copies: Bytes of the copies of published models on this machine: the base's, and those of
            curation's others if it was asked for.
    """

    recipe: Recipe
    machine: Machine
    shape: ModelShape
    stages: tuple[StagePlan, ...]
    sampling: tuple[SamplingPlan, ...] = ()
    copies: int = 0

    @property
    def disk(self) -> int:
        """Bytes of store, scratch and copies at their fullest, the store on this machine."""
        works = [one.work for one in self.stages]
        stays = accumulate((work.stays for work in works), initial=0)
        return self.copies + max(
            (before + one.stored + one.scratch for before, one in zip(stays, works, strict=False)),
            default=0,
        )


def make_plan(recipe: Recipe, machine: Machine, stages: Container[str] | None = None) -> Plan:
    """Plans a recipe; nothing is loaded, started or written.

    Args:
        recipe: The resolved recipe.
        machine: Where all of it runs.
        stages: Names of the stages to plan; None for all.

    Raises:
        PlanError: The model's sizes are not known here.
    """
    shape = shape_at(recipe.model.path)
    planned = []
    for stage in recipe.stages:
        if stages is not None and stage.name not in stages:
            continue
        own = recipe.for_stage(stage.name)
        memory = stage_memory(own, stage, shape, machine)
        work = stage_work(own, stage, shape, memory, machine)
        planned.append(StagePlan(stage, own.hardware, memory, work))
    sampling = (
        one
        for name in SAMPLING
        if stages is None or name in stages
        for one in sampling_plans(recipe, name, shape, machine)
    )
    others = recipe.curation.sampled_models if stages is None or "curate" in stages else []
    copies = {
        one.path: shape_at(one.path).total * BYTES[one.dtype]
        for one in [recipe.model, *others]
        if is_planned(one.path)
    }
    return Plan(
        recipe, machine, shape, tuple(planned), tuple(sampling), copies=sum(copies.values())
    )


def require_fits(plan: Plan) -> None:
    """Refuses a plan that its machine cannot hold.

    Raises:
        PlanError: Names the stage, the figure, the limit and a setting that mends it.
    """
    recipe, shape, machine = plan.recipe, plan.shape, plan.machine
    for one in plan.stages:
        _require_machine(plan, one.stage.name, one.hardware)
        _require_memory(machine, planned_stage(recipe, one.stage, one.memory, shape, machine))
    for sampled in plan.sampling:
        _require_machine(plan, sampled.of.stage, sampled.hardware)
        _require_memory(machine, planned_sampling(recipe, sampled, shape, machine))
    fewer = "lower checkpoints.keep_last, " if recipe.checkpoints.keep_last > 1 else ""
    fix = f"{fewer}set REVISUAL_STORE to a bucket, or take a larger disk"
    _require("all", "disk for scratch and store", plan.disk, machine.disk, fix)


def _require_memory(machine: Machine, one: Planned) -> None:
    """Of a GPU and of a node; recipes with other settings are planned where it does not suffice."""
    needs, limit = one.needs, machine.usable_gpu_memory
    if needs.gpu > limit:
        fix = one.fix(machine, attrgetter("gpu"), LARGER_GPU)
        _require(one.name, "GPU memory", needs.gpu, limit, fix)
    if needs.lack_cache:
        raise PlanError(
            f"The sampler's KV cache holds {needs.cache:,} tokens, and a sequence may have "
            f"{needs.longest:,}.",
            where=f"stage {one.name}",
            rule="the KV cache holds at least one sequence",
            fix=one.fix(machine, lambda needs: -(needs.cache or 0), LARGER_GPU),
        )
    if machine.host_memory is not None and needs.host > machine.host_memory:
        fix = one.fix(machine, attrgetter("host"), "take a node with more")
        _require(one.name, "host memory", needs.host, machine.host_memory, fix)


def _require_machine(plan: Plan, stage: str, hardware: HardwareRecipe) -> None:
    """GPUs and nodes for all processes, and shared memory between several."""
    machine, field_of = plan.machine, partial(plan.recipe.hardware.field_of, stage)
    if hardware.num_processes > machine.num_gpus:
        raise PlanError(
            f"Stage {stage} asks for {hardware.num_processes} processes on a node, and "
            f"there are {machine.num_gpus} GPU(s).",
            where=f"{field_of('num_processes')} = {hardware.num_processes}",
            rule="each process has a GPU of its own",
            fix=f"lower {field_of('num_processes')}, or give more GPUs; several nodes are "
            f"{field_of('nodes')}",
        )
    if hardware.nodes > machine.num_nodes:
        raise PlanError(
            f"Stage {stage} asks for {hardware.nodes} nodes, and there are {machine.num_nodes}.",
            where=f"{field_of('nodes')} = {hardware.nodes}",
            rule="each node is a machine of its own",
            fix=f"lower {field_of('nodes')}, or give more machines (revisual plan --nodes)",
        )
    if hardware.num_processes > 1:
        _require(
            stage,
            "shared memory (/dev/shm)",
            SHARED_MEMORY,
            machine.shared_memory,
            "start the container with more: --shm-size of docker run, shm_size of a Compose file, "
            "or shared_memory of the Kubernetes template",
        )


def _require(stage: str, what: str, needed: int, limit: int | None, fix: str) -> None:
    if limit is not None and needed > limit:
        raise PlanError(
            f"Stage {stage} needs {needed / GIB:.1f} GiB of {what}, and there are "
            f"{limit / GIB:.1f} GiB.",
            where=f"stage {stage}",
            rule=f"the {what} that a stage needs is there",
            fix=fix,
        )
