"""Everything that depends on a model's family; whoever else needs to know asks here.

No list of families: names and shapes are read from the model, its configuration and its processor.
What is read wrongly is caught by `training.model.probe`, before anything is sampled or learned.
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from contracts.errors import ModelError
from training.recipe.stages import Component

# What transformers hands out has no types to check.
PretrainedModel: TypeAlias = Any
Config: TypeAlias = Any
Processor: TypeAlias = Any
Tokenizer: TypeAlias = Any
VisionOutput: TypeAlias = Any

# Parameter-name prefixes, from the most to the least specific: Qwen's and GLM's mergers lie inside
# their vision towers.
_COMPONENT_PREFIXES: tuple[tuple[str, Component], ...] = (
    ("model.visual.merger.", "projector"),
    ("model.visual.deepstack_merger_list.", "projector"),
    ("model.visual.downsample.", "projector"),
    ("model.multi_modal_projector.", "projector"),
    ("model.connector.", "projector"),
    ("model.image_newline", "projector"),
    ("model.visual.", "vision_tower"),
    ("model.vision_tower.", "vision_tower"),
    ("model.vision_model.", "vision_tower"),
    ("model.language_model.", "language_model"),
    ("model.text_model.", "language_model"),
    ("lm_head.", "language_model"),
)
# Where the configurations keep the ids that stand for pixels or embrace them, not for text.
_PLACEHOLDER_ATTRIBUTES = (
    "image_token_id",
    "image_token_index",
    "video_token_id",
    "video_token_index",
    "vision_start_token_id",
    "vision_end_token_id",
    "image_start_token_id",
    "image_end_token_id",
    "video_start_token_id",
    "video_end_token_id",
    "boi_token_index",
    "eoi_token_index",
)
# Others that only the vocabularies know: Qwen's, and InternVL's.
_PLACEHOLDER_TOKENS = ("<|vision_pad|>", "<img>", "</img>", "<video>")
# How often each pixel counts where an image processor bounds an image by its pixels. GLM counts
# an image as two frames of a video.
_PIXEL_COUNTS: Mapping[str, int] = {
    "qwen2_vl": 1,
    "qwen2_5_vl": 1,
    "qwen3_vl": 1,
    "qwen3_vl_moe": 1,
    "glm4v": 2,
}
# What a processor returns beside ids and pixels: which tokens are an image's.
TOKEN_TYPES = ("mm_token_type_ids", "token_type_ids")
_NO_PIXELS = ("input_ids", "attention_mask", *TOKEN_TYPES)


def component_of(parameter_name: str) -> Component | None:
    """Which part of a vision-language model a parameter belongs to; None if it is unknown."""
    for prefix, component in _COMPONENT_PREFIXES:
        if parameter_name.startswith(prefix):
            return component
    return None


def visual_token_cost(model: PretrainedModel) -> float:
    """What a visual token costs the vision tower, in tokens of the language model.

    By the parameters that each passes through, and by the passes: a tower that does not learn has
    no backward pass, which costs two. Patches that are merged into one token pass one by one.

    Raises:
        ModelError: See `patches_per_token`.
    """
    sizes = {"vision_tower": 0.0, "language_model": 0.0}
    for name, weight in model.named_parameters():
        component = component_of(name)
        if component in sizes:
            sizes[component] += weight.numel() * (3 if weight.requires_grad else 1)
    patches = patches_per_token(model.config)
    return patches * sizes["vision_tower"] / sizes["language_model"]


def patches_per_token(config: Config) -> float:
    """How many patches of an image become one visual token; in LLaVA's families about as many.

    Raises:
        ModelError: The configuration does not say it in a way that is known here.
    """
    vision = config.vision_config
    # Patches a side: Qwen and GLM, Mistral3, Idefics3.
    for part, name in (
        (vision, "spatial_merge_size"),
        (config, "spatial_merge_size"),
        (config, "scale_factor"),
    ):
        if side := getattr(part, name, None):
            return float(side**2)
    if ratio := getattr(config, "downsample_ratio", None):  # InternVL: tokens for a patch, a side
        return float(ratio**-2)
    if num_tokens := getattr(config, "mm_tokens_per_image", None):  # Gemma3
        return float((vision.image_size // vision.patch_size) ** 2 / num_tokens)
    if config.model_type.startswith("llava"):
        return 1.0
    raise ModelError(
        "The configuration does not say how many patches of an image become one visual token.",
        where=f"hardware.share_images = true, model type {config.model_type!r}",
        rule="what a visual token costs is known where responses share images",
        fix="set hardware.share_images = false, or teach training.model.family this family",
    )


def placeholder_ids(config: Config, tokenizer: Tokenizer) -> set[int]:
    """Ids that stand for images and videos, or for their beginnings and ends."""
    ids = {getattr(config, name, None) for name in _PLACEHOLDER_ATTRIBUTES}
    vocabulary = tokenizer.get_vocab()
    ids |= {vocabulary.get(token) for token in _PLACEHOLDER_TOKENS}
    return {token_id for token_id in ids if token_id is not None}


def bound_pixels(config: Config, processor: Processor, max_pixels: int) -> None:
    """Makes the image processor shrink larger images; it is saved with the stage's checkpoint.

    Raises:
        ModelError: The family's image processor has no such bound.
    """
    if config.model_type not in _PIXEL_COUNTS:
        raise ModelError(
            f"{type(processor.image_processor).__name__} has no bound on an image's pixels.",
            where=f"model.max_pixels = {max_pixels}, model type {config.model_type!r}",
            rule=f"max_pixels is for {', '.join(sorted(_PIXEL_COUNTS))}",
            fix="remove model.max_pixels: this family resizes images to a size of its own",
        )
    longest = max_pixels * _PIXEL_COUNTS[config.model_type]
    processor.image_processor.size["longest_edge"] = longest


def processor_settings(config: Config, processor: Processor) -> dict[str, Any]:
    """What another copy of the processor, read from the model's files, has to be told."""
    if config.model_type not in _PIXEL_COUNTS:
        return {}
    return {"size": dict(processor.image_processor.size)}


def completed_config(config: Config) -> Config:
    """A configuration that says what the code of transformers takes for granted, for vLLM.

    In Qwen3-VL the three axes of M-RoPE are interleaved, in its MoE the chosen experts' weights sum
    to 1, and GLM-4V's projections of queries, keys and values have biases. transformers always does
    so; vLLM only where the configuration says it, as the published ones do. Without the first it
    rotates by the sections of Qwen2-VL: 0.03 to 0.7 nats on prompts with images, none on texts.
    """
    text = config.get_text_config()
    if config.model_type in ("qwen3_vl", "qwen3_vl_moe"):
        text.rope_parameters["mrope_interleaved"] = True
    if config.model_type == "qwen3_vl_moe":
        text.norm_topk_prob = True
    if config.model_type == "glm4v":
        text.attention_bias = True
    return config


def as_published(
    model: PretrainedModel, name: str, weight: torch.Tensor
) -> tuple[str, torch.Tensor]:
    """A parameter as the family's published files name and lay it out, where vLLM knows no other.

    CLIP's and SigLIP's towers have one module less in transformers since version 5, and Qwen3-VL's
    experts are transposed.
    """
    prefix = "model.vision_tower."
    tower = getattr(model.base_model, "vision_tower", None)
    if name.startswith(prefix) and type(tower).__name__ in ("CLIPVisionModel", "SiglipVisionModel"):
        return f"{prefix}vision_model.{name.removeprefix(prefix)}", weight
    if transposes_experts(model) and ".mlp.experts." in name:
        return name, weight.transpose(1, 2).contiguous()
    return name, weight


def transposes_experts(model: PretrainedModel) -> bool:
    """Whether transformers would save the experts as vLLM cannot read them: Qwen3-VL-MoE."""
    return bool(model.config.model_type == "qwen3_vl_moe")


def special_token_settings(tokenizer: Tokenizer, text: str) -> dict[str, bool]:
    """How to cut a rendered conversation: templates that write a begin-of-text token want no other.

    This is the rule of transformers' own `apply_chat_template`.
    """
    begin = tokenizer.bos_token
    writes_begin = begin is not None and text.startswith(begin)
    return {"add_special_tokens": False} if writes_begin else {}


def vision_inputs(processed: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What of a processor's output the vision tower takes, e.g. pixels, grids and sizes."""
    return {name: value for name, value in processed.items() if name not in _NO_PIXELS}


def joined(parts: Sequence[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """What a processor would make of several prompts' images at once: see `vision_inputs`.

    Families whose pictures have sizes of their own pad the smaller ones with zeros.
    """
    return {name: _joined([part[name] for part in parts]) for name in parts[0]}


def _joined(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    widest = [max(sizes) for sizes in zip(*(one.shape[1:] for one in tensors), strict=True)]
    joined = tensors[0].new_zeros(sum(len(one) for one in tensors), *widest)
    start = 0
    for one in tensors:
        joined[(slice(start, start + len(one)), *map(slice, one.shape[1:]))] = one
        start += len(one)
    return joined


def image_features(
    model: PretrainedModel,
    pixels: Mapping[str, torch.Tensor],
    num_visual_tokens: Sequence[int],
    rows: Sequence[int],
) -> VisionOutput:
    """Runs the vision tower once over the images of some prompts, and deals the features out.

    They are dealt by whole prompts: how many visual tokens a prompt has is known from its ids,
    however the family cuts an image into tiles.

    Args:
        model: The image-text-to-text model.
        pixels: See `vision_inputs`; of all prompts, in order.
        num_visual_tokens: Placeholders of each prompt [P].
        rows: For every sequence, which of the prompts it begins with [S].

    Returns:
        The vision tower's output, with the features of the sequences one after another.

    Raises:
        ModelError: The tower gives another number of features than there are placeholders.
    """
    features = model.base_model.get_image_features(**pixels, return_dict=True)

    def deal(parts: VisionOutput) -> torch.Tensor:
        flat = torch.cat(list(parts)) if isinstance(parts, tuple | list) else parts.flatten(0, -2)
        if len(flat) != sum(num_visual_tokens):
            raise ModelError(
                f"The vision tower makes {len(flat)} features for {sum(num_visual_tokens)} "
                "placeholders.",
                where=f"model type {model.config.model_type!r}",
                rule="a prompt has one placeholder for each visual feature",
                fix="choose a model family of docs/models.md",
            )
        shares = flat.split(list(num_visual_tokens))
        return torch.cat([shares[row] for row in rows])

    dealt = deal(features.pooler_output)
    is_tensor = isinstance(features.pooler_output, torch.Tensor)
    features.pooler_output = dealt if is_tensor else (dealt,)
    if "deepstack_features" in features:  # Qwen3-VL: features for several layers
        features.deepstack_features = [(deal(layer),) for layer in features.deepstack_features]
    return features


def type_arguments(model: PretrainedModel, token_types: torch.Tensor) -> dict[str, torch.Tensor]:
    """Token types under the name that the model takes them by, if it takes any.

    In Gemma3 an image's tokens attend to each other in both directions.
    """
    taken = inspect.signature(model.base_model.forward).parameters
    return {name: token_types for name in TOKEN_TYPES if name in taken}


def position_arguments(
    model: PretrainedModel,
    token_ids: torch.Tensor,
    token_types: torch.Tensor,
    pixels: Mapping[str, torch.Tensor],
    image_rows: Sequence[int],
) -> dict[str, torch.Tensor]:
    """`position_ids` [3, S, T] where images have positions in space (M-RoPE); else nothing.

    Args:
        model: The image-text-to-text model.
        token_ids: [S, T].
        token_types: 1 for an image's placeholder, else 0 [S, T].
        pixels: See `vision_inputs`.
        image_rows: For every image in the order of the sequences, its row in `pixels`.
    """
    if not hasattr(model.base_model, "get_rope_index"):
        return {}
    positions, _ = model.base_model.get_rope_index(
        token_ids,
        mm_token_type_ids=token_types,
        image_grid_thw=pixels["image_grid_thw"][list(image_rows)],
    )
    return {"position_ids": positions}


def attention_windows(model: PretrainedModel) -> list[int | None]:
    """How far back each layer of the language model attends, tokens; None without a bound.

    Raises:
        ModelError: A layer keeps something else than the keys and values of single tokens.
    """
    config = model.config.get_text_config(decoder=True)
    layers = DynamicCache(config=config).layers
    kinds = {type(layer) for layer in layers}
    unknown = {kind.__name__ for kind in kinds - {DynamicLayer, DynamicSlidingWindowLayer}}
    # Chunks are cached as windows are, but attended to otherwise.
    if getattr(config, "attention_chunk_size", None):
        unknown.add("chunks")
    windows = {layer.sliding_window for layer in layers if hasattr(layer, "sliding_window")}
    if len(windows) > 1:
        unknown.add(f"windows of {sorted(windows)} tokens")
    if unknown:
        raise ModelError(
            f"The language model keeps {', '.join(sorted(unknown))} between tokens, "
            "which the decoder does not know.",
            where=f"model type {model.config.model_type!r}",
            rule="a layer attends to all earlier tokens or to a sliding window of them",
            fix="choose a family of docs/models.md, or the engine vllm",
        )
    return [getattr(layer, "sliding_window", None) for layer in layers]


def masks_by_layer(
    windows: Sequence[int | None], full: torch.Tensor, sliding: torch.Tensor | None
) -> torch.Tensor | dict[str, torch.Tensor]:
    """Attention masks as the language model takes them: by kind of layer if it has two kinds."""
    if sliding is None:
        return full
    if None not in windows:
        return sliding
    return {"full_attention": full, "sliding_attention": sliding}


def sliding_window(model: PretrainedModel) -> int | None:
    """The least number of tokens that a layer attends to, itself included; None without a bound."""
    config = model.config.get_text_config(decoder=True)
    layers = DynamicCache(config=config).layers
    windows = (getattr(layer, "sliding_window", None) for layer in layers)
    return min((window for window in windows if window is not None), default=None)


def cache_values_per_token(model: PretrainedModel) -> int:
    """Numbers that all layers keep of one token: its keys and values."""
    config = model.config.get_text_config(decoder=True)
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * config.num_key_value_heads * width)


def rotary_embeddings(model: PretrainedModel) -> Iterator[torch.nn.Module]:
    """The modules of the language model that are called with the tokens' positions."""
    for name, module in model.named_modules():
        if name.endswith("rotary_emb") and component_of(f"{name}.") == "language_model":
            yield module
