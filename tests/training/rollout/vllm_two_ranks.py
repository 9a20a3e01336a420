"""Run by torchrun in test_vllm_engine.py: two processes share vLLM's weights, and ZeRO-3's."""

import importlib.util
import json
import sys
from pathlib import Path

import torch

from training.learner.learner import Learner
from training.model.forward import ForwardSettings
from training.recipe.recipe import HardwareRecipe, VllmRollout
from training.recipe.stages import OptimizerRecipe
from training.rollout.engine import open_engine
from training.rollout.protocol import Prompt
from training.rollout.transformers_engine import TransformersEngine
from training.runtime import device
from training.sft.train import token_mean_loss


def load_module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(output):
    device.start(1)
    here = Path(__file__).parent
    tests, images = (
        load_module(here / "test_vllm_engine.py"),
        load_module(here.parent / "conftest.py").five_images(),
    )
    # The processes bring different prompts, and not as many.
    prompts = [[Prompt("2+3?"), Prompt("Two.", images[1:3])], [Prompt("7-4?")]][device.rank()]
    policy, whole = tests.new_policy(), tests.new_policy()
    rollout = VllmRollout(engine="vllm", tensor_parallel=2, max_length_tokens=256)
    engine = open_engine(rollout, policy)
    learner = Learner(
        policy,
        optimizer=OptimizerRecipe(learning_rate=1e-3),
        hardware=HardwareRecipe(num_processes=2, zero_stage=3),
        num_updates=1,
        tokens_per_micro_batch=10**6,
    )
    first = tests.sample(engine, prompts, seed=device.rank())
    again = tests.sample(engine, prompts, seed=device.rank())
    gaps = [tests.largest_gap(whole, prompts, first, tests.plain_forward_pass(whole))]
    shares = device.gather_from_all_ranks(tests.sequences_of(whole, prompts, first))
    batch = [sequence for share in shares for sequence in share]
    learner.update(batch, token_mean_loss(batch), ForwardSettings())
    TransformersEngine(whole).load_weights(learner.weights())
    gaps.append(tests.largest_gap(whole, prompts, first, tests.plain_forward_pass(whole)))
    engine.load_weights(learner.weights())
    responses = tests.sample(engine, prompts, seed=device.rank())
    gaps.append(tests.largest_gap(whole, prompts, responses, tests.plain_forward_pass(whole)))
    result = {
        "gaps": gaps,
        "prompt_indices": [response.prompt_index for response in responses],
        "repeats": all(
            torch.equal(one.token_ids, two.token_ids) for one, two in zip(first, again, strict=True)
        ),
    }
    (Path(output) / f"rank{device.rank()}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
