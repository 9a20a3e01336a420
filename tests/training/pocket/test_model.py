"""The tiny Qwen2.5-VL: stock classes load it, with the real processor and special tokens."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from experiments.pocket_base import SYSTEM_PROMPT
from training.pocket.model import SPECIAL_TOKENS, build_model, build_processor, train_tokenizer
from training.pocket.problems import generate


@pytest.fixture(scope="module")
def tokenizer():
    problems = generate("text", "train", 300, 0)
    return train_tokenizer(
        [SYSTEM_PROMPT, *(p["question"] + (p["solution"] or "") for p in problems)]
    )


@pytest.fixture(scope="module")
def folder(tokenizer, tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    build_model(tokenizer, torch.Generator().manual_seed(0)).save_pretrained(path)
    build_processor(tokenizer).save_pretrained(path)
    return path


def test_stock_classes_load_it_and_it_reads_an_image(folder):
    model = AutoModelForImageTextToText.from_pretrained(folder)
    processor = AutoProcessor.from_pretrained(folder)
    assert type(model).__name__ == "Qwen2_5_VLForConditionalGeneration"
    assert type(processor).__name__ == "Qwen2_5_VLProcessor"
    assert sum(p.numel() for p in model.parameters()) <= 4_000_000
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 10_000_000
    messages = [
        {"role": "system", "content": SYSTEM_PROMPT},
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Find x."}]},
    ]
    text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert text == (
        f"<|im_start|>system\n{SYSTEM_PROMPT}<|im_end|>\n<|im_start|>user\n"
        "<|vision_start|><|image_pad|><|vision_end|>Find x.<|im_end|>\n<|im_start|>assistant\n"
    )
    image = Image.fromarray(np.full((56, 84, 3), 255, np.uint8))
    inputs = processor(text=[text], images=[image], return_tensors="pt")
    assert (inputs["input_ids"] == processor.image_token_id).sum() == 6  # 3 x 2 tokens of 28 px
    logits = model(**inputs).logits
    assert logits.shape == (1, inputs["input_ids"].shape[1], len(processor.tokenizer))
    assert torch.isfinite(logits).all()


def test_a_conversation_without_a_system_message_gets_qwens(folder):
    processor = AutoProcessor.from_pretrained(folder)
    text = processor.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False)
    assert text.startswith("<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n")


def test_special_tokens_are_one_token_and_end_a_response(tokenizer):
    for token in SPECIAL_TOKENS:
        assert len(tokenizer(token)["input_ids"]) == 1
    assert tokenizer.eos_token == "<|im_end|>"


def test_digits_are_split_and_any_text_survives(tokenizer):
    assert tokenizer.tokenize("12+345") == ["1", "2", "+", "3", "4", "5"]
    for text in ("Über 3 €, tab\tand\nline", "<think>Given: 3 +4.</think>\\boxed{7}"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_weights_come_from_the_generator_alone(tokenizer):
    def weights(seed):
        torch.manual_seed(torch.seed() % 1000)
        return build_model(tokenizer, torch.Generator().manual_seed(seed)).state_dict()

    first, again, other = weights(1), weights(1), weights(2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    name = "model.language_model.layers.0.mlp.up_proj.weight"
    assert not torch.equal(first[name], other[name])
    assert first[name].std() == pytest.approx(0.06, rel=0.05)
    assert first["model.visual.blocks.0.attn.qkv.weight"].std() == pytest.approx(0.06, rel=0.05)
