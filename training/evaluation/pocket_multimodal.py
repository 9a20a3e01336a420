"""Held-out image problems of the pocket world."""

from training.pocket.problems import generate
from training.records import Problem

SCORING = "single_answer"
# One fixed set, whatever the run's seed: scores of different runs are then comparable.
SEED = 20_250_607
NUM_PROBLEMS = 500


def load(num_problems: int | None) -> list[Problem]:
    """Problems of the test split, which shares no template and no digit image with training."""
    return generate("multimodal", "test", num_problems or NUM_PROBLEMS, SEED)
