"""Random Qwen2.5-VL models of several sizes, learners of them, and batches of a known length."""

from dataclasses import dataclass

import torch
from transformers import AutoModelForImageTextToText, GenerationConfig

from experiments.tiny_families.qwen import qwen2_5_vl
from tests.training.conftest import encoded_image, make_recipe
from training.learner.setup import new_learner
from training.model import attention
from training.model.encoding import TokenSequence, encode_prompt
from training.model.policy import Policy
from training.plan.shape import model_shape
from training.recipe.recipe import HardwareRecipe
from training.rollout.protocol import Prompt

HEAD_WIDTH = 32  # of the tiny families


@dataclass(frozen=True)
class Size:
    hidden: int
    intermediate: int
    num_layers: int
    num_kv_heads: int
    vocabulary: int
    is_tied: bool = True


SIZES = [
    Size(64, 192, 3, 1, 300),
    Size(96, 288, 3, 3, 512),
    Size(128, 352, 4, 2, 640, is_tied=False),
    Size(192, 512, 2, 2, 1024),
    Size(256, 768, 3, 4, 2048, is_tied=False),
]

# Half of the model, and a third: a gradient of 6 MB, where a layer takes 10 to work.
LARGE_HEADS = [Size(192, 512, 3, 2, 8192, is_tied) for is_tied in (True, False)]


def new_config(size):
    processor, config = qwen2_5_vl()
    text = config.get_text_config()
    text.hidden_size, text.intermediate_size = size.hidden, size.intermediate
    text.num_hidden_layers = size.num_layers
    text.layer_types = ["full_attention"] * size.num_layers
    text.num_attention_heads = size.hidden // HEAD_WIDTH
    text.num_key_value_heads = size.num_kv_heads
    text.vocab_size = size.vocabulary
    text.tie_word_embeddings = config.tie_word_embeddings = size.is_tied
    config.vision_config.out_hidden_size = size.hidden
    return processor, config


def new_policy(size, dtype="float32"):
    processor, config = new_config(size)
    processor.image_processor.size["longest_edge"] = 28 * 28 * 100
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(
        config, attn_implementation=attention.register(), dtype=getattr(torch, dtype)
    )
    model.generation_config = GenerationConfig(eos_token_id=processor.tokenizer.eos_token_id)
    return Policy(model, processor, "Be brief."), model_shape(config)


def new_stage(budget_tokens, **changes):
    stage = make_recipe(HardwareRecipe()).stages[0]
    return stage.model_copy(update={"tokens_per_micro_batch": budget_tokens, **changes})


def stage_learner(policy, stage, dtype, **hardware):
    recipe = make_recipe(HardwareRecipe(threads_per_process=1, **hardware))
    recipe = recipe.model_copy(
        update={"model": recipe.model.model_copy(update={"dtype": dtype}), "stages": (stage,)}
    )
    return new_learner(recipe, stage, policy, num_updates=10)


def new_sequences(policy, *, length, count, with_image=False):
    """So many sequences of exactly this length; with an image, all share its prompt."""
    images = [encoded_image(28 * 8, 28 * 8, 0)] if with_image else []
    prompt = encode_prompt(policy, Prompt("?", images))
    generator = torch.Generator().manual_seed(0)
    responses = torch.randint(0, 200, (count, length - len(prompt.token_ids)), generator=generator)
    return [TokenSequence(prompt, response) for response in responses]
