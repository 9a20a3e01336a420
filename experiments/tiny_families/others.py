"""Families that were looked at beside the proven ones."""

import transformers as tf

from experiments.tiny_families.llava import clip, llava_tokenizer
from experiments.tiny_families.parts import (
    CHATML,
    HEAD,
    HIDDEN,
    Config,
    Processor,
    byte_tokenizer,
    rope_parameters,
    text_config,
)
from experiments.tiny_families.qwen import qwen3_processor, qwen_ids


def llava_onevision() -> tuple[Processor, Config]:
    """LLaVA-OneVision, which cuts an image into tiles only where a prompt has one."""
    named = {"image_token": "<image>", "video_token": "<video>"}
    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", *named.values())
    tokenizer = byte_tokenizer(special, "<|im_end|>", "<|endoftext|>", **named)
    size, pinpoints = {"height": 56, "width": 56}, [[56, 112], [112, 56], [112, 112]]
    processor = tf.LlavaOnevisionProcessor(
        image_processor=tf.LlavaOnevisionImageProcessor(size=size, image_grid_pinpoints=pinpoints),
        tokenizer=tokenizer,
        video_processor=tf.LlavaOnevisionVideoProcessor(size=size),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=CHATML.format(image="<image>\n"),
    )
    return processor, tf.LlavaOnevisionConfig(
        text_config=text_config(tokenizer, model_type="qwen2", rope_parameters=rope_parameters()),
        vision_config={**clip(), "model_type": "siglip_vision_model", "vision_use_head": False},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=pinpoints,
    )


def idefics3() -> tuple[Processor, Config]:
    """Idefics3: each image a global view and rows of tiles."""
    tokenizer = byte_tokenizer(
        (
            "<image>",
            "<fake_token_around_image>",
            "<end_of_utterance>",
            "<|im_start|>",
            "<|im_end|>",
        ),
        "<|im_end|>",
        "<end_of_utterance>",
    )
    processor = tf.Idefics3Processor(
        image_processor=tf.Idefics3ImageProcessor(
            size={"longest_edge": 112}, max_image_size={"longest_edge": 56}
        ),
        tokenizer=tokenizer,
        image_seq_len=4,
        chat_template=CHATML.format(image="<image>"),
    )
    return processor, tf.Idefics3Config(
        text_config=text_config(tokenizer, model_type="llama", rope_parameters=rope_parameters()),
        vision_config={
            **{"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2},
            **{"num_attention_heads": 2, "image_size": 56, "patch_size": 14},
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=tokenizer.pad_token_id,
        scale_factor=2,
    )


def mistral3() -> tuple[Processor, Config]:
    """Mistral Small 3.1, with Pixtral's tower."""
    tokenizer = llava_tokenizer()
    tokenizer.add_special_tokens(
        {"additional_special_tokens": ["[IMG]", "[IMG_BREAK]", "[IMG_END]", "<|im_start|>"]}
    )
    processor = tf.PixtralProcessor(
        image_processor=tf.PixtralImageProcessor(
            size={"longest_edge": 112}, patch_size={"height": 14, "width": 14}
        ),
        tokenizer=tokenizer,
        patch_size=14,
        spatial_merge_size=2,
        chat_template=CHATML.format(image="[IMG]"),
    )
    return processor, tf.Mistral3Config(
        text_config=text_config(
            tokenizer, model_type="mistral", rope_parameters=rope_parameters(), sliding_window=None
        ),
        vision_config={
            **{"model_type": "pixtral", "hidden_size": 64, "intermediate_size": 96},
            **{"num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 112},
            "patch_size": 14,
        },
        image_token_index=tokenizer.convert_tokens_to_ids("[IMG]"),
        spatial_merge_size=2,
    )


def qwen3_5() -> tuple[Processor, Config]:
    """Qwen3.5, of whose layers three in four keep a state and no keys."""
    processor = qwen3_processor()
    tokenizer = processor.tokenizer
    rope = rope_parameters(
        mrope_section=[2, 1, 1], mrope_interleaved=True, partial_rotary_factor=0.25
    )
    linear = {"linear_key_head_dim": 16, "linear_value_head_dim": 16}
    heads = {"linear_num_key_heads": 2, "linear_num_value_heads": 2, "head_dim": HEAD}
    config = tf.Qwen3_5Config(
        text_config={
            **text_config(tokenizer, rope_parameters=rope, **linear),
            **heads,
            "layer_types": ["linear_attention", "linear_attention", "full_attention"],
        },
        vision_config={
            **{"depth": 2, "hidden_size": 64, "intermediate_size": 96, "num_heads": 2},
            **{"patch_size": 16, "out_hidden_size": HIDDEN, "num_position_embeddings": 16},
        },
        **qwen_ids(tokenizer),
    )
    return processor, config
