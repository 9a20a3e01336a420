"""Which settings let a stage fit that does not: each is planned before it is named."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial, reduce
from operator import getitem
from typing import Any

from contracts.errors import RecipeError
from training.plan.machine import Machine
from training.plan.memory import StageMemory, stage_memory
from training.plan.sampling import SamplingPlan, sampling_plans
from training.plan.shape import ModelShape
from training.recipe.hardware import StageHardware
from training.recipe.recipe import Recipe, parse_recipe, resolved_toml_values
from training.recipe.stages import LoraRecipe, RlStage, Stage

FieldPath = Sequence[str | int]
Changes = Mapping[str, list[Recipe]]  # recipes with other values of a setting, by how it is named


@dataclass(frozen=True)
class Needs:
    """What a stage, or a model that it samples from, takes.

    Attributes:
        gpu: Peak of one GPU, bytes.
        host: Peak of one node, bytes.
        cache: Tokens that the sampler's KV cache holds; None without a sampler.
        longest: Tokens of the longest sequence.
    """

    gpu: int
    host: int
    cache: int | None
    longest: int

    def fit(self, machine: Machine) -> bool:
        """Whether a machine has all of it."""
        return (
            self.gpu <= machine.usable_gpu_memory
            and (machine.host_memory is None or self.host <= machine.host_memory)
            and not self.lack_cache
        )

    @property
    def lack_cache(self) -> bool:
        """Whether the KV cache is too small for the longest sequence."""
        return self.cache is not None and self.cache < self.longest


@dataclass(frozen=True)
class Planned:
    """A stage, or a model that it samples from, as it is and as it might be.

    Attributes:
        name: As a person knows it.
        needs: What it takes.
        again: What it takes by another recipe.
        changes: Makes the other recipes; they are not needed where it fits.
    """

    name: str
    needs: Needs
    again: Callable[[Recipe], Needs]
    changes: Callable[[], Changes]

    def fix(self, machine: Machine, figure: Callable[[Needs], int], other: str) -> str:
        """Names the settings with which it fits; where none does, those that lower a figure.

        Args:
            machine: Where it does not fit.
            figure: What is too large.
            other: What to do where no setting helps.
        """
        made = {fix: [self.again(way) for way in ways] for fix, ways in self.changes().items()}
        if fits := [fix for fix, ways in made.items() if any(way.fit(machine) for way in ways)]:
            return " or ".join([*fits, other])
        now = figure(self.needs)
        lower = [fix for fix, ways in made.items() if any(figure(way) < now for way in ways)]
        return f"{', '.join(lower)} (not enough alone), or {other}" if lower else other


def planned_stage(
    recipe: Recipe, stage: Stage, memory: StageMemory, shape: ModelShape, machine: Machine
) -> Planned:
    """A training stage.

    Args:
        recipe: The resolved recipe.
        stage: Its section of it.
        memory: What it takes.
        shape: The policy's.
        machine: Where it runs.
    """
    number = [one.name for one in recipe.stages].index(stage.name)

    def needs(of: StageMemory) -> Needs:
        return Needs(of.peak, of.host, of.cache_tokens if of.sampler else None, of.longest)

    def again(other: Recipe) -> Needs:
        own = other.for_stage(stage.name)
        return needs(stage_memory(own, other.stages[number], shape, machine))

    changes = partial(_stage_changes, recipe, number, memory.longest, machine)
    return Planned(stage.name, needs(memory), again, changes)


def _stage_changes(recipe: Recipe, number: int, longest: int, machine: Machine) -> Changes:
    stage = recipe.stages[number]
    hardware = recipe.hardware.of(stage.name)

    def name(field: str) -> str:
        return recipe.hardware.field_of(stage.name, field)

    def other(field: str, values: Iterable[object], of: Recipe = recipe) -> list[Recipe]:
        return changed(of, name(field).split("."), values)

    def switched(field: str, *, value: bool) -> Changes:
        return {f"set {name(field)} = {str(value).lower()}": other(field, [value])}

    num_processes, zero_stage = hardware.num_processes, hardware.zero_stage
    sharded = other("zero_stage", [2]) if zero_stage == 0 else []  # ZeRO 0 offloads nothing
    offloaded = [way for one in sharded for way in other("offload_optimizer", [True], one)]
    of_stage: list[str | int] = ["stages", number]
    adapters = (stage.lora or LoraRecipe()).model_dump(mode="json")
    return {
        **switched("reference_in_host", value=not hardware.reference_in_host),
        **(_rollout_changes(recipe, "rollout") if isinstance(stage, RlStage) else {}),
        **switched("activation_checkpointing", value=True),
        f"lower stages.tokens_per_micro_batch (not below {longest}, the longest)": changed(
            recipe, [*of_stage, "tokens_per_micro_batch"], [longest]
        ),
        f"raise {name('zero_stage')}": other("zero_stage", range(zero_stage + 1, 4)),
        **switched("offload_optimizer", value=not hardware.offload_optimizer),
        f"set {name('zero_stage')} = 2 and {name('offload_optimizer')} = true": offloaded,
        f"raise {name('num_processes')}": other(
            "num_processes", range(num_processes + 1, machine.num_gpus + 1)
        ),
        f"lower {name('num_processes')}": other("num_processes", range(num_processes - 1, 0, -1)),
        "train adapters (stages.lora)": changed(recipe, [*of_stage, "lora"], [adapters]),
    }


def planned_sampling(
    recipe: Recipe, one: SamplingPlan, shape: ModelShape, machine: Machine
) -> Planned:
    """A model that curation or evaluation samples from; see `planned_stage`."""

    def needs(of: SamplingPlan) -> Needs:
        return Needs(of.peak, of.host, of.sampler.cache_tokens, of.longest)

    def again(other: Recipe) -> Needs:
        plans = sampling_plans(other, one.of.stage, shape, machine)
        return next(needs(plan) for plan in plans if plan.of.name == one.of.name)

    return Planned(one.of.name, needs(one), again, partial(_sampling_changes, recipe, one))


def _sampling_changes(recipe: Recipe, one: SamplingPlan) -> Changes:
    stage, section = one.of.stage, one.of.section
    own = recipe.hardware.stages.get(stage, StageHardware()).model_dump(mode="json")
    fewer = ({**own, "num_processes": number} for number in range(1, one.hardware.num_processes))
    changes = dict(_rollout_changes(recipe, section))
    if one.of.rollout.engine == "transformers":
        values = [{"engine": "vllm"}]
        changes[f'set {section}.engine = "vllm"'] = changed(recipe, section.split("."), values)
    changes[f"lower hardware.stages.{stage}.num_processes"] = changed(
        recipe, ["hardware", "stages", stage], fewer
    )
    return changes


def _rollout_changes(recipe: Recipe, section: str) -> Changes:
    """Of a section's vLLM engines: twice the GPUs, and a smaller or a larger share of each."""
    rollout = {
        "curation.grader.rollout": recipe.grader_rollout,
        "curation.topics.names.rollout": recipe.names_rollout,
    }.get(section, recipe.rollout)
    if rollout.engine != "vllm":
        return {}
    values, share = rollout.model_dump(mode="json"), rollout.memory_fraction
    tenths = [number / 10 for number in range(9, 0, -1)]

    def made(field: str, others: Iterable[object]) -> list[Recipe]:
        return changed(recipe, section.split("."), ({**values, field: one} for one in others))

    return {
        f"raise {section}.tensor_parallel": made("tensor_parallel", [2 * rollout.tensor_parallel]),
        f"lower {section}.memory_fraction": made("memory_fraction", (share * n for n in tenths)),
        f"raise {section}.memory_fraction": made(
            "memory_fraction", (1 - (1 - share) * n for n in tenths)
        ),
    }


def changed(recipe: Recipe, path: FieldPath, values: Iterable[object]) -> list[Recipe]:
    """The recipe with other values of a field, those that are refused left out."""
    made = []
    for value in values:
        whole: Any = resolved_toml_values(recipe)
        reduce(getitem, path[:-1], whole)[path[-1]] = value
        with suppress(RecipeError):
            made.append(parse_recipe(whole, where=recipe.name))
    return made
