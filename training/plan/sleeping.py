"""Host memory that vLLM's weights take while it sleeps.

vLLM (0.32, `device_allocator/cumem.py`) copies each segment of torch's GPU allocator into a block
of page-locked host memory. Torch (2.13, `ATen/core/CachingHostAllocator.h`) makes each block as
large as the next power of two, and keeps it while the engine is awake. Segments are as in torch's
`c10/core/AllocatorConfig.h`: 2 MiB of tensors up to 1 MiB, 20 MiB of tensors below 10 MiB, and
otherwise one for each tensor, in steps of 2 MiB.

With the weights sleeps what the sampler allocates while the model is loaded: the Model Runner V2,
which vLLM takes where there is Triton, counts each sequence's sampled tokens by id.
"""

from training.plan.learned import BYTES, FLOAT32
from training.plan.machine import GIB
from training.plan.shape import ModelShape
from training.recipe.model import VllmRollout

MIB = 2**20
SMALL, LARGE, SEGMENT, STEP = MIB, 10 * MIB, 20 * MIB, 2 * MIB


def batch_bounds(gpu_memory: int) -> tuple[int, int]:
    """The most tokens and sequences that vLLM computes at a time (`engine/arg_utils.py`).

    Args:
        gpu_memory: Of one GPU, bytes. An A100 with 80 GB has the lower bounds, too, which is not
            told apart here.
    """
    return (16_384, 1024) if gpu_memory >= 70 * GIB else (8192, 256)


def counted_bytes(shape: ModelShape, gpu_memory: int) -> int:
    """Counts of sampled tokens: 32 bits for every sequence and id of the vocabulary."""
    return batch_bounds(gpu_memory)[1] * shape.text.vocabulary * FLOAT32


def sleeping_bytes(rollout: VllmRollout, dtype: str, shape: ModelShape, gpu_memory: int) -> int:
    """Page-locked bytes of one process.

    Args:
        rollout: How it is sampled from.
        dtype: Number format of the weights.
        shape: The policy.
        gpu_memory: Of one GPU, bytes.
    """
    size, counted = BYTES[dtype], page_locked(counted_bytes(shape, gpu_memory))
    matrices = weight_matrices(shape, rollout.tensor_parallel)
    # Biases and norms are small, and as if whole in every process.
    small = shape.total - sum(count * elements for count, elements in weight_matrices(shape))
    weights = sum(count * page_locked(elements * size) for count, elements in matrices)
    return small * size + weights + counted


def weight_matrices(shape: ModelShape, tensor_parallel: int = 1) -> list[tuple[int, int]]:
    """How many weights vLLM has of how many elements: projections of one input are one tensor.

    The vision tower is whole in every process (`mm_encoder_tp_mode`).
    """
    text, vision, shared = shape.text, shape.vision, tensor_parallel
    heads = text.num_heads // shared * text.head_width
    kv_heads = max(text.num_kv_heads // shared, 1) * text.head_width
    merged = vision.hidden * vision.merge**2
    return [
        (1 if shape.is_tied else 2, text.vocabulary // shared * text.hidden),
        (text.num_layers, (heads + 2 * kv_heads) * text.hidden),
        (text.num_layers, heads * text.hidden),
        (text.num_layers, 2 * text.intermediate // shared * text.hidden),
        (text.num_layers, text.intermediate // shared * text.hidden),
        (1, vision.patch_values * vision.hidden),
        (vision.num_layers, 3 * vision.hidden**2),
        (vision.num_layers, vision.hidden**2),
        (vision.num_layers, 2 * vision.intermediate * vision.hidden),
        (vision.num_layers, vision.intermediate * vision.hidden),
        (1, merged**2),
        (1, merged * text.hidden),
    ]


def page_locked(num_bytes: int) -> int:
    """A tensor's share of its segment's block, as if only equal ones shared a segment."""
    if num_bytes <= SMALL:
        return num_bytes
    if num_bytes < LARGE:
        return -(-_power_of_two(SEGMENT) // (SEGMENT // num_bytes))
    return _power_of_two(-(-num_bytes // STEP) * STEP)


def _power_of_two(num_bytes: int) -> int:
    return 1 << (num_bytes - 1).bit_length()
