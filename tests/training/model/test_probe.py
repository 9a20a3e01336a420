"""The probe finds every fault that it is for: each is put in by hand."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from transformers import AutoConfig, Gemma3TextConfig, Llama4TextConfig, Qwen3_5TextConfig

from contracts.errors import ModelError
from experiments.tiny_families import PROVEN
from training.model import encoding, family
from training.model.encoding import EncodedPrompt
from training.model.family import attention_windows
from training.model.policy import load_policy
from training.model.probe import probe, probe_sampler
from training.recipe.model import ModelRecipe, VllmRollout
from training.rollout.engine import open_engine
from training.rollout.protocol import Prompt
from training.rollout.transformers_engine import TransformersEngine

BY_TYPE = {family.model_type: family for family in PROVEN}


@pytest.fixture(scope="module")
def gemma_folder(tmp_path_factory):
    return BY_TYPE["gemma3"].save(tmp_path_factory.mktemp("gemma3"))


@pytest.fixture
def gemma(gemma_folder):
    return load_policy(gemma_folder, ModelRecipe(path="unused"), system_prompt="Be brief.")


def configs(policy):
    config = policy.model.config
    return [config, *(getattr(config, name) for name in config.sub_configs)]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_sound_policy_passes_and_is_left_as_it_was(tiny_model_folder, dtype):
    recipe = ModelRecipe(path="unused", dtype=dtype)
    policy = load_policy(tiny_model_folder, recipe, system_prompt="Be brief.")
    policy.model.train()
    attention = [each._attn_implementation for each in configs(policy)]
    before = {name: weight.clone() for name, weight in policy.model.state_dict().items()}
    figures = probe(policy, TransformersEngine(policy))
    assert policy.model.training
    assert [each._attn_implementation for each in configs(policy)] == attention
    assert all(torch.equal(before[k], v) for k, v in policy.model.state_dict().items())
    assert figures.num_images == 3
    assert figures.num_tokens > 24
    assert max(figures.learner_nats, figures.sampler_nats) < figures.bound_nats / 3
    assert probe(policy).sampler_nats is None


def test_features_dealt_to_the_wrong_response_are_found(tiny_policy, monkeypatch):
    def misdealt(model, pixels, counts, rows):
        return dealt(model, pixels, counts, rows[::-1])

    dealt = family.image_features
    monkeypatch.setattr(family, "image_features", misdealt)
    with pytest.raises(ModelError, match="is not computed as transformers computes it"):
        probe(tiny_policy)


def test_the_images_of_other_pixels_are_found(tiny_policy, monkeypatch):
    decode = encoding.decode_image
    monkeypatch.setattr(encoding, "decode_image", lambda image: decode(image).rotate(180))
    with pytest.raises(ModelError, match=r"learner .* nats from the stock forward pass"):
        probe(tiny_policy)


def test_other_positions_are_found(tiny_policy, monkeypatch):
    monkeypatch.setattr(family, "position_arguments", lambda *_: {})
    with pytest.raises(ModelError, match="positions differ from the stock"):
        probe(tiny_policy)


def test_of_an_engine_with_the_only_weights_the_tokens_are_compared(
    tiny_model_folder, tiny_policy, monkeypatch
):
    recipe = ModelRecipe(path="unused")
    empty = load_policy(tiny_model_folder, recipe, system_prompt="Be brief.", with_weights=False)
    engine = TransformersEngine(tiny_policy)
    assert "compared with no other weights" in probe_sampler(empty, engine)
    with monkeypatch.context() as patched:
        patched.setattr("training.model.probe.encode_prompt", shortened)
        with pytest.raises(ModelError, match="tokens differ from the stock"):
            probe_sampler(empty, engine)
    generate = TransformersEngine.generate

    def undefined(*asked):
        return [replace(one, log_probs=one.log_probs * torch.nan) for one in generate(*asked)]

    monkeypatch.setattr(TransformersEngine, "generate", undefined)
    with pytest.raises(ModelError, match="not finite"):
        probe_sampler(empty, engine)


def shortened(policy, prompt):
    encoded = encoding.encode_prompt(policy, prompt)
    return EncodedPrompt(encoded.token_ids[1:], encoded.images, encoded.token_types)


def test_other_tokens_are_found(tiny_policy, monkeypatch):
    monkeypatch.setattr("training.model.probe.encode_prompt", shortened)
    with pytest.raises(ModelError, match="prompt tokens differ from the stock"):
        probe(tiny_policy)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        torch.AcceleratorError("CUDA error: out of memory"),
        torch.AcceleratorError("CUDA error: uncorrectable ECC error encountered"),
        dist.DistBackendError("NCCL error in: ..."),
    ],
)
def test_a_machine_that_fails_says_nothing_of_the_model(tiny_policy, monkeypatch, error):
    def fail(*_):
        raise error

    engine = TransformersEngine(tiny_policy)
    monkeypatch.setattr(engine, "generate", fail)
    with pytest.raises(type(error)) as caught:
        probe_sampler(tiny_policy, engine)
    assert caught.value is error
    tiny_policy.model.register_forward_pre_hook(fail)
    with pytest.raises(type(error)) as caught:
        probe(tiny_policy)
    assert caught.value is error


def test_a_model_that_cannot_be_computed_is_refused(tiny_policy):
    def fail(*_):
        raise RuntimeError("shapes do not fit")

    tiny_policy.model.register_forward_pre_hook(fail)
    with pytest.raises(ModelError, match="RuntimeError: shapes do not fit"):
        probe(tiny_policy)


def test_a_head_that_does_more_than_a_product_is_found(tiny_policy):
    head = tiny_policy.model.lm_head
    head.bias = torch.nn.Parameter(torch.linspace(-1, 1, head.weight.shape[0]))
    with pytest.raises(ModelError, match="learner"):
        probe(tiny_policy)


def test_log_probs_that_are_no_numbers_are_refused(tiny_policy):
    with torch.no_grad():
        tiny_policy.model.lm_head.weight[3] = torch.nan
    with pytest.raises(ModelError):
        probe(tiny_policy)


def test_a_decoder_that_forgets_the_sliding_window_is_found(gemma):
    engine = TransformersEngine(gemma)
    assert probe(gemma, engine).sampler_nats < 1e-4
    engine._windows = [None] * len(engine._windows)
    with pytest.raises(ModelError, match="sampler"):
        probe(gemma, engine)


def test_an_engine_is_probed_when_it_is_opened(tiny_policy, monkeypatch):
    monkeypatch.setattr(family, "position_arguments", lambda *_: {})
    with pytest.raises(ModelError, match="positions differ"):
        open_engine(VllmRollout.model_construct(engine="transformers"), tiny_policy)


def test_prompts_keep_to_the_engines_length(tiny_policy):
    # Too short for any prompt with an image, as the longest of the prompt and its response.
    num_text = len(encoding.encode_prompt(tiny_policy, Prompt("0+1+2+3+4+5+6+7?")).token_ids)
    tiny_policy.model.config.get_text_config().max_position_embeddings = num_text + 8
    assert probe(tiny_policy, TransformersEngine(tiny_policy)).num_images == 0


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (Qwen3_5TextConfig(), "LinearAttentionLayer"),
        (Llama4TextConfig(num_hidden_layers=4), "chunks"),
    ],
)
def test_caches_that_the_decoder_does_not_know_are_refused(config, told):
    with pytest.raises(ModelError, match=told):
        attention_windows(SimpleNamespace(config=config))


def test_windows_are_those_of_the_layers():
    config = Gemma3TextConfig(num_hidden_layers=6, sliding_window=8)
    assert attention_windows(SimpleNamespace(config=config)) == [8] * 5 + [None]
    plain = AutoConfig.for_model("qwen2", num_hidden_layers=2)
    assert attention_windows(SimpleNamespace(config=plain)) == [None, None]
