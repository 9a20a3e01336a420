"""Run by torchrun in test_learner.py: the reference's two updates on two ranks, for each ZeRO."""

import importlib.util
import sys
from pathlib import Path

from training.grpo import train as grpo
from training.model.forward import ForwardSettings
from training.recipe.recipe import HardwareRecipe
from training.runtime import device
from training.sft.train import token_mean_loss

HERE = Path(__file__).parent


def load_module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(model_folder, sets, output):
    device.start(1)
    assert device.world_size() == 2
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
