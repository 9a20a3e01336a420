"""A training stage's memory: of one GPU, by phase, and of the host."""

from dataclasses import dataclass

from training.plan.activations import Activations, MicroBatch, activations
from training.plan.learned import BYTES, FLOAT32, Held, checkpoint_bytes, held, learned
from training.plan.machine import GIB, Machine
from training.plan.rows import data_bytes
from training.plan.shape import ModelShape
from training.plan.sleeping import batch_bounds, counted_bytes, sleeping_bytes
from training.recipe.model import RolloutRecipe, VllmRollout
from training.recipe.recipe import Recipe
from training.recipe.stages import RlStage, Stage, sets_of

# Assumptions, which only a GPU can check: CUDA's context with NCCL's buffers; vLLM's CUDA graphs; a
# process's libraries in the host's memory, and the pixels that it remembers there (1 GiB at most:
# `training.model.memory`).
CONTEXT, GRAPHS, PROCESS = 2 * GIB, 1 * GIB, 4 * GIB
# vLLM asleep: its graphs, which stay on the GPU (`sleep_mode_offload_cudagraph` is off), with as
# much for input buffers, kernels' workspaces and what its allocator cannot give back.
SAMPLER_ASLEEP = 2 * GRAPHS
# Pixels of an image that is as large as Qwen2.5-VL's own processor lets it be.
MAX_PIXELS = 12_845_056


@dataclass(frozen=True)
class StageMemory:
    """Bytes of one GPU, and of one node's host.

    Attributes:
        held: The learner's.
        activations: Of the largest micro-batch.
        reference: A second, frozen policy; adapters need none, the base is under them. It is there
            all the time, or for its own passes alone (`hardware.reference_in_host`).
        sampler: While it is awake.
        cache_tokens: That the sampler's KV cache holds then.
        longest: Tokens of the longest sequence.
        update: Peak while learning, scoring by the reference included.
        rollout: Peak while sampling; 0 in a stage that does not sample.
        host: Peak of one node.
        data: Of it, the stage's rows, all processes together.
        checkpoint: A step checkpoint's bytes, of all ranks.
    """

    held: Held
    activations: Activations
    reference: int
    sampler: int
    cache_tokens: int
    longest: int
    update: int
    rollout: int
    host: int
    data: int
    checkpoint: int

    @property
    def peak(self) -> int:
        """The larger of both phases."""
        return max(self.update, self.rollout)

    @property
    def work(self) -> int:
        """Of an update, beside gradients, buckets and activations: by head, layer or reduction."""
        parts, kept = self.held, self.activations
        return update_bytes(parts, kept) - parts.gradients - parts.buckets - kept.saved


def stage_memory(recipe: Recipe, stage: Stage, shape: ModelShape, machine: Machine) -> StageMemory:
    """Adds a stage up, at the largest micro-batch that the recipe allows."""
    hardware, size = recipe.hardware, BYTES[recipe.model.dtype]
    of = learned(shape, stage)
    parts = held(
        of,
        dtype=recipe.model.dtype,
        zero_stage=hardware.zero_stage,
        num_ranks=hardware.num_ranks,
        offload=hardware.offload_optimizer,
    )
    longest = longest_sequence(recipe, stage)
    batch = _largest_batch(recipe, stage, shape, max(longest, stage.tokens_per_micro_batch))
    kept = activations(
        shape,
        stage,
        batch,
        dtype=recipe.model.dtype,
        checkpointing=hardware.activation_checkpointing,
    )
    whole = shape.total * size
    reference = whole if isinstance(stage, RlStage) and stage.kl and not stage.lora else 0
    sampler = NO_SAMPLER
    if isinstance(stage, RlStage):
        copies = hardware.zero_stage == 3
        sampler = sampler_of(recipe.rollout, recipe.model.dtype, shape, machine, copies=copies)
    waits = reference if hardware.reference_in_host else 0
    resident = parts.weights + parts.optimizer + reference - waits + CONTEXT
    update = update_bytes(parts, kept)
    # Its passes keep nothing for a backward pass; what they need besides is taken as no less.
    scoring = waits + parts.standing + parts.gathered + max(kept.head, kept.layer) if waits else 0
    local = min(hardware.num_processes, machine.num_gpus)  # of one node
    checkpoint = checkpoint_bytes(of)
    sleeping = 0
    if recipe.rollout.engine == "vllm" and isinstance(stage, RlStage):
        sleeping = sleeping_bytes(
            recipe.rollout, recipe.model.dtype, shape, machine.usable_gpu_memory
        )
    # Each process reads the weights into the host's memory first; later a checkpoint is copied, and
    # at last rank 0 has the whole model there to write it (`Learner.save_model`).
    copied = max(checkpoint * local // hardware.num_ranks, whole)
    host = local * (PROCESS + waits + parts.host) + max(local * whole, local * sleeping + copied)
    data = local * data_bytes(recipe, stage)
    return StageMemory(
        parts,
        kept,
        reference,
        sampler.awake,
        sampler.cache_tokens,
        longest,
        update=resident + max(update, scoring) + sampler.asleep,
        rollout=resident + parts.standing + sampler.awake if sampler.awake else 0,
        host=host + data,
        data=data,
        checkpoint=checkpoint,
    )


def update_bytes(parts: Held, kept: Activations) -> int:
    """What an update takes on one rank beside weights, masters and moments."""
    head = parts.waiting + kept.saved + kept.head
    layer = parts.buckets - parts.reduced + kept.saved + kept.layer
    # The first reduction may be in any of the layers that are left.
    work = max(kept.layer, kept.weight + parts.copied)
    reduction = parts.buckets + kept.saved - kept.freed + work
    return parts.gradients + max(head, layer, reduction, parts.step)


def longest_sequence(recipe: Recipe, stage: Stage) -> int:
    """Tokens of the longest prompt with its longest response."""
    if not isinstance(stage, RlStage):
        return stage.max_length_tokens
    longest = recipe.curation.max_prompt_tokens + stage.max_response_tokens
    bound = recipe.rollout.max_length_tokens if recipe.rollout.engine == "vllm" else None
    return min(longest, bound) if bound else longest


def _largest_batch(recipe: Recipe, stage: Stage, shape: ModelShape, tokens: int) -> MicroBatch:
    """As many of the largest images as the tokens hold, each of a prompt of its own."""
    read = [one.modality for one in recipe.curation.sets if one.name in sets_of(stage)]
    if "multimodal" not in read:
        return MicroBatch(tokens)
    vision = shape.vision
    patches = (recipe.model.max_pixels or MAX_PIXELS) // vision.patch_pixels**2
    num_images = tokens // (patches // vision.merge**2 + 1)
    return MicroBatch(tokens, max(num_images, 1) * patches)


def sampler_weights(rollout: RolloutRecipe, dtype: str, shape: ModelShape) -> int:
    """Bytes of the sampler's weights on one GPU; vLLM has the vision tower whole on each."""
    shared = rollout.tensor_parallel if rollout.engine == "vllm" else 1
    text = shape.parameters["language_model"]
    return (shape.total - text + -(-text // shared)) * BYTES[dtype]


def sampler_work(rollout: VllmRollout, dtype: str, shape: ModelShape, gpu_memory: int) -> int:
    """Bytes that vLLM takes of its share of one GPU beside weights and KV cache.

    What it measures before it sizes the cache (`determine_available_memory`), as its profile run
    has it: an MLP's two products and their outcome, and three hidden states, for every token of
    the largest batch; or the float32 logits of the most sequences, thrice, whichever is more. The
    counts of sampled tokens (`v1/worker/gpu/sample/penalties.py`) and the CUDA graphs are added.
    """
    text, size = shape.text, BYTES[dtype]
    num_tokens, num_sequences = batch_bounds(gpu_memory)
    of_a_token = (3 * text.intermediate // rollout.tensor_parallel + 3 * text.hidden) * size
    logits = num_sequences * text.vocabulary * FLOAT32
    return max(num_tokens * of_a_token, 3 * logits) + counted_bytes(shape, gpu_memory) + GRAPHS


@dataclass(frozen=True)
class Sampler:
    """A rollout engine on one GPU, beside the policy that it was made from.

    Attributes:
        awake: Its bytes.
        cache_tokens: That its KV cache holds then.
        asleep: Its bytes while others work.
    """

    awake: int
    cache_tokens: int
    asleep: int


NO_SAMPLER = Sampler(0, 0, 0)


def sampler_of(
    rollout: RolloutRecipe, dtype: str, shape: ModelShape, machine: Machine, *, copies: bool
) -> Sampler:
    """What an engine takes.

    Args:
        rollout: The engine's section of the recipe.
        dtype: Number format of the policy.
        shape: The policy.
        machine: Its GPU.
        copies: Whether the transformers engine has a policy of its own to sample from.
    """
    text = shape.text
    of_a_token = 2 * text.num_layers * text.num_kv_heads * text.head_width * BYTES[dtype]
    if rollout.engine == "vllm":
        awake = int(rollout.memory_fraction * machine.usable_gpu_memory)
        work = sampler_work(rollout, dtype, shape, machine.usable_gpu_memory)
        cache = awake - sampler_weights(rollout, dtype, shape) - work
        shared = min(rollout.tensor_parallel, text.num_kv_heads)
        return Sampler(awake, max(cache, 0) * shared // of_a_token, SAMPLER_ASLEEP)
    cache = machine.usable_gpu_memory // 4  # training.runtime.device.kv_cache_bytes
    copy = shape.total * BYTES[dtype] if copies else 0
    return Sampler(cache + copy, cache // of_a_token, copy)
