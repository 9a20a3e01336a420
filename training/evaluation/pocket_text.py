"""Held-out text problems of the pocket world."""

from pathlib import Path

from training.evaluation.benchmark import HubSet
from training.evaluation.items import Item, own_item
from training.pocket.problems import generate

METRIC = "accuracy"
PLACE: HubSet | None = None
NEEDS_IMAGES = False
# One fixed set, whatever the run's seed: scores of different runs are then comparable.
SEED = 20_250_607
NUM_PROBLEMS = 500


def load(name: str, folder: Path, num_problems: int | None) -> list[Item]:
    """Problems of the test split, which shares no template and no digit image with training."""
    problems = generate("text", "test", num_problems or NUM_PROBLEMS, SEED)
    return [own_item(problem) for problem in problems]
