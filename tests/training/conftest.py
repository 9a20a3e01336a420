import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

from training.model.policy import Policy, load_policy
from training.recipe.model import ModelRecipe
from training.recipe.recipe import HardwareRecipe, Recipe, parse_recipe
from training.records import EncodedImage, Problem, write_problems

# Two threads on two shared cores wait for each other: these models are too small for them.
torch.set_num_threads(1)

SPECIAL_TOKENS = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Qwen2.5-VL of about 50,000 parameters with a tokenizer of bytes."""
    folder = tmp_path_factory.mktemp("tiny-model")
    torch.manual_seed(0)
    _tiny_model().save_pretrained(folder)
    _tiny_processor().save_pretrained(folder)
    return folder


def _tiny_processor() -> Qwen2_5_VLProcessor:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(
        models.BPE(vocab={symbol: i for i, symbol in enumerate(alphabet)}, merges=[])
    )
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = Qwen2Tokenizer(
        tokenizer_object=backend, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    tokenizer.add_special_tokens({"additional_special_tokens": SPECIAL_TOKENS})
    return Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(min_pixels=28 * 28, max_pixels=28 * 28 * 16),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=CHAT_TEMPLATE,
    )


def _tiny_model() -> Qwen2_5_VLForConditionalGeneration:
    tokenizer = _tiny_processor().tokenizer
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
    config = Qwen2_5_VLConfig(
        text_config={
            # More rows than tokens, as the published models have.
            "vocab_size": len(tokenizer) + 8,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 2048,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [1, 1, 2],
            },
            "bos_token_id": None,
            "eos_token_id": ids["<|im_end|>"],
            "pad_token_id": ids["<|endoftext|>"],
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": 32,
            "window_size": 56,
            "fullatt_block_indexes": [1],
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    model = Qwen2_5_VLForConditionalGeneration(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                # Wide enough that the distributions of next tokens are far from flat.
                parameter.normal_(std=0.15)
    model.generation_config.eos_token_id = [ids["<|im_end|>"], ids["<|endoftext|>"]]
    model.generation_config.pad_token_id = ids["<|endoftext|>"]
    return model


@pytest.fixture
def tiny_policy(tiny_model_folder: Path) -> Policy:
    return load_policy(tiny_model_folder, ModelRecipe(path="unused"), system_prompt="Be brief.")


def encoded_image(width: int, height: int, seed: int) -> EncodedImage:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return {"bytes": buffer.getvalue(), "path": None}


@pytest.fixture(scope="session")
def images() -> list[EncodedImage]:
    return five_images()


def five_images() -> list[EncodedImage]:
    """Images of five different sizes, of noise."""
    sizes = [(84, 28), (56, 56), (28, 112), (140, 28), (84, 84)]
    return [encoded_image(width, height, seed) for seed, (width, height) in enumerate(sizes)]


@pytest.fixture
def new_problem() -> Callable[..., Problem]:
    return make_problem


def make_problem(number: int, *, with_image: bool = False) -> Problem:
    """An addition; those from 10 on have one digit more."""
    return {
        "id": f"p{number}",
        "source": "tests",
        "modality": "multimodal" if with_image else "text",
        "family": "additions",
        "template": "plain",
        "level": 1,
        "question": f"{number}+1?",
        "images": [encoded_image(56, 28, number)] if with_image else [],
        "answer": str(number + 1),
        "solution": f"\\boxed{{{number % 9 + 1}}}",
        "reading": None,
        "pass_rate": None,
    }


@pytest.fixture
def problem_sets(tmp_path: Path) -> Path:
    """A folder with the curated sets `text` and `multimodal`, 20 problems each."""
    folder = tmp_path / "sets"
    write_problems([make_problem(i) for i in range(20)], folder / "text.parquet")
    images = [make_problem(i, with_image=True) for i in range(20)]
    write_problems(images, folder / "multimodal.parquet")
    return folder


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    return make_recipe(HardwareRecipe(threads_per_process=1))


def make_recipe(hardware: HardwareRecipe) -> Recipe:
    """A recipe whose stages do not matter: the tests bring their own."""
    optimizer = {"learning_rate": 1e-3}
    stage = {"kind": "sft", "name": "unused", "data": "text", "optimizer": optimizer}
    return parse_recipe(
        {
            "name": "tiny",
            "system_prompt": "Be brief.",
            "model": {"path": "unused"},
            "hardware": hardware.model_dump(),
            "sources": [{"name": "text", "kind": "pocket", "modality": "text", "num_problems": 20}],
            "curation": {
                "sets": [
                    {"name": "text", "modality": "text", "num_problems": 20, "needs_solution": True}
                ]
            },
            "stages": [stage | {"epochs": 1.0, "batch_size": 8, "max_length_tokens": 64}],
            "evaluation": {"benchmarks": [{"name": "pocket_text"}], "max_response_tokens": 8},
        },
        where="tests",
    )
