"""One tiny random model of each family, with its real processor class, saved as a model folder.

No hub is needed: the models come from transformers' configurations, a tokenizer of bytes and
chat templates in each family's format. Their numbers are random, and their shapes are the
families': deepstack, experts, tiles, sliding windows, positions in space.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import tokenizers as tk
import torch
import transformers as tf

# Of transformers, untyped.
Tokenizer: TypeAlias = Any
Processor: TypeAlias = Any
Config: TypeAlias = Any
StockClass: TypeAlias = Any
Setting: TypeAlias = Any

_HIDDEN = 64
_HEAD = 32  # the smallest that vLLM's attention for CPUs takes
_DEVIATION = 0.15  # wide enough that the distributions of next tokens are far from flat
_SPARE_ROWS = 8  # of the embedding, as the published models have
_SLIDING_WINDOW = 16
_CHATML = (
    "{{% for message in messages %}}<|im_start|>{{{{ message['role'] }}}}\n"
    "{{% for part in message['content'] %}}{{% if part['type'] == 'image' %}}{image}"
    "{{% else %}}{{{{ part['text'] }}}}{{% endif %}}{{% endfor %}}<|im_end|>\n{{% endfor %}}"
    "{{% if add_generation_prompt %}}<|im_start|>assistant\n{{% endif %}}"
)
_GLM = (
    "[gMASK]<sop>{% for message in messages %}<|{{ message['role'] }}|>\n"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}"
    "<|begin_of_image|><|image|><|end_of_image|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
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
_QWEN_TOKENS = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"),
    *("<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
)
_GLM_TOKENS = (
    *("<|endoftext|>", "<|user|>", "[gMASK]", "<sop>", "<|system|>", "<|assistant|>"),
    *("<|begin_of_image|>", "<|image|>", "<|end_of_image|>"),
    *("<|begin_of_video|>", "<|video|>", "<|end_of_video|>"),
)


@dataclass(frozen=True)
class TinyFamily:
    """How to make one.

    Attributes:
        name: As people write it.
        model_type: As transformers writes it.
        build: Makes the processor and the configuration.
    """

    name: str
    model_type: str
    build: Callable[[], tuple[Processor, Config]]

    def save(self, folder: Path, seed: int = 0) -> Path:
        """Writes the model folder; the same seed writes the same weights."""
        processor, config = self.build()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = tf.AutoModelForImageTextToText.from_config(config).float()
            with torch.no_grad():
                for name, parameter in model.named_parameters():
                    if parameter.dim() > 1 or "bias" in name:
                        parameter.normal_(std=_DEVIATION)
        tokenizer = processor.tokenizer
        model.generation_config = tf.GenerationConfig(
            eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
        )
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
        return folder


def _tokenizer(special: Sequence[str], eos: str, pad: str, **named: str) -> Tokenizer:
    """A tokenizer of bytes with a family's special tokens, of which some have names."""
    alphabet = sorted(tk.pre_tokenizers.ByteLevel.alphabet())
    # Two line breaks are one token, as in most vocabularies: what is cut must be cut together.
    line = tk.pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str("\n")[0][0]
    vocabulary = {symbol: i for i, symbol in enumerate([*alphabet, line * 2, line * 3])}
    backend = tk.Tokenizer(tk.models.BPE(vocab=vocabulary, merges=[(line, line), (line * 2, line)]))
    backend.pre_tokenizer = tk.pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = tk.decoders.ByteLevel()
    tokenizer = tf.PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token=eos,
        pad_token=pad,
        padding_side="left",
        model_max_length=2048,
        extra_special_tokens=named,
    )
    tokenizer.add_special_tokens({"additional_special_tokens": list(special)})
    return tokenizer


def _text(tokenizer: Tokenizer, **changes: Setting) -> dict[str, Setting]:
    """What the language models have in common."""
    return {
        "vocab_size": len(tokenizer) + _SPARE_ROWS,
        "hidden_size": _HIDDEN,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": _HEAD,
        "max_position_embeddings": 2048,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        **changes,
    }


def _rope(**changes: Setting) -> dict[str, Setting]:
    return {"rope_type": "default", "rope_theta": 10000.0, **changes}


def _qwen_ids(tokenizer: Tokenizer) -> dict[str, Setting]:
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
    tokenizer = _tokenizer(_QWEN_TOKENS, "<|im_end|>", "<|endoftext|>")
    pixels = {"min_pixels": 28 * 28, "max_pixels": 28 * 28 * 16}
    processor = processor_class(
        image_processor=tf.Qwen2VLImageProcessor(**pixels),
        tokenizer=tokenizer,
        video_processor=tf.Qwen2VLVideoProcessor(**pixels),
        chat_template=_CHATML.format(image="<|vision_start|><|image_pad|><|vision_end|>"),
    )
    text = _text(tokenizer, rope_parameters=_rope(mrope_section=[4, 6, 6]))
    return processor, config_class(
        text_config=text, vision_config=vision, tie_word_embeddings=True, **_qwen_ids(tokenizer)
    )


def _qwen2_vl() -> tuple[Processor, Config]:
    vision = {"depth": 2, "embed_dim": 64, "num_heads": 2, "mlp_ratio": 2, "hidden_size": _HIDDEN}
    return _qwen2(tf.Qwen2VLProcessor, tf.Qwen2VLConfig, vision)


def _qwen2_5_vl() -> tuple[Processor, Config]:
    vision = {
        **{"depth": 2, "hidden_size": 64, "intermediate_size": 96, "num_heads": 2},
        **{"out_hidden_size": _HIDDEN, "window_size": 56, "fullatt_block_indexes": [1]},
    }
    return _qwen2(tf.Qwen2_5_VLProcessor, tf.Qwen2_5_VLConfig, vision)


def _qwen3(config_class: StockClass, **text: Setting) -> tuple[Processor, Config]:
    tokenizer = _tokenizer(_QWEN_TOKENS, "<|im_end|>", "<|endoftext|>")
    size = {"shortest_edge": 32 * 32, "longest_edge": 32 * 32 * 16}
    processor = tf.Qwen3VLProcessor(
        image_processor=tf.Qwen2VLImageProcessor(patch_size=16, size=size),
        tokenizer=tokenizer,
        video_processor=tf.Qwen3VLVideoProcessor(size=size),
        chat_template=_CHATML.format(image="<|vision_start|><|image_pad|><|vision_end|>"),
    )
    rope = _rope(mrope_section=[6, 5, 5], mrope_interleaved=True)
    vision = {
        **{"depth": 3, "hidden_size": 64, "intermediate_size": 96, "num_heads": 2},
        **{"patch_size": 16, "out_hidden_size": _HIDDEN, "num_position_embeddings": 16},
        "deepstack_visual_indexes": [0, 1],
    }
    return processor, config_class(
        text_config=_text(tokenizer, rope_parameters=rope, **text),
        vision_config=vision,
        tie_word_embeddings=True,
        **_qwen_ids(tokenizer),
    )


def _qwen3_vl() -> tuple[Processor, Config]:
    return _qwen3(tf.Qwen3VLConfig)


def _qwen3_vl_moe() -> tuple[Processor, Config]:
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64}
    return _qwen3(tf.Qwen3VLMoeConfig, tie_word_embeddings=True, **experts)


def _glm4v() -> tuple[Processor, Config]:
    tokenizer = _tokenizer(_GLM_TOKENS, "<|endoftext|>", "<|endoftext|>")
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
        **{"out_hidden_size": _HIDDEN, "image_size": 112, "patch_size": 14},
    }
    rope = _rope(mrope_section=[4, 6, 6], partial_rotary_factor=1.0)
    config = tf.Glm4vConfig(
        text_config=_text(tokenizer, rope_parameters=rope),
        vision_config=vision,
        **{name: tokenizer.convert_tokens_to_ids(token) for name, token in names.items()},
    )
    return processor, config


def _clip() -> dict[str, Setting]:
    return {
        **{"model_type": "clip_vision_model", "hidden_size": 64, "intermediate_size": 96},
        **{"num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 56, "patch_size": 14},
    }


def _llava_tokenizer() -> Tokenizer:
    tokenizer = _tokenizer(["<image>", "<s>", "</s>", "<pad>"], "</s>", "<pad>")
    tokenizer.bos_token = "<s>"
    return tokenizer


def _llava() -> tuple[Processor, Config]:
    tokenizer = _llava_tokenizer()
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
        text_config=_text(tokenizer, model_type="llama", rope_parameters=_rope()),
        vision_config=_clip(),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=16,
    )


def _llava_next() -> tuple[Processor, Config]:
    tokenizer = _llava_tokenizer()
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
        text_config=_text(
            tokenizer, model_type="mistral", rope_parameters=_rope(), sliding_window=None
        ),
        vision_config=_clip(),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=pinpoints,
        image_seq_length=16,
    )


def _internvl() -> tuple[Processor, Config]:
    named = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", *named.values())
    tokenizer = _tokenizer(special, "<|im_end|>", "<|endoftext|>", **named)
    size = {"height": 56, "width": 56}
    processor = tf.InternVLProcessor(
        image_processor=tf.GotOcr2ImageProcessor(size=size, crop_to_patches=True, max_patches=4),
        tokenizer=tokenizer,
        video_processor=tf.InternVLVideoProcessor(size=size),
        image_seq_length=4,
        chat_template=_CHATML.format(image="<IMG_CONTEXT>\n"),
    )
    vision = {
        **{"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2},
        **{"num_attention_heads": 2, "image_size": [56, 56], "patch_size": [14, 14]},
    }
    return processor, tf.InternVLConfig(
        text_config=_text(tokenizer, model_type="qwen2", rope_parameters=_rope()),
        vision_config=vision,
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
    )


def _gemma3() -> tuple[Processor, Config]:
    named = {
        "boi_token": "<start_of_image>",
        "eoi_token": "<end_of_image>",
        "image_token": "<image_soft_token>",
    }
    special = ("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>", *named.values())
    tokenizer = _tokenizer(special, "<eos>", "<pad>", **named)
    tokenizer.bos_token = "<bos>"
    processor = tf.Gemma3Processor(
        image_processor=tf.Gemma3ImageProcessor(size={"height": 56, "width": 56}),
        tokenizer=tokenizer,
        image_seq_length=4,
        chat_template=_GEMMA,
    )
    layers = ["sliding_attention", "sliding_attention", "full_attention"]
    window = {"sliding_window": _SLIDING_WINDOW, "query_pre_attn_scalar": _HEAD}
    return processor, tf.Gemma3Config(
        text_config=_text(tokenizer, layer_types=layers, **window),
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


FAMILIES = (
    TinyFamily("Qwen2-VL", "qwen2_vl", _qwen2_vl),
    TinyFamily("Qwen2.5-VL", "qwen2_5_vl", _qwen2_5_vl),
    TinyFamily("Qwen3-VL", "qwen3_vl", _qwen3_vl),
    TinyFamily("Qwen3-VL-MoE", "qwen3_vl_moe", _qwen3_vl_moe),
    TinyFamily("GLM-4V", "glm4v", _glm4v),
    TinyFamily("LLaVA", "llava", _llava),
    TinyFamily("LLaVA-Next", "llava_next", _llava_next),
    TinyFamily("InternVL", "internvl", _internvl),
    TinyFamily("Gemma3", "gemma3", _gemma3),
)
