"""Run by torchrun in test_learner.py: the reference's two updates on two ranks, for each ZeRO."""

import importlib.util
import sys
from itertools import product
from pathlib import Path

import torch

from training.grpo import train as grpo
from training.model.forward import ForwardSettings
from training.recipe.recipe import HardwareRecipe
from training.runtime import device
from training.sft.train import token_mean_loss

HERE = Path(__file__).parent
TOLERANCE = 2e-4


def load_module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def learn_from_pictures_and_texts():
    """Ranks without a picture at a turn where the other has one: at every ZeRO stage the same."""
    offloading = load_module(HERE / "test_offloading.py")
    reached = {}
    for zero_stage, offload in ((0, False), *product((1, 2, 3), (False, True))):
        policy, learner = offloading.new_learner(zero_stage=zero_stage, offload_optimizer=offload)
        for _ in range(2):
            offloading.update(policy, learner, 125, -124, -60)
        reached[zero_stage, offload] = {name: weight.clone() for name, weight in learner.weights()}
    for (zero_stage, _), weights in reached.items():
        for name, weight in reached[0, False].items():
            torch.testing.assert_close(weights[name], weight, atol=TOLERANCE, rtol=0)
            # Without clipping an offloaded optimizer takes the very same steps.
            assert torch.equal(weights[name], reached[zero_stage, False][name])


def main(model_folder, sets, output):
    device.start(1)
    assert device.world_size() == 2
    learn_from_pictures_and_texts()
    test_learner = load_module(HERE / "test_learner.py")
    grpo_tests = load_module(HERE.parent / "grpo" / "test_train.py")
    conftest = load_module(HERE.parent / "conftest.py")
    images = conftest.five_images()
    for zero_stage in range(4):
        policy = test_learner.new_policy(model_folder)
        learner = test_learner.new_learner(policy, zero_stage=zero_stage, budget=100)
        batch = test_learner.new_batch(policy, images)
        for _ in range(2):
            learner.update(batch, token_mean_loss(batch), ForwardSettings())
        # One sequence for two ranks: one of them has nothing but a filler.
        learner.log_probs(batch[:1], ForwardSettings())
        learner.save_model(Path(output) / f"zero{zero_stage}")
    for zero_stage in (0, 3):
        rl = Path(output) / f"rl{zero_stage}"
        if device.rank() == 0:
            rl.mkdir()
        hardware = HardwareRecipe(
            threads_per_process=1, zero_stage=zero_stage, share_images=zero_stage == 3
        )
        recipe = conftest.make_recipe(hardware)
        stage = grpo_tests.new_stage(data="multimodal", updates_per_step=2)
        grpo.train(recipe, stage, Path(model_folder), Path(sets), rl)


if __name__ == "__main__":
    main(*sys.argv[1:])
