"""What a forward pass keeps for its backward pass, and what both need besides.

Counted per layer of Qwen2.5-VL as transformers computes it, with attention that keeps no scores
(`scaled_dot_product_attention` without a mask). tests/training/plan/test_activations.py compares
with what autograd really saves, and with the measured peak of an update.
"""

from dataclasses import dataclass

from training.plan.learned import BYTES, FLOAT32, is_reduced_alone, layers_in_a_bucket
from training.plan.shape import ModelShape, TextShape, VisionShape
from training.recipe.stages import Stage

CHUNK_LOGITS = 2**24  # as in training.model.log_probs
# Float32 buffers of a chunk's logits that the head's backward pass has at a time.
HEAD_BUFFERS = 2


@dataclass(frozen=True)
class MicroBatch:
    """The largest that a rank computes at a time.

    Attributes:
        tokens: Padding included.
        patches: Of its images.
    """

    tokens: int
    patches: int = 0


@dataclass(frozen=True)
class Activations:
    """Bytes of one rank in an update, which peaks in the head or in the last layer.

    Attributes:
        saved: Kept from the forward pass.
        head: What the head needs besides, in its backward pass.
        layer: What the last layer needs besides: what is computed again, and its gradients, less
            what the head has given back; and a tied head's own gradient, which waits for the
            embedding's. At least the head's gradient, which is there when a bucket takes it, and
            the embedding's beside it where they are tied.
        weight: What the last layer needs besides when the gradient of its first weight is done, and
            its hook runs. The first one back from the head, the MLP's last, has the most beside it.
            At least the head's gradient where that is reduced alone, in a hook before the layer's.
        freed: Of the saved, what layers have given back before a bucket of gradients is full.
    """

    saved: int
    head: int
    layer: int
    weight: int
    freed: int


def _norm(width: int, size: int, *, learns: bool = True) -> int:
    """An RMS norm of one token: its float32 input and root, what it is scaled from, its output."""
    return FLOAT32 * width + FLOAT32 + (learns + 1) * size * width


def text_layer(text: TextShape, size: int, lora_rank: int | None = None) -> int:
    """Bytes that one decoder layer keeps of one token.

    Args:
        text: The language model.
        size: Bytes of a number.
        lora_rank: Of its adapters, whose base is frozen.
    """
    norms = 2 * _norm(text.hidden, size, learns=lora_rank is None)
    width = text.head_width
    attention = (2 * text.num_heads + 2 * text.num_kv_heads) * width * size
    mlp = 4 * text.intermediate * size
    adapters = 7 * lora_rank * size if lora_rank else 0  # of seven linear layers
    return norms + attention + FLOAT32 * text.num_heads + mlp + adapters


def vision_layer(vision: VisionShape, size: int) -> int:
    """Bytes that one block of the vision tower keeps of one patch.

    Queries, keys, values and outputs are kept as they are, queries and keys rotated as well, and
    the outputs once more as one tensor.
    """
    norms = 2 * _norm(vision.hidden, size)
    attention = 7 * vision.hidden * size + FLOAT32 * vision.num_heads
    return norms + attention + 4 * vision.intermediate * size


def activations(
    shape: ModelShape, stage: Stage, batch: MicroBatch, *, dtype: str, checkpointing: bool
) -> Activations:
    """An update's activations.

    Args:
        shape: The policy.
        stage: Its section of the recipe: what is frozen, and adapters.
        batch: The largest micro-batch.
        dtype: The recipe's.
        checkpointing: Whether a layer keeps its input alone.
    """
    size, text = BYTES[dtype], shape.text
    layer = text_layer(text, size, stage.lora.rank if stage.lora else None)
    kept = text.hidden * size if checkpointing else layer
    end = _norm(text.hidden, size) + text.hidden * size
    rotations = 2 * text.head_width * size
    saved = batch.tokens * (text.num_layers * kept + rotations + end)
    saved += batch.patches * _of_a_patch(shape, stage, size, checkpointing=checkpointing)
    # A float32 layer's input is what its first norm keeps as well.
    again = layer - kept * (size == FLOAT32) if checkpointing else 0
    # Of the four that the MLP has kept, the product is freed before the gradients of its factors,
    # and its own gradient is in its place while the hook of the weight after it runs.
    factors = 2 * text.intermediate * size
    before = batch.tokens * (again + text.hidden * size - end)
    of_head = _head_gradient(shape, stage, size)
    before += of_head * shape.is_tied
    return Activations(
        saved,
        _head(shape, batch) + of_head,
        layer=max(before + batch.tokens * factors, of_head * (1 + shape.is_tied)),
        weight=max(
            before + _last_weight(text, stage) * size, of_head * is_reduced_alone(shape.head)
        ),
        freed=batch.tokens * kept * layers_in_a_bucket(shape, stage),
    )


def _last_weight(text: TextShape, stage: Stage) -> int:
    """Elements of the gradient of a layer's last weight, where it learns."""
    if "language_model" in stage.freeze:
        return 0
    return text.intermediate * (stage.lora.rank if stage.lora else text.hidden)


def _of_a_patch(shape: ModelShape, stage: Stage, size: int, *, checkpointing: bool) -> int:
    """Bytes that the vision tower and the projector keep of one patch."""
    vision = shape.vision
    adapted = stage.lora.components if stage.lora else ("vision_tower", "projector")
    learning = set(adapted) - set(stage.freeze)
    merger = _norm(vision.hidden, size) + 2 * vision.hidden * size
    features = shape.text.hidden * size // vision.merge**2
    if "vision_tower" not in learning:
        return merger + features if "projector" in learning else 0
    layer = vision.hidden * size if checkpointing else vision_layer(vision, size)
    return vision.num_layers * layer + vision.patch_values * size + merger + features


def _head(shape: ModelShape, batch: MicroBatch) -> int:
    """A chunk's logits, and the hidden states' gradient in float32."""
    vocabulary = shape.text.vocabulary
    chunk = min(max(CHUNK_LOGITS // batch.tokens, 1), vocabulary) * batch.tokens
    return (HEAD_BUFFERS * chunk + batch.tokens * shape.text.hidden) * FLOAT32


def _head_gradient(shape: ModelShape, stage: Stage, size: int) -> int:
    learns = stage.lora is None and "language_model" not in stage.freeze
    return shape.head * size * learns
