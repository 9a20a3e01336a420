"""Run by torchrun in test_stopping.py: one of two ranks is told to stop, and both do, together."""

import sys
from contextlib import suppress
from pathlib import Path

from _pytest.monkeypatch import MonkeyPatch

from contracts.errors import Preempted
from tests.training.conftest import make_recipe
from tests.training.learner import test_checkpoints as checkpoints
from tests.training.learner import test_stopping as stopping
from training.learner.checkpoints import Places
from training.recipe.recipe import HardwareRecipe
from training.runtime import device

PLACES = [
    *(("sft", stopping.UPDATING, zero_stage) for zero_stage in (0, 1)),
    ("multimodal_rl", stopping.SAMPLING, 0),
    ("multimodal_rl", stopping.SCORING, 3),
    *(("multimodal_rl", stopping.UPDATING, zero_stage) for zero_stage in (1, 2, 3)),
    ("text_rl", stopping.SCORING, 2),
]


def main(model, sets, folder):
    device.start(1)
    assert device.world_size() == 2
    recipe = make_recipe(HardwareRecipe(threads_per_process=1))

    def train(kind, zero_stage, name, places):
        output = Path(folder) / name
        if device.rank() == 0:
            output.mkdir()
        device.barrier()
        stage = stopping.CUT[kind]
        loop = checkpoints.sft if stage.kind == "sft" else checkpoints.grpo
        settings = checkpoints.new_recipe(recipe, zero_stage, every_steps=100)
        loop.train(settings, stage, Path(model), Path(sets), output, places)
        return output

    for number, (kind, what, zero_stage) in enumerate(PLACES):
        saved, is_stopped = Path(folder) / f"{number}-saved", True
        with MonkeyPatch.context() as patch, suppress(Preempted):
            stopping.Told(patch, what, step=3, tells=device.rank() == number % 2)
            train(kind, zero_stage, f"{number}-told", Places(save=saved))
            is_stopped = False
        assert device.gather_from_all_ranks(is_stopped) == [True, True]
        assert checkpoints.names(saved) == ["step-00000002"]
        assert len(list((saved / "step-00000002").glob("learner-*"))) == 2
        places = Places(resume=saved / "step-00000002")
        resumed = train(kind, zero_stage, f"{number}-resumed", places)
        whole = train(kind, zero_stage, f"{number}-whole", Places())
        if device.rank() == 0:
            checkpoints.assert_equal_outputs(resumed, whole)


if __name__ == "__main__":
    main(*sys.argv[1:])
