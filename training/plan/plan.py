"""The whole recipe's plan, and the refusal of one that a machine cannot hold."""

from collections.abc import Container
from dataclasses import dataclass
from itertools import accumulate

from contracts.errors import PlanError
from training.plan.learned import BYTES
from training.plan.machine import GIB, Machine
from training.plan.memory import StageMemory, stage_memory
from training.plan.sampling import SAMPLING, SamplingPlan, sampling_plans
from training.plan.shape import ModelShape, is_planned, shape_at
from training.plan.work import StageWork, stage_work
from training.recipe.hardware import HardwareRecipe
from training.recipe.recipe import Recipe
from training.recipe.stages import LoraRecipe, RlStage, Stage

# What NVIDIA asks containers to have where several processes of NCCL exchange tensors through the
# host (NCCL's user guide, "Troubleshooting"); Docker gives 64 MiB.
SHARED_MEMORY = GIB


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
    for one in plan.stages:
        name, memory = one.stage.name, one.memory
        _require_machine(plan.machine, name, one.hardware)
        _require_gpu_memory(plan, one)
        if isinstance(one.stage, RlStage):
            _require_cache(name, memory.cache_tokens, memory.longest)
        _require(
            name,
            "host memory",
            memory.host,
            plan.machine.host_memory,
            " or ".join([*_host_fixes(plan, one), "take a node with more"]),
        )
    for sampled in plan.sampling:
        _require_sampling(plan.machine, sampled)
    _require(
        "all",
        "disk for scratch and store",
        plan.disk,
        plan.machine.disk,
        "lower checkpoints.keep_last, set REVISUAL_STORE to a bucket, or take a larger disk",
    )


def _require_sampling(machine: Machine, one: SamplingPlan) -> None:
    name, section, is_vllm = one.of.name, one.of.section, one.of.rollout.engine == "vllm"
    _require_machine(machine, name, one.hardware)
    fix = f'take a GPU with more memory, a smaller model, or {section}.engine = "vllm"'
    if is_vllm:
        fix = f"lower {section}.memory_fraction, or take a GPU with more memory"
    _require(name, "GPU memory", one.peak, machine.usable_gpu_memory, fix)
    _require_cache(name, one.sampler.cache_tokens, one.longest, section)
    fix = f"lower hardware.stages.{name.split()[0]}.num_processes, or take a node with more"
    if one.asleep and (one.of.goes_on or one.asleep > one.weights):
        fix = f"raise {section}.tensor_parallel, {fix}"
    _require(name, "host memory", one.host, machine.host_memory, fix)


def _require_machine(machine: Machine, stage: str, hardware: HardwareRecipe) -> None:
    """GPUs and nodes for all processes, and shared memory between several."""
    if hardware.num_processes > machine.num_gpus:
        raise PlanError(
            f"Stage {stage} asks for {hardware.num_processes} processes on a node, and "
            f"there are {machine.num_gpus} GPU(s).",
            where=f"hardware.num_processes = {hardware.num_processes}",
            rule="each process has a GPU of its own",
            fix="lower hardware.num_processes, or give more GPUs; several nodes are hardware.nodes",
        )
    if hardware.nodes > machine.num_nodes:
        raise PlanError(
            f"Stage {stage} asks for {hardware.nodes} nodes, and there are {machine.num_nodes}.",
            where=f"hardware.nodes = {hardware.nodes}",
            rule="each node is a machine of its own",
            fix="lower hardware.nodes, or give more machines (revisual plan --nodes)",
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


def _require_gpu_memory(plan: Plan, one: StagePlan) -> None:
    memory, recipe = one.memory, plan.recipe
    if memory.rollout >= memory.update and recipe.rollout.engine == "vllm":
        fix = "lower rollout.memory_fraction, or raise hardware.zero_stage"
    elif not one.hardware.activation_checkpointing:
        fix = "set hardware.activation_checkpointing = true"
    elif one.stage.tokens_per_micro_batch > memory.longest:
        fix = f"lower stages.tokens_per_micro_batch (not below {memory.longest}, the longest)"
    elif one.hardware.zero_stage < 3:
        fix = "raise hardware.zero_stage, or train adapters (stages.lora)"
    else:
        fix = "train adapters (stages.lora), more processes, or shorter sequences"
    if memory.held.optimizer and one.hardware.zero_stage > 0:
        fix = f"{fix}, or set hardware.offload_optimizer = true"
    if memory.reference and not one.hardware.reference_in_host:
        fix = f"set hardware.reference_in_host = true, or {fix}"
    _require(one.stage.name, "GPU memory", memory.peak, plan.machine.usable_gpu_memory, fix)


def _host_fixes(plan: Plan, one: StagePlan) -> list[str]:
    """The settings that lower what a stage takes of a host's memory: each is planned with."""
    own = plan.recipe.for_stage(one.stage.name)

    def on(**changes: bool | int) -> Recipe:
        return own.model_copy(update={"hardware": own.hardware.model_copy(update=changes)})

    tried: dict[str, tuple[Recipe, Stage]] = {
        "set hardware.reference_in_host = false": (on(reference_in_host=False), one.stage),
        "set hardware.offload_optimizer = false": (on(offload_optimizer=False), one.stage),
        "lower hardware.num_processes": (
            on(num_processes=max(own.hardware.num_processes // 2, 1)),
            one.stage,
        ),
        "train adapters (stages.lora)": (
            own,
            one.stage.model_copy(update={"lora": one.stage.lora or LoraRecipe()}),
        ),
    }
    if own.rollout.engine == "vllm":
        more = {"tensor_parallel": 2 * own.rollout.tensor_parallel}
        wider = own.model_copy(update={"rollout": own.rollout.model_copy(update=more)})
        tried = {"raise rollout.tensor_parallel": (wider, one.stage)} | tried
    return [
        fix
        for fix, (recipe, stage) in tried.items()
        if stage_memory(recipe, stage, plan.shape, plan.machine).host < one.memory.host
    ]


def _require_cache(stage: str, cache_tokens: int, longest: int, section: str = "rollout") -> None:
    if cache_tokens < longest:
        raise PlanError(
            f"The sampler's KV cache holds {cache_tokens:,} tokens, and a sequence may have "
            f"{longest:,}.",
            where=f"stage {stage}",
            rule="the KV cache holds at least one sequence",
            fix=f"raise {section}.memory_fraction or {section}.tensor_parallel",
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
