"""What curation and evaluation take: a sampler beside the policy that it was made from."""

from collections.abc import Mapping
from dataclasses import dataclass

from training.plan.learned import BYTES
from training.plan.machine import GPUS, Machine
from training.plan.memory import CONTEXT, PROCESS, Sampler, sampler_of, sampler_weights
from training.plan.shape import ModelShape
from training.plan.work import RL_LENGTH, SAMPLER_MODEL, SAMPLER_SHARE, Range
from training.recipe.hardware import HardwareRecipe
from training.recipe.recipe import Recipe

SAMPLING = ("curate", "evaluate")
# Items of the shipped benchmarks, as they were published (docs/benchmarks.md).
ITEMS: Mapping[str, int] = {
    "mathverse": 3940,
    "mathvision": 3040,
    "mathvista": 1000,
    "dynamath": 5010,
    "we-math": 1740,
    "logicvista": 448,
    "aime24": 30,
    "aime25": 30,
    "gpqa-diamond": 198,
    "math-500": 500,
}


@dataclass(frozen=True)
class SamplingPlan:
    """A stage that samples and learns nothing.

    Attributes:
        name: `curate` or `evaluate`.
        hardware: What it runs on.
        weights: Of the policy, beside the sampler's, bytes of one GPU.
        sampler: The engine.
        longest: Tokens of the longest prompt with its longest response.
        host: Peak of one node, bytes.
        responses: How many are drawn; of curation at least, where a source's rows are not counted
            in the recipe. Benchmarks whose items are not known are left out.
        sampled_tokens: Of them.
        seconds: Of sampling.
    """

    name: str
    hardware: HardwareRecipe
    weights: int
    sampler: Sampler
    longest: int
    host: int
    responses: int
    sampled_tokens: Range
    seconds: Range

    @property
    def peak(self) -> int:
        """Bytes of one GPU while it samples."""
        return self.weights + self.sampler.awake + CONTEXT


def sampling_plan(recipe: Recipe, name: str, shape: ModelShape, machine: Machine) -> SamplingPlan:
    """Plans `curate` or `evaluate`; a grader and a judge of their own are not counted."""
    hardware, rollout = recipe.hardware.of(name), recipe.rollout
    whole = shape.total * BYTES[recipe.model.dtype]
    if name == "curate":
        most, responses = recipe.curation.max_response_tokens, curation_responses(recipe)
    else:
        most, responses = recipe.evaluation.max_response_tokens, evaluation_responses(recipe)
    bound = rollout.max_length_tokens if rollout.engine == "vllm" else None
    longest = recipe.curation.max_prompt_tokens + most
    longest = min(longest, bound or longest)
    tokens = Range(*(responses * most * share for share in RL_LENGTH))
    rate = GPUS[machine.gpu].sampled_tokens * hardware.num_ranks * SAMPLER_MODEL / shape.total
    local = min(hardware.num_processes, machine.num_gpus)
    sleeping = sampler_weights(recipe, shape) if rollout.engine == "vllm" else 0
    return SamplingPlan(
        name,
        hardware,
        weights=whole,
        sampler=sampler_of(recipe, shape, machine, copies=False),
        longest=longest,
        host=local * (PROCESS + max(whole, sleeping)),
        responses=responses,
        sampled_tokens=tokens,
        seconds=Range(tokens.low / rate / SAMPLER_SHARE[0], tokens.high / rate / SAMPLER_SHARE[1]),
    )


def curation_responses(recipe: Recipe) -> int:
    """Responses to the sources' problems; where these are not counted, to as many as sets take."""
    counts = [source.num_problems for source in recipe.sources]
    known = [count for count in counts if count is not None]
    if len(known) < len(counts):
        known = [curated.num_problems for curated in recipe.curation.sets]
    return sum(known) * recipe.curation.samples_per_problem


def evaluation_responses(recipe: Recipe) -> int:
    """Responses of the base and of every stage's policy to the benchmarks whose items are known."""
    evaluation = recipe.evaluation
    answers = sum(
        (one.num_problems or ITEMS.get(one.name, 0)) * evaluation.samples_of(one)
        for one in evaluation.benchmarks
    )
    return answers * (1 + len(recipe.stages))
