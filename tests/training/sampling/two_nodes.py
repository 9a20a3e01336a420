"""Run by `infra.torchrun --nodes 2` in test_job.py: two nodes that share no folder."""

import importlib.util
import sys
from pathlib import Path

from training.model.policy import load_policy
from training.recipe.model import ModelRecipe
from training.runtime import device


def main(model: str, folder: str) -> None:
    """Leaves what each node knows in the end, and its own chunks in a folder of its own."""
    device.start(1)
    assert (device.world_size(), device.num_nodes()) == (2, 2)
    spec = importlib.util.spec_from_file_location("job", Path(__file__).with_name("test_job.py"))
    test = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(test)
    policy = load_policy(Path(model), ModelRecipe(path="unused"), system_prompt="Be brief.")
    own = Path(folder) / f"node-{device.rank()}"
    found = test.asked_twice(policy, own / "saved")
    (own / "answers").write_text(repr(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
