import pytest
import torch
from transformers import AutoModelForImageTextToText

from contracts.errors import ModelError, RecipeError
from training.learner.learner import Learner
from training.model.adapters import attach_adapters, has_adapters, without_adapters
from training.model.encoding import TokenSequence, encode_prompt, encode_response
from training.model.forward import (
    ForwardPass,
    ForwardSettings,
    collated,
    forward_without_gradient,
)
from training.model.policy import load_policy
from training.recipe.model import ModelRecipe
from training.recipe.recipe import HardwareRecipe, parse_recipe
from training.recipe.stages import LoraRecipe, OptimizerRecipe, SftStage
from training.rollout.protocol import Prompt
from training.rollout.transformers_engine import TransformersEngine
from training.runtime import device
from training.sft import train as sft
from training.sft.train import token_mean_loss

LORA = LoraRecipe(rank=4, alpha=8.0, components=("language_model", "projector"))


@pytest.fixture(autouse=True, scope="module")
def process_group():
    device.start(1)


def new_policy(folder):
    return load_policy(folder, ModelRecipe(path="unused"), system_prompt="Be brief.")


def adapted_policy(folder, seed=0):
    policy = new_policy(folder)
    attach_adapters(policy.model, LORA, torch.Generator().manual_seed(seed))
    return policy


def new_batch(policy, images):
    prompts = [Prompt("What is shown?", images[:1]), Prompt("2+3?")]
    return [
        TokenSequence(encode_prompt(policy, prompt), encode_response(policy, text))
        for prompt, text in zip(prompts, ["seven", "a longer answer"], strict=True)
    ]


def trained(folder, images, zero_stage):
    policy = adapted_policy(folder)
    learner = Learner(
        policy,
        optimizer=OptimizerRecipe(learning_rate=1e-2),
        hardware=HardwareRecipe(zero_stage=zero_stage),
        num_updates=3,
        tokens_per_micro_batch=10**6,
    )
    batch = new_batch(policy, images)
    losses = [
        learner.update(batch, token_mean_loss(batch), ForwardSettings()).loss for _ in range(3)
    ]
    return policy, learner, batch, losses


def log_probs_of(policy, batch):
    rows = [[row] for row in range(len(batch))]
    batches = collated(policy, batch, rows)
    computed = forward_without_gradient(ForwardPass(policy), batches, ForwardSettings())
    return torch.cat([computed[row].log_probs for row in range(len(batch))])


def test_new_adapters_change_nothing_and_depend_on_the_generator(tiny_model_folder, images):
    stock = new_policy(tiny_model_folder)
    batch = new_batch(stock, images)
    first, same, other = (adapted_policy(tiny_model_folder, seed) for seed in (0, 0, 1))
    torch.testing.assert_close(log_probs_of(first, batch), log_probs_of(stock, batch))
    a, b, c = (dict(policy.model.named_parameters()) for policy in (first, same, other))
    drawn = [name for name in a if ".lora_A." in name]
    # Seven linear layers in each of two language layers, and the two of the projector.
    assert len(drawn) == 2 * 7 + 2
    assert all(
        torch.equal(a[name], b[name]) and not torch.equal(a[name], c[name]) for name in drawn
    )


def test_only_adapters_move_and_the_saved_model_is_a_stock_model_that_equals_them(
    tiny_model_folder, images, tmp_path
):
    policy, learner, batch, losses = trained(tiny_model_folder, images, zero_stage=0)
    assert losses[-1] < losses[0]
    before = dict(adapted_policy(tiny_model_folder).model.named_parameters())
    for name, parameter in policy.model.named_parameters():
        assert torch.equal(parameter, before[name]) == (".lora_" not in name), name
    learner.save_model(tmp_path)
    stock, merged = new_policy(tiny_model_folder), new_policy(tmp_path)
    assert not has_adapters(merged.model)
    assert merged.model.state_dict().keys() == stock.model.state_dict().keys()
    torch.testing.assert_close(
        log_probs_of(merged, batch), log_probs_of(policy, batch), atol=1e-5, rtol=0
    )
    assert (log_probs_of(stock, batch) - log_probs_of(merged, batch)).abs().max() > 1e-2
    changed = {
        name
        for name, weight in merged.model.named_parameters()
        if not torch.equal(weight, stock.model.get_parameter(name))
    }
    assert all(".language_model.layers." in name or ".merger." in name for name in changed)
    assert len(changed) == 16


def test_sharded_adapters_learn_and_are_saved_alike(tiny_model_folder, images, tmp_path):
    _, plain, _, losses = trained(tiny_model_folder, images, zero_stage=0)
    _, sharded, _, others = trained(tiny_model_folder, images, zero_stage=3)
    assert others == pytest.approx(losses, abs=1e-4)
    plain.save_model(tmp_path / "plain")
    sharded.save_model(tmp_path / "sharded")
    models = [
        AutoModelForImageTextToText.from_pretrained(tmp_path / name)
        for name in ("plain", "sharded")
    ]
    for (name, one), other in zip(
        models[0].named_parameters(), models[1].parameters(), strict=True
    ):
        torch.testing.assert_close(one, other, atol=2e-4, rtol=0, msg=name)


@pytest.mark.parametrize("zero_stage", [0, 2, 3])
def test_without_its_adapters_a_policy_is_its_base_bit_by_bit(
    zero_stage, tiny_model_folder, images
):
    policy, learner, batch, _ = trained(tiny_model_folder, images, zero_stage)
    settings, stock = ForwardSettings(), ForwardPass(new_policy(tiny_model_folder)).eval()
    expected = learner.log_probs(batch, settings, stock)
    adapted = learner.log_probs(batch, settings)
    with without_adapters(policy.model):
        base = learner.log_probs(batch, settings)
        assert not any(module.training for module in policy.model.modules())
    for row in expected:
        assert torch.equal(base[row].log_probs, expected[row].log_probs)
        assert not torch.equal(adapted[row].log_probs, expected[row].log_probs)
    again = learner.log_probs(batch, settings)
    assert all(torch.equal(again[row].log_probs, adapted[row].log_probs) for row in again)
    learner.update(batch, token_mean_loss(batch), settings)  # and learning goes on
    after = learner.log_probs(batch, settings)
    assert not any(torch.equal(after[row].log_probs, adapted[row].log_probs) for row in after)


def test_a_sampler_gets_merged_weights(tiny_model_folder, images):
    policy, learner, batch, _ = trained(tiny_model_folder, images, zero_stage=0)
    sampler = new_policy(tiny_model_folder)
    TransformersEngine(sampler).load_weights(learner.weights())
    torch.testing.assert_close(
        log_probs_of(sampler, batch), log_probs_of(policy, batch), atol=1e-5, rtol=0
    )


def test_a_stage_with_adapters_leaves_a_model_for_the_next(
    tiny_model_folder, tiny_recipe, problem_sets, tmp_path
):
    stage = SftStage.model_validate(
        {"kind": "sft", "name": "one", "data": "text", "optimizer": {"learning_rate": 1e-2}}
        | {"epochs": 1.0, "batch_size": 8, "max_length_tokens": 64, "lora": {"rank": 2}}
    )
    folder = tiny_model_folder
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        sft.train(tiny_recipe, stage, folder, problem_sets, tmp_path / name)
        after, before = (
            dict(new_policy(path).model.named_parameters())
            for path in (tmp_path / name / "model", folder)
        )
        changed = [key for key in after if not torch.equal(after[key], before[key])]
        assert len(changed) == 14
        folder = tmp_path / name / "model"


def test_components_without_linear_layers_are_refused(tiny_model_folder):
    policy = new_policy(tiny_model_folder)
    del policy.model.model.visual.merger.mlp
    with pytest.raises(ModelError, match="projector"):
        attach_adapters(policy.model, LORA, torch.Generator())


def test_a_component_cannot_be_frozen_and_adapted(tiny_recipe):
    values = tiny_recipe.model_dump(mode="json")
    changes = {"freeze": ["language_model"], "lora": {"rank": 2}}
    with pytest.raises(RecipeError, match="both in freeze and in lora"):
        parse_recipe(values | {"stages": [values["stages"][0] | changes]}, where="tests")
