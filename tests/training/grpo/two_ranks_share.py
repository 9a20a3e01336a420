"""Run by torchrun in test_experience.py: two ranks of multimodal RL, watched."""

import pickle
import sys
from pathlib import Path

from _pytest.monkeypatch import MonkeyPatch

from tests.training.conftest import make_recipe
from tests.training.grpo.test_train import new_stage
from training.grpo import train as grpo
from training.grpo.upcoming import prompt_of
from training.model import encoding
from training.recipe.recipe import HardwareRecipe
from training.runtime import device

PNG = b"\x89PNG"


def main(model, sets, folder):
    device.start(1)
    assert device.world_size() == 2
    output = Path(folder) / "output"
    if device.rank() == 0:
        output.mkdir()
    device.barrier()
    sampled, processed, policies, sent = [], [], [], []
    collect, read, gather = grpo.collect, encoding._read, device.gather_from_all_ranks

    def collecting(engine, verifier, problems, *arguments, **options):
        if not sampled:
            processed.clear()  # the first rank has shown some problems
        sampled.extend(problems)
        return collect(engine, verifier, problems, *arguments, **options)

    def reading(policy, images, key, text):
        processed.append(text)
        policies.append(policy)
        return read(policy, images, key, text)

    def gathering(value):
        sent.append(pickle.dumps(value))
        return gather(value)

    stage = new_stage(
        data="multimodal",
        num_steps=2,
        prompts_per_step=6,
        updates_per_step=2,
        kl={"coefficient": 0.1},
    )
    with MonkeyPatch.context() as patch:
        patch.setattr(grpo, "collect", collecting)
        patch.setattr(encoding, "_read", reading)
        patch.setattr(device, "gather_from_all_ranks", gathering)
        recipe = make_recipe(HardwareRecipe(threads_per_process=1))
        grpo.train(recipe, stage, Path(model), Path(sets), output)
    assert len(sampled) == 12 and all(PNG in one["images"][0]["bytes"] for one in sampled)
    own = [prompt_of(problem) for problem in sampled[device.rank() :: 2]]
    assert processed and set(processed) <= set(encoding.conversations(policies[0], own))
    assert len(sent) >= 2 and not any(PNG in data for data in sent)


if __name__ == "__main__":
    main(*sys.argv[1:])
