"""The whole recipe's plan, and the refusal of one that a machine cannot hold."""

from collections.abc import Callable, Container, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial, reduce
from itertools import accumulate
from operator import getitem
from typing import Any

from contracts.errors import PlanError, RecipeError
from training.plan.learned import BYTES
from training.plan.machine import GIB, Machine
from training.plan.memory import StageMemory, stage_memory
from training.plan.sampling import SAMPLING, SamplingPlan, sampling_plans
from training.plan.shape import ModelShape, is_planned, shape_at
from training.plan.work import StageWork, stage_work
from training.recipe.hardware import HardwareRecipe, StageHardware
from training.recipe.recipe import Recipe, parse_recipe, resolved_toml_values
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
        _require_machine(plan, name, one.hardware)
        _require_gpu_memory(plan, one)
        if isinstance(one.stage, RlStage):
            _require_cache(plan, name, memory.cache_tokens, memory.longest, "rollout")
        _require_host(plan.machine, name, memory.host, partial(_host_fixes, plan, one))
    for sampled in plan.sampling:
        _require_sampling(plan, sampled)
    _require(
        "all",
        "disk for scratch and store",
        plan.disk,
        plan.machine.disk,
        "lower checkpoints.keep_last, set REVISUAL_STORE to a bucket, or take a larger disk",
    )


def _require_sampling(plan: Plan, one: SamplingPlan) -> None:
    machine = plan.machine
    name, section, is_vllm = one.of.name, one.of.section, one.of.rollout.engine == "vllm"
    _require_machine(plan, one.of.stage, one.hardware)
    fix = f'take a GPU with more memory, a smaller model, or {section}.engine = "vllm"'
    if is_vllm:
        fix = f"lower {section}.memory_fraction, or take a GPU with more memory"
    _require(name, "GPU memory", one.peak, machine.usable_gpu_memory, fix)
    _require_cache(plan, name, one.sampler.cache_tokens, one.longest, section)
    _require_host(machine, name, one.host, partial(_sampling_host_fixes, plan, one))


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


def _require_gpu_memory(plan: Plan, one: StagePlan) -> None:
    memory, recipe = one.memory, plan.recipe
    field_of = partial(recipe.hardware.field_of, one.stage.name)
    if memory.rollout >= memory.update and recipe.rollout.engine == "vllm":
        fix = f"lower rollout.memory_fraction, or raise {field_of('zero_stage')}"
    elif not one.hardware.activation_checkpointing:
        fix = f"set {field_of('activation_checkpointing')} = true"
    elif one.stage.tokens_per_micro_batch > memory.longest:
        fix = f"lower stages.tokens_per_micro_batch (not below {memory.longest}, the longest)"
    elif one.hardware.zero_stage < 3:
        fix = f"raise {field_of('zero_stage')}, or train adapters (stages.lora)"
    else:
        fix = "train adapters (stages.lora), more processes, or shorter sequences"
    if memory.held.optimizer and one.hardware.zero_stage > 0:
        fix = f"{fix}, or set {field_of('offload_optimizer')} = true"
    if memory.reference and not one.hardware.reference_in_host:
        fix = f"set {field_of('reference_in_host')} = true, or {fix}"
    _require(one.stage.name, "GPU memory", memory.peak, plan.machine.usable_gpu_memory, fix)


def _host_fixes(plan: Plan, one: StagePlan) -> list[str]:
    """The settings that lower what a stage takes of a host's memory: each is planned with."""
    recipe, name = plan.recipe, one.stage.name
    tried: dict[str, list[Recipe]] = {"raise rollout.tensor_parallel": _wider(plan, "rollout")}
    fewer = range(one.hardware.num_processes - 1, 0, -1)
    for verb, field, values in (
        ("set {} = false", "reference_in_host", [False]),
        ("set {} = false", "offload_optimizer", [False]),
        ("lower {}", "num_processes", fewer),
    ):
        path = recipe.hardware.field_of(name, field)
        tried[verb.format(path)] = _changed(recipe, path.split("."), values)
    number = [stage.name for stage in recipe.stages].index(name)
    lora = (one.stage.lora or LoraRecipe()).model_dump(mode="json")
    tried["train adapters (stages.lora)"] = _changed(recipe, ["stages", number, "lora"], [lora])

    def host(changed: Recipe) -> int:
        own, stage = changed.for_stage(name), changed.stages[number]
        return stage_memory(own, stage, plan.shape, plan.machine).host

    return [fix for fix, ways in tried.items() if any(host(way) < one.memory.host for way in ways)]


def _sampling_host_fixes(plan: Plan, one: SamplingPlan) -> list[str]:
    """As `_host_fixes`; each process has as much there."""
    fixes, stage, section = [], one.of.stage, one.of.section
    if one.asleep and (one.of.goes_on or one.asleep > one.weights) and _wider(plan, section):
        fixes.append(f"raise {section}.tensor_parallel")
    own = plan.recipe.hardware.stages.get(stage, StageHardware()).model_dump(mode="json")
    fewer = ({**own, "num_processes": n} for n in range(1, one.hardware.num_processes))
    if _changed(plan.recipe, ["hardware", "stages", stage], fewer):
        fixes.append(f"lower hardware.stages.{stage}.num_processes")
    return fixes


def _require_host(
    machine: Machine, stage: str, needed: int, fixes: Callable[[], list[str]]
) -> None:
    """Looks for fixes where they are needed alone: recipes are checked and planned for them."""
    if machine.host_memory is not None and needed > machine.host_memory:
        fix = " or ".join([*fixes(), "take a node with more"])
        _require(stage, "host memory", needed, machine.host_memory, fix)


def _changed(recipe: Recipe, path: Sequence[str | int], values: Iterable[object]) -> list[Recipe]:
    """The recipe with other values of a field, those that are refused left out."""
    made = []
    for value in values:
        whole: Any = resolved_toml_values(recipe)
        reduce(getitem, path[:-1], whole)[path[-1]] = value
        with suppress(RecipeError):
            made.append(parse_recipe(whole, where=recipe.name))
    return made


def _wider(plan: Plan, section: str) -> list[Recipe]:
    """The recipe whose vLLM engines of a section have twice the GPUs, if that is not refused."""
    rollout = {
        "curation.grader.rollout": plan.recipe.grader_rollout,
        "curation.topics.names.rollout": plan.recipe.names_rollout,
    }.get(section, plan.recipe.rollout)
    if rollout.engine != "vllm":
        return []
    wider = rollout.model_copy(update={"tensor_parallel": 2 * rollout.tensor_parallel})
    return _changed(plan.recipe, section.split("."), [wider.model_dump(mode="json")])


def _require_cache(plan: Plan, stage: str, cache: int, longest: int, section: str) -> None:
    if cache < longest:
        wider = f" or {section}.tensor_parallel" if _wider(plan, section) else ""
        raise PlanError(
            f"The sampler's KV cache holds {cache:,} tokens, and a sequence may have {longest:,}.",
            where=f"stage {stage}",
            rule="the KV cache holds at least one sequence",
            fix=f"raise {section}.memory_fraction{wider}",
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
