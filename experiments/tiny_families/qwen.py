"""Qwen2-VL to Qwen3-VL, and GLM-4V: images of any size, and positions in space."""

import transformers as tf

from experiments.tiny_families.parts import (
    CHATML,
    HIDDEN,
    Config,
    Processor,
    Setting,
    StockClass,
    Tokenizer,
    byte_tokenizer,
    rope_parameters,
    text_config,
)

_GLM = (
    "[gMASK]<sop>{% for message in messages %}<|{{ message['role'] }}|>\n"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}"
    "<|begin_of_image|><|image|><|end_of_image|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
_QWEN_TOKENS = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"),
    *("<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
)
_GLM_TOKENS = (
    *("<|endoftext|>", "<|user|>", "[gMASK]", "<sop>", "<|system|>", "<|assistant|>"),
    *("<|begin_of_image|>", "<|image|>", "<|end_of_image|>"),
    *("<|begin_of_video|>", "<|video|>", "<|end_of_video|>"),
)


def qwen_ids(tokenizer: Tokenizer) -> dict[str, Setting]:
    """Ids of Qwen's placeholders, as the configurations name them."""
    names = {
        "image_token_id": "<|image_pad|>",
        "video_token_id": "<|video_pad|>",
        "vision_start_token_id": "<|vision_start|>",
        "vision_end_token_id": "<|vision_end|>",
    }
    return {name: tokenizer.convert_tokens_to_ids(token) for name, token in names.items()}


def _qwen2(
    processor_class: StockClass, config_class: StockClass, vision: dict[str, Setting]
) -> tuple[Processor, Config]:
    tokenizer = byte_tokenizer(_QWEN_TOKENS, "<|im_end|>", "<|endoftext|>")
    pixels = {"min_pixels": 28 * 28, "max_pixels": 28 * 28 * 16}
    processor = processor_class(
        image_processor=tf.Qwen2VLImageProcessor(**pixels),
        tokenizer=tokenizer,
        video_processor=tf.Qwen2VLVideoProcessor(**pixels),
        chat_template=CHATML.format(image="<|vision_start|><|image_pad|><|vision_end|>"),
    )
    text = text_config(tokenizer, rope_parameters=rope_parameters(mrope_section=[4, 6, 6]))
    return processor, config_class(
        text_config=text, vision_config=vision, tie_word_embeddings=True, **qwen_ids(tokenizer)
    )


def qwen2_vl() -> tuple[Processor, Config]:
    """Qwen2-VL."""
    vision = {"depth": 2, "embed_dim": 64, "num_heads": 2, "mlp_ratio": 2, "hidden_size": HIDDEN}
    return _qwen2(tf.Qwen2VLProcessor, tf.Qwen2VLConfig, vision)


def qwen2_5_vl() -> tuple[Processor, Config]:
    """Qwen2.5-VL, with windows in its vision tower."""
    vision = {
        **{"depth": 2, "hidden_size": 64, "intermediate_size": 96, "num_heads": 2},
        **{"out_hidden_size": HIDDEN, "window_size": 56, "fullatt_block_indexes": [1]},
    }
    return _qwen2(tf.Qwen2_5_VLProcessor, tf.Qwen2_5_VLConfig, vision)


def qwen3_processor() -> Processor:
    """Qwen3-VL's processor, which Qwen3.5 shares."""
    size = {"shortest_edge": 32 * 32, "longest_edge": 32 * 32 * 16}
    return tf.Qwen3VLProcessor(
        image_processor=tf.Qwen2VLImageProcessor(patch_size=16, size=size),
        tokenizer=byte_tokenizer(_QWEN_TOKENS, "<|im_end|>", "<|endoftext|>"),
        video_processor=tf.Qwen3VLVideoProcessor(size=size),
        chat_template=CHATML.format(image="<|vision_start|><|image_pad|><|vision_end|>"),
    )


def _qwen3(config_class: StockClass, **text: Setting) -> tuple[Processor, Config]:
    processor = qwen3_processor()
    tokenizer = processor.tokenizer
    rope = rope_parameters(mrope_section=[6, 5, 5], mrope_interleaved=True)
    vision = {
        **{"depth": 3, "hidden_size": 64, "intermediate_size": 96, "num_heads": 2},
        **{"patch_size": 16, "out_hidden_size": HIDDEN, "num_position_embeddings": 16},
        "deepstack_visual_indexes": [0, 1],
    }
    return processor, config_class(
        text_config=text_config(tokenizer, rope_parameters=rope, **text),
        vision_config=vision,
        tie_word_embeddings=True,
        **qwen_ids(tokenizer),
    )


def qwen3_vl() -> tuple[Processor, Config]:
    """Qwen3-VL, with features for several layers."""
    return _qwen3(tf.Qwen3VLConfig)


def qwen3_vl_moe() -> tuple[Processor, Config]:
    """Qwen3-VL with experts."""
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 96}
    return _qwen3(tf.Qwen3VLMoeConfig, tie_word_embeddings=True, **experts)


def glm4v() -> tuple[Processor, Config]:
    """GLM-4.1V."""
    tokenizer = byte_tokenizer(_GLM_TOKENS, "<|endoftext|>", "<|endoftext|>")
    size = {"shortest_edge": 28 * 28 * 2, "longest_edge": 28 * 28 * 16 * 2}
    processor = tf.Glm4vProcessor(
        image_processor=tf.Glm4vImageProcessor(size=size),
        tokenizer=tokenizer,
        video_processor=tf.Glm4vVideoProcessor(size=size),
        chat_template=_GLM,
    )
    names = {
        "image_token_id": "<|image|>",
        "video_token_id": "<|video|>",
        "image_start_token_id": "<|begin_of_image|>",
        "image_end_token_id": "<|end_of_image|>",
        "video_start_token_id": "<|begin_of_video|>",
        "video_end_token_id": "<|end_of_video|>",
    }
    vision = {
        **{"depth": 2, "hidden_size": 64, "intermediate_size": 96, "num_heads": 2},
        **{"out_hidden_size": HIDDEN, "image_size": 112, "patch_size": 14},
    }
    rope = rope_parameters(mrope_section=[4, 6, 6], partial_rotary_factor=1.0)
    config = tf.Glm4vConfig(
        text_config=text_config(tokenizer, rope_parameters=rope),
        vision_config=vision,
        **{name: tokenizer.convert_tokens_to_ids(token) for name, token in names.items()},
    )
    return processor, config
