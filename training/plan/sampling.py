"""What curation and evaluation take: a sampler beside the policy that it was made from."""

from dataclasses import dataclass

from training.plan.learned import BYTES
from training.plan.machine import GPUS, Machine
from training.plan.memory import CONTEXT, PROCESS, Sampler, sampler_of
from training.plan.rows import RL_LENGTH
from training.plan.shape import ModelShape, is_planned, shape_at
from training.plan.sleeping import sleeping_bytes
from training.plan.work import SAMPLER_MODEL, SAMPLER_SHARE, Range
from training.recipe.curation import MAX_NAME_TOKENS
from training.recipe.hardware import HardwareRecipe
from training.recipe.known_benchmarks import ITEMS
from training.recipe.model import ModelRecipe, RolloutRecipe
from training.recipe.recipe import Recipe

SAMPLING = ("curate", "evaluate")


@dataclass(frozen=True)
class Sampled:
    """A model that a stage samples from.

    Attributes:
        name: `curate`, `curate (grader)`, `curate (names)` or `evaluate`.
        section: Of the recipe, where its engine's settings are, or would be.
        rollout: These settings.
        dtype: Its number format.
        shape: Its sizes.
        has_policy: Whether a policy that the sampler was made from is beside it.
        responses: How many are drawn; of curation at least, where a source's rows are not counted
            in the recipe. Benchmarks whose items are not known are left out.
        max_response_tokens: Of one of them.
        goes_on: Whether its engine has one policy after the other.
    """

    name: str
    section: str
    rollout: RolloutRecipe
    dtype: str
    shape: ModelShape
    has_policy: bool
    responses: int
    max_response_tokens: int
    goes_on: bool = False

    @property
    def stage(self) -> str:
        """Which one: `curate` or `evaluate`."""
        return self.name.split(maxsplit=1)[0]


@dataclass(frozen=True)
class SamplingPlan:
    """What a stage takes that samples and learns nothing, while it samples from one model.

    Attributes:
        of: The model.
        hardware: What it runs on.
        weights: Of the policy, beside the sampler's, bytes of one GPU.
        sampler: The engine.
        asleep: Of a vLLM engine while it sleeps, bytes of one process in the host's memory.
        longest: Tokens of the longest prompt with its longest response.
        host: Peak of one node, bytes.
        sampled_tokens: Of all responses.
        seconds: Of sampling.
    """

    of: Sampled
    hardware: HardwareRecipe
    weights: int
    sampler: Sampler
    asleep: int
    longest: int
    host: int
    sampled_tokens: Range
    seconds: Range

    @property
    def peak(self) -> int:
        """Bytes of one GPU while it samples, or has the next policy loaded.

        A vLLM engine keeps no policy; what the transformers engine samples from is there until the
        next one has taken its place.
        """
        is_replaced = self.of.goes_on and self.of.rollout.engine == "transformers"
        beside = max(self.sampler.awake, self.weights if is_replaced else 0)
        return self.weights + beside + CONTEXT


def sampling_plans(
    recipe: Recipe, stage: str, shape: ModelShape, machine: Machine
) -> list[SamplingPlan]:
    """Plans `curate` or `evaluate`, model by model: each begins when the one before has left.

    A judge answers behind an endpoint, and is not counted; nor is a model of unknown sizes.
    """
    hardware = recipe.hardware.of(stage)
    models = _curation_models(recipe, shape)
    if stage == "evaluate":
        models = [_evaluated(recipe, shape)]
    return [_planned(one, recipe.curation.max_prompt_tokens, hardware, machine) for one in models]


def _curation_models(recipe: Recipe, shape: ModelShape) -> list[Sampled]:
    curation, grader, names = recipe.curation, recipe.curation.grader, recipe.curation.topics.names
    base = Sampled(
        "curate",
        "rollout",
        recipe.rollout,
        recipe.model.dtype,
        shape,
        has_policy=True,
        responses=curation_responses(recipe),
        max_response_tokens=curation.max_response_tokens,
    )
    found = [base]
    if grader is not None and is_planned(grader.model.path):
        responses = curation_problems(recipe) * grader.samples_per_problem
        longest = curation.max_response_tokens
        section, rollout = "curation.grader.rollout", recipe.grader_rollout
        found.append(_other("grader", section, rollout, grader.model, responses, longest))
    if names is not None and names.model is not None and is_planned(names.model.path):
        num_clustered = min(curation_problems(recipe), curation.topics.max_clustered)
        topics = num_clustered // curation.topics.min_rows  # at most
        section, rollout = "curation.topics.names.rollout", recipe.names_rollout
        found.append(_other("names", section, rollout, names.model, topics, MAX_NAME_TOKENS))
    return found


def _other(
    name: str,
    section: str,
    rollout: RolloutRecipe,
    model: ModelRecipe,
    responses: int,
    max_response_tokens: int,
) -> Sampled:
    """A model of curation's beside the base."""
    return Sampled(
        f"curate ({name})",
        section,
        rollout,
        model.dtype,
        shape_at(model.path),
        has_policy=rollout.engine != "vllm",  # which reads the only weights
        responses=responses,
        max_response_tokens=max_response_tokens,
    )


def _evaluated(recipe: Recipe, shape: ModelShape) -> Sampled:
    return Sampled(
        "evaluate",
        "rollout",
        recipe.rollout,
        recipe.model.dtype,
        shape,
        has_policy=True,
        responses=evaluation_responses(recipe),
        max_response_tokens=recipe.evaluation.max_response_tokens,
        goes_on=True,
    )


def _planned(
    of: Sampled, max_prompt_tokens: int, hardware: HardwareRecipe, machine: Machine
) -> SamplingPlan:
    rollout, most = of.rollout, of.max_response_tokens
    weights = of.shape.total * BYTES[of.dtype] if of.has_policy else 0
    asleep, bound = 0, None
    if rollout.engine == "vllm":
        bound = rollout.max_length_tokens
        asleep = sleeping_bytes(rollout, of.dtype, of.shape, machine.usable_gpu_memory)
    # Each process reads a policy into the host's memory first; an engine that goes on with the next
    # one sleeps meanwhile.
    host = weights + asleep if of.goes_on else max(weights, asleep)
    longest = max_prompt_tokens + most
    tokens = Range(*(of.responses * most * share for share in RL_LENGTH))
    rate = GPUS[machine.gpu].sampled_tokens * hardware.num_ranks * SAMPLER_MODEL / of.shape.total
    local = min(hardware.num_processes, machine.num_gpus)
    return SamplingPlan(
        of,
        hardware,
        weights=weights,
        sampler=sampler_of(rollout, of.dtype, of.shape, machine, copies=False),
        asleep=asleep,
        longest=min(longest, bound or longest),
        host=local * (PROCESS + host),
        sampled_tokens=tokens,
        seconds=Range(tokens.low / rate / SAMPLER_SHARE[0], tokens.high / rate / SAMPLER_SHARE[1]),
    )


def curation_problems(recipe: Recipe) -> int:
    """The sources' problems; where these are not counted, as many as the sets take."""
    counts = [source.num_problems for source in recipe.sources]
    known = [count for count in counts if count is not None]
    if len(known) < len(counts):
        known = [curated.num_problems for curated in recipe.curation.sets]
    return sum(known)


def curation_responses(recipe: Recipe) -> int:
    """The base model's responses to these."""
    return curation_problems(recipe) * recipe.curation.samples_per_problem


def evaluation_responses(recipe: Recipe) -> int:
    """Responses of the base and of every stage's policy to the benchmarks whose items are known."""
    evaluation = recipe.evaluation
    answers = sum(
        (one.num_problems or ITEMS.get(one.name, 0)) * evaluation.samples_of(one)
        for one in evaluation.benchmarks
    )
    return answers * (1 + len(recipe.stages))
