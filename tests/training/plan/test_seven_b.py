"""The 7B set-up on the meta device: what learns, how it is sharded, what the sampler is handed."""

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from training.model.adapters import attach_adapters, merged_weights
from training.model.family import as_published, component_of
from training.model.policy import freeze
from training.plan.learned import FLOAT32, held, learned
from training.plan.shape import meta_model, model_shape, read_config
from training.recipe.recipe import load_recipe
from training.recipe.stages import LoraRecipe

ROOT = Path(__file__).parents[3]
RECIPE = load_recipe(ROOT / "infra/recipes/revisual-7b.toml")
SEVEN_B = "Qwen/Qwen2.5-VL-7B-Instruct"


def published_names() -> set[str]:
    """The 729 names in the index of the published 7B files, written down by their pattern."""
    layers = [
        f"model.layers.{number}.{part}"
        for number in range(28)
        for part in (
            *("input_layernorm.weight", "post_attention_layernorm.weight"),
            *(f"self_attn.{one}_proj.{kind}" for one in "qkv" for kind in ("weight", "bias")),
            "self_attn.o_proj.weight",
            *(f"mlp.{one}_proj.weight" for one in ("gate", "up", "down")),
        )
    ]
    blocks = [
        f"visual.blocks.{number}.{part}"
        for number in range(32)
        for part in (
            *("norm1.weight", "norm2.weight"),
            *(f"attn.{one}.{kind}" for one in ("qkv", "proj") for kind in ("weight", "bias")),
            *(
                f"mlp.{one}_proj.{kind}"
                for one in ("gate", "up", "down")
                for kind in ("weight", "bias")
            ),
        )
    ]
    merger = [f"mlp.{number}.{kind}" for number in (0, 2) for kind in ("weight", "bias")]
    return {
        *("lm_head.weight", "model.embed_tokens.weight", "model.norm.weight"),
        *layers,
        *blocks,
        "visual.patch_embed.proj.weight",
        *(f"visual.merger.{part}" for part in ("ln_q.weight", *merger)),
    }


def name_in_the_files(name: str) -> str:
    """transformers 5 has one module more than the files: model.visual, model.language_model."""
    for now, then in (("model.visual.", "visual."), ("model.language_model.", "model.")):
        if name.startswith(now):
            return then + name.removeprefix(now)
    return name


def handed_over(model) -> dict[str, torch.Size]:
    """Names and shapes that a rollout engine gets from the learner."""
    pairs = merged_weights(model, lambda parameters: nullcontext(), remove_duplicate=False)
    return {
        name: weight.shape
        for name, weight in (as_published(model, name, weight) for name, weight in pairs)
    }


@pytest.fixture
def model():
    return meta_model(read_config(SEVEN_B))


@pytest.mark.parametrize("adapted", [False, True], ids=["whole", "adapters"])
def test_the_sampler_gets_the_published_names(model, adapted):
    assert len(published_names()) == 729
    if adapted:
        lora = LoraRecipe(rank=8, components=("language_model", "vision_tower"))
        attach_adapters(model, lora, torch.Generator())
    handed = handed_over(model)
    assert {name_in_the_files(name) for name in handed} == published_names()
    assert len(handed) == 729
    assert sum(shape.numel() for shape in handed.values()) == 8_292_166_656
    assert handed["model.visual.merger.mlp.2.weight"] == (3584, 5120)
    assert handed["model.language_model.layers.27.self_attn.k_proj.weight"] == (512, 3584)


@pytest.mark.slow
def test_vllm_knows_these_names(model):
    """By vLLM's own table of prefixes, ours and the files' come out as the same modules."""
    from vllm.model_executor.models.qwen2_5_vl import Qwen2_5_VLForConditionalGeneration

    table = Qwen2_5_VLForConditionalGeneration.hf_to_vllm_mapper
    ours = table.apply_list(list(handed_over(model)))
    assert sorted(ours) == sorted(table.apply_list(list(published_names())))


@pytest.mark.parametrize("stage", RECIPE.stages, ids=lambda stage: stage.name)
def test_what_learns_and_how_eight_ranks_share_it(model, stage):
    """Text RL freezes the vision tower; the projector behind it learns on."""
    freeze(model, stage.freeze)
    learning = {name: p.numel() for name, p in model.named_parameters() if p.requires_grad}
    frozen = ("vision_tower",) if stage.name == "text_rl" else ()
    assert {component_of(name) for name in learning} == (
        {"vision_tower", "projector", "language_model"} - set(frozen)
    )
    of = learned(model_shape(read_config(SEVEN_B)), stage)
    assert (of.trained, len(of.sizes)) == (sum(learning.values()), len(learning))
    # 32 blocks of 3 linear layers' and 2 projections' weights and biases, 2 norms; the patches.
    tower = 32 * (4 * 1280**2 + 4 * 1280 + 3 * 1280 * 3420 + 2 * 3420 + 1280 + 2 * 1280)
    tower += 1280 * 3 * 2 * 14 * 14
    assert of.trained == 8_292_166_656 - tower * bool(frozen)
    ranks = RECIPE.hardware.num_processes
    share = held(of, dtype="bfloat16", zero_stage=2, num_ranks=ranks)
    assert share.weights == 2 * 8_292_166_656
    assert 0 <= ranks * share.master - FLOAT32 * of.trained < FLOAT32 * ranks
    assert share.moments == 2 * share.master
