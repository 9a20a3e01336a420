import json
import shutil

import pytest
import torch
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    Gemma3Config,
    InternVLConfig,
    LlavaConfig,
    Qwen2_5_VLConfig,
    Qwen2VLConfig,
    Qwen3VLConfig,
    SmolVLMConfig,
)

from contracts.errors import ModelError
from training.model.encoding import encode_prompt
from training.model.policy import component_of, freeze, load_policy
from training.recipe.model import ModelRecipe
from training.rollout.protocol import Prompt


def test_a_language_model_is_refused_by_name(tiny_model_folder, tmp_path):
    folder = shutil.copytree(tiny_model_folder, tmp_path / "model")
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen2"}))
    with pytest.raises(ModelError, match="'qwen2', which is no vision-language model"):
        load_policy(folder, ModelRecipe(path="unused"), system_prompt="")


def test_placeholders_and_rows_without_a_token_are_forbidden(tiny_policy):
    forbidden = set(tiny_policy.forbidden_token_ids.tolist())
    vocabulary = tiny_policy.tokenizer.get_vocab()
    for token in ("image_pad", "video_pad", "vision_start", "vision_end", "vision_pad"):
        assert vocabulary[f"<|{token}|>"] in forbidden
    assert vocabulary["<|im_end|>"] not in forbidden
    assert len(tiny_policy.tokenizer) in forbidden
    assert len(forbidden) == 5 + 8


def test_without_weights_a_policy_reads_prompts_as_with_them(
    tiny_model_folder, tiny_policy, images
):
    recipe = ModelRecipe(path="unused", dtype="bfloat16")
    empty = load_policy(tiny_model_folder, recipe, system_prompt="Be brief.", with_weights=False)
    assert {weight.device.type for weight in empty.model.state_dict().values()} == {"meta"}
    assert empty.model.dtype == torch.bfloat16
    assert empty.model.name_or_path == str(tiny_model_folder)
    shapes = {name: weight.shape for name, weight in tiny_policy.weights()}
    assert {name: weight.shape for name, weight in empty.weights()} == shapes
    for name in ("end_token_ids", "forbidden_token_ids"):
        assert torch.equal(getattr(empty, name), getattr(tiny_policy, name))
    prompt = Prompt("Two <image> and <image>?", images[:2])
    tokens = [encode_prompt(each, prompt).token_ids for each in (empty, tiny_policy)]
    assert torch.equal(*tokens) and empty.num_visual_tokens(tokens[0]) > 2


def test_responses_end_with_the_tokenizers_end_token(tiny_policy):
    vocabulary = tiny_policy.tokenizer.get_vocab()
    ends = [vocabulary["<|im_end|>"], vocabulary["<|endoftext|>"]]
    assert tiny_policy.end_token_ids.tolist() == ends


@pytest.mark.parametrize("component", ["vision_tower", "projector", "language_model"])
def test_freezing_stops_a_component_and_nothing_else(tiny_policy, component):
    freeze(tiny_policy.model, [component])
    for name, parameter in tiny_policy.model.named_parameters():
        assert parameter.requires_grad == (component_of(name) != component)
    frozen = [n for n, p in tiny_policy.model.named_parameters() if not p.requires_grad]
    prefix = {
        "vision_tower": "model.visual.blocks.0.",
        "projector": "model.visual.merger.",
        "language_model": "model.language_model.",
    }[component]
    assert any(name.startswith(prefix) for name in frozen)


def test_freezing_what_is_not_there_fails():
    with pytest.raises(ModelError, match="belongs to the projector"):
        freeze(torch.nn.Linear(2, 2), ["projector"])


@pytest.mark.parametrize(
    "config",
    [
        Qwen2VLConfig,
        Qwen2_5_VLConfig,
        Qwen3VLConfig,
        LlavaConfig,
        InternVLConfig,
        Gemma3Config,
        lambda: SmolVLMConfig(pad_token_id=0),
    ],
)
def test_every_parameter_of_a_known_family_has_a_component(config):
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config())
    components = {name: component_of(name) for name, _ in model.named_parameters()}
    assert [name for name, component in components.items() if component is None] == []
    assert set(components.values()) == {"vision_tower", "projector", "language_model"}


def test_max_pixels_is_saved_with_the_policy(tiny_model_folder, tmp_path):
    recipe = ModelRecipe(path="unused", max_pixels=28 * 28 * 4)
    load_policy(tiny_model_folder, recipe, system_prompt="").save(tmp_path)
    assert AutoProcessor.from_pretrained(tmp_path).image_processor.size["longest_edge"] == 3136


def test_a_saved_policy_is_loaded_by_the_stock_classes(tiny_policy, tmp_path):
    tiny_policy.save(tmp_path)
    loaded = AutoModelForImageTextToText.from_pretrained(tmp_path)
    for name, weight in tiny_policy.model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weight), name
    assert not (tmp_path / "pytorch_model.bin").exists()
