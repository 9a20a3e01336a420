"""LLaVA and its kin: towers of CLIP, SigLIP or InternViT, images or tiles of one size."""

import transformers as tf

from experiments.tiny_families.parts import (
    CHATML,
    HEAD,
    Config,
    Processor,
    Setting,
    Tokenizer,
    byte_tokenizer,
    rope_parameters,
    text_config,
)

_LLAVA = (
    "<s>{% for message in messages %}{% if message['role'] != 'system' %}"
    "{{ message['role'].upper() }}: {% endif %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>\n"
    "{% else %}{{ part['text'] }} {% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
_GEMMA = (
    "<bos>{% for message in messages %}{% if message['role'] == 'system' %}"
    "{% else %}<start_of_turn>user\n{% if loop.index0 == 1 %}"
    "{{ messages[0]['content'][0]['text'] }}\n\n{% endif %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<start_of_image>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}<end_of_turn>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
_SLIDING_WINDOW = 16


def clip() -> dict[str, Setting]:
    """A CLIP tower."""
    return {
        **{"model_type": "clip_vision_model", "hidden_size": 64, "intermediate_size": 96},
        **{"num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 56, "patch_size": 14},
    }


def llava_tokenizer() -> Tokenizer:
    """Llama's special tokens, and the image's."""
    tokenizer = byte_tokenizer(["<image>", "<s>", "</s>", "<pad>"], "</s>", "<pad>")
    tokenizer.bos_token = "<s>"
    return tokenizer


def llava() -> tuple[Processor, Config]:
    """LLaVA 1.5."""
    tokenizer = llava_tokenizer()
    processor = tf.LlavaProcessor(
        image_processor=tf.CLIPImageProcessor(
            size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}
        ),
        tokenizer=tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=_LLAVA,
    )
    return processor, tf.LlavaConfig(
        text_config=text_config(tokenizer, model_type="llama", rope_parameters=rope_parameters()),
        vision_config=clip(),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=16,
    )


def llava_next() -> tuple[Processor, Config]:
    """LLaVA-Next, whose images are tiles that depend on their shape."""
    tokenizer = llava_tokenizer()
    pinpoints = [[56, 112], [112, 56], [112, 112]]
    processor = tf.LlavaNextProcessor(
        image_processor=tf.LlavaNextImageProcessor(
            size={"shortest_edge": 56},
            crop_size={"height": 56, "width": 56},
            image_grid_pinpoints=pinpoints,
        ),
        tokenizer=tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=_LLAVA,
    )
    return processor, tf.LlavaNextConfig(
        text_config=text_config(
            tokenizer, model_type="mistral", rope_parameters=rope_parameters(), sliding_window=None
        ),
        vision_config=clip(),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=pinpoints,
        image_seq_length=16,
    )


def internvl() -> tuple[Processor, Config]:
    """InternVL 3, whose images are tiles."""
    named = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", *named.values())
    tokenizer = byte_tokenizer(special, "<|im_end|>", "<|endoftext|>", **named)
    size = {"height": 56, "width": 56}
    processor = tf.InternVLProcessor(
        image_processor=tf.GotOcr2ImageProcessor(size=size, crop_to_patches=True, max_patches=4),
        tokenizer=tokenizer,
        video_processor=tf.InternVLVideoProcessor(size=size),
        image_seq_length=4,
        chat_template=CHATML.format(image="<IMG_CONTEXT>\n"),
    )
    vision = {
        **{"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2},
        **{"num_attention_heads": 2, "image_size": [56, 56], "patch_size": [14, 14]},
    }
    return processor, tf.InternVLConfig(
        text_config=text_config(tokenizer, model_type="qwen2", rope_parameters=rope_parameters()),
        vision_config=vision,
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
    )


def gemma3() -> tuple[Processor, Config]:
    """Gemma3: sliding windows, and images whose tokens see each other in both directions."""
    named = {
        "boi_token": "<start_of_image>",
        "eoi_token": "<end_of_image>",
        "image_token": "<image_soft_token>",
    }
    special = ("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>", *named.values())
    tokenizer = byte_tokenizer(special, "<eos>", "<pad>", **named)
    tokenizer.bos_token = "<bos>"
    tokenizer.add_tokens(["\n" * count for count in (1, 2, 3, 4)])  # as in Gemma's vocabulary
    processor = tf.Gemma3Processor(
        image_processor=tf.Gemma3ImageProcessor(size={"height": 56, "width": 56}),
        tokenizer=tokenizer,
        image_seq_length=4,
        chat_template=_GEMMA,
    )
    layers = ["sliding_attention", "sliding_attention", "full_attention"]
    window = {"sliding_window": _SLIDING_WINDOW, "query_pre_attn_scalar": HEAD}
    return processor, tf.Gemma3Config(
        text_config=text_config(tokenizer, layer_types=layers, **window),
        vision_config={
            **{"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2},
            **{"num_attention_heads": 2, "image_size": 56, "patch_size": 14},
            "vision_use_head": False,
        },
        mm_tokens_per_image=4,
        image_token_index=tokenizer.convert_tokens_to_ids("<image_soft_token>"),
        boi_token_index=tokenizer.convert_tokens_to_ids("<start_of_image>"),
        eoi_token_index=tokenizer.convert_tokens_to_ids("<end_of_image>"),
    )
