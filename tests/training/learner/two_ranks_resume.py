"""Run by torchrun in test_checkpoints.py: on two ranks, resumed stages equal whole ones."""

import contextlib
import importlib.util
import sys
from pathlib import Path

from _pytest.monkeypatch import MonkeyPatch

from training.learner.checkpoints import Places
from training.model.policy import load_policy
from training.recipe.model import ModelRecipe
from training.recipe.recipe import HardwareRecipe
from training.runtime import device

HERE = Path(__file__).parent


def load_module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(model, sets, checkpoint_of_one, folder):
    device.start(1)
    assert device.world_size() == 2
    test, conftest = (
        load_module(HERE / "test_checkpoints.py"),
        load_module(HERE.parent / "conftest.py"),
    )
    times = load_module(HERE / "test_checkpoint_times.py")
    # The first rank's clock decides for both: alone, the second would save every step or none.
    learner = times.new_learner(
        load_policy(Path(model), ModelRecipe(path="unused"), system_prompt="")
    )
    for name, minutes in (("fast", (2.0, 0.0)), ("slow", (0.0, 2.0))):
        places = Path(folder) / name, minutes[device.rank()]
        saved = times.steps_saved(learner, *places, 3, every_minutes=1.0, every_steps=100)
        assert saved == ([1, 2, 3] if name == "fast" else [3]), saved
    recipe = conftest.make_recipe(HardwareRecipe(threads_per_process=1))

    def train(stage, zero_stage, name, places):
        output = Path(folder) / name
        if device.rank() == 0:
            output.mkdir()
        device.barrier()
        loop = test.sft if stage.kind == "sft" else test.grpo
        settings = test.new_recipe(recipe, zero_stage)
        loop.train(settings, stage, Path(model), Path(sets), output, places)
        return output

    for zero_stage in range(4):
        for kind, stage in test.STAGES.items():
            name = f"{kind}-{zero_stage}"
            saved = Path(folder) / f"{name}-saved"
            whole = train(stage, zero_stage, f"{name}-whole", Places())
            with MonkeyPatch.context() as patch:
                test.interrupt_after(3, patch)
                with contextlib.suppress(test.Interrupted):
                    train(stage, zero_stage, f"{name}-cut", Places(save=saved))
            places = Places(resume=test.complete(saved / "step-00000002"))
            resumed = train(stage, zero_stage, f"{name}-resumed", places)
            if device.rank() == 0:
                test.assert_equal_outputs(resumed, whole)
        places = Places(resume=Path(checkpoint_of_one))
        train(test.STAGES["sft"], zero_stage, f"one-to-two-{zero_stage}", places)
    # DeepSpeed asks for both, and nothing here needs them: seconds of every start.
    assert not {"mlflow", "torch._inductor.compile_fx"} & set(sys.modules)


if __name__ == "__main__":
    main(*sys.argv[1:])
