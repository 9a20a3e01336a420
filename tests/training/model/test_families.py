"""Every family that docs/models.md calls proven, as a tiny random model with its real processor."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, PretrainedConfig

from contracts.errors import ModelError
from experiments.tiny_families import PROVEN
from training.grpo import train as grpo
from training.model import family
from training.model.encoding import (
    TokenSequence,
    collate,
    decode_image,
    encode_prompt,
    image_inputs,
    messages,
)
from training.model.forward import hidden_states
from training.model.policy import component_of, load_policy
from training.model.probe import probe
from training.recipe.model import ModelRecipe
from training.recipe.stages import RlStage
from training.rollout.protocol import Prompt
from training.rollout.transformers_engine import TransformersEngine

ROOT = Path(__file__).parents[3]
ROUNDING_NATS = 2e-5  # float32, three layers


@pytest.fixture(scope="module", params=PROVEN, ids=lambda family: family.model_type)
def folder(request, tmp_path_factory):
    return request.param.save(tmp_path_factory.mktemp(request.param.model_type))


@pytest.fixture
def policy(folder):
    return load_policy(folder, ModelRecipe(path="unused"), system_prompt="Be brief.")


def test_learner_and_sampler_are_the_stock_forward_pass(policy):
    figures = probe(policy, TransformersEngine(policy))
    assert figures.num_images == 3
    assert figures.learner_nats < ROUNDING_NATS
    assert figures.sampler_nats < ROUNDING_NATS


@pytest.mark.parametrize("num_images", [0, 1, 3])
def test_tokens_are_those_of_the_families_own_processor(policy, images, num_images):
    # Line breaks beside an image: a tokenizer that sees both at once may join them.
    prompt = Prompt("\n\nAdd the numbers.", images[:num_images])
    expected = policy.processor.apply_chat_template(
        messages(policy, prompt, [decode_image(image) for image in prompt.images]),
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
    )
    assert encode_prompt(policy, prompt).token_ids.tolist() == expected["input_ids"][0]


def test_pixels_of_several_prompts_are_those_that_the_processor_makes_at_once(policy, images):
    """Pictures of several sizes, and one or two of them to a prompt."""
    groups = [images[:1], images[1:3], images[4:]]
    prompts = [encode_prompt(policy, Prompt("What?", group)) for group in groups]
    found = image_inputs(policy, prompts, max(len(one.token_ids) for one in prompts))
    expected = family.vision_inputs(
        policy.processor(
            text=[policy.processor.image_token * len(group) for group in groups],
            images=[[decode_image(image) for image in group] for group in groups],
            padding=True,
            return_tensors="pt",
        )
    )
    assert found is not None and found.pixels.keys() == expected.keys()
    for name, values in expected.items():
        assert found.pixels[name].dtype == values.dtype
        assert torch.equal(found.pixels[name], values), name


def test_a_visual_token_is_made_of_as_many_patches_as_pass_the_tower(policy, images):
    tower = next(
        module
        for name, module in policy.model.named_modules()
        if isinstance(module, torch.nn.Linear) and component_of(f"{name}.") == "vision_tower"
    )
    passed = []
    tower.register_forward_pre_hook(lambda _, given: passed.append(given[0].shape[:-1].numel()))
    prompt = encode_prompt(policy, Prompt("What?", images[4:]))
    with torch.no_grad():
        hidden_states(policy, collate(policy, [TokenSequence(prompt, torch.tensor([1]))]))
    found = sum(passed) / policy.num_visual_tokens(prompt.token_ids)
    # LLaVA's towers see a class token besides, and -Next's tiles have borders.
    assert family.patches_per_token(policy.model.config) == pytest.approx(found, rel=0.25)


def test_a_family_whose_patches_are_not_known_cannot_share_images():
    config = PretrainedConfig(vision_config=PretrainedConfig())
    with pytest.raises(ModelError, match="how many patches") as caught:
        family.patches_per_token(config)
    assert "share_images = false" in caught.value.fix


def test_an_image_makes_a_difference_to_what_follows(policy, images):
    """Otherwise agreement on prompts with images would show nothing."""
    from training.model.encoding import encode_response
    from training.model.forward import ForwardPass, ForwardSettings

    response = encode_response(policy, "7*6, so 42.")
    # Two images of one size, so that the prompts differ by their pixels alone.
    one, other = images[0], {"bytes": mirrored(images[0]), "path": None}
    sequences = [
        TokenSequence(encode_prompt(policy, Prompt("What?", [image])), response)
        for image in (one, other)
    ]
    assert torch.equal(sequences[0].prompt.token_ids, sequences[1].prompt.token_ids)
    with torch.no_grad():
        computed = ForwardPass(policy)(sequences, ForwardSettings())
    assert (computed.log_probs[0] - computed.log_probs[1]).abs().max() > 50 * ROUNDING_NATS


def mirrored(image):
    import io

    from PIL import ImageOps

    buffer = io.BytesIO()
    ImageOps.mirror(decode_image(image)).save(buffer, format="PNG")
    return buffer.getvalue()


def test_every_parameter_has_a_component(policy):
    components = {name: component_of(name) for name, _ in policy.model.named_parameters()}
    assert [name for name, component in components.items() if component is None] == []
    assert set(components.values()) == {"vision_tower", "projector", "language_model"}


def test_a_saved_policy_is_what_was_published(folder, policy, tmp_path):
    """The stock classes load it again, and so does whoever read the published files, as vLLM."""
    policy.save(tmp_path)
    published, saved = (load_file(path / "model.safetensors") for path in (folder, tmp_path))
    assert published.keys() == saved.keys()
    assert all(torch.equal(weight, saved[name]) for name, weight in published.items())
    loaded = AutoModelForImageTextToText.from_pretrained(tmp_path).state_dict()
    assert all(torch.equal(loaded[k], v) for k, v in policy.model.state_dict().items())


def test_placeholders_are_never_sampled(policy, images):
    ids = encode_prompt(policy, Prompt("What?", images[:1])).token_ids
    visual = policy.model.config.image_token_id
    assert policy.num_visual_tokens(ids) > 0
    assert visual in policy.forbidden_token_ids
    assert policy.end_token_ids[0] not in policy.forbidden_token_ids


@pytest.mark.slow
def test_a_step_of_rl(folder, tiny_recipe, problem_sets, tmp_path):
    """The learner's log-probabilities are the sampler's, also after the weights have moved."""
    rewards = [{"kind": "efficient_length", "budget_tokens": 48, "alpha": 0.03}]
    stage = RlStage.model_validate(
        {"kind": "rl", "name": "rl", "data": "multimodal", "optimizer": {"learning_rate": 1e-3}}
        | {"num_steps": 2, "prompts_per_step": 4, "group_size": 8, "max_response_tokens": 64}
        | {"temperature": 1.5, "rewards": rewards}
    )
    grpo.train(tiny_recipe, stage, folder, problem_sets, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    lines = [line for line in lines if not line["skipped_update"]]
    assert lines  # a random model seldom ends a response, and some steps have equal rewards
    for line in lines:
        assert line["sampler_kl"] < 1e-6
        assert line["importance_ratio_mean"] == pytest.approx(1.0, abs=1e-4)
    before, after = (load_file(path / "model.safetensors") for path in (folder, tmp_path / "model"))
    parts = {component_of(name) or component_of(f"model.{name}") for name in before}
    moved = {
        component_of(name) or component_of(f"model.{name}")
        for name in before
        if not torch.equal(before[name], after[name])
    }
    assert moved == parts
