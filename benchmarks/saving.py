"""What saving a step checkpoint every 10 steps costs: pocket stages, with and without.

The stages are shortened, and end between two saves as the recipe's do. Seconds count from the first
step to the stage's artifact in the store, so that what is still being uploaded then counts too.
"""

import uuid
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.disturbed import BASE
from benchmarks.table import Row
from infra.launcher import Metrics
from infra.settings import PROJECT_ROOT, Settings
from infra.store import Artifact, Store
from tasks.make import make_artifact
from tasks.run import Run
from training.pocket.problems import generate
from training.recipe import Recipe, load_recipe
from training.records import Modality, write_problems

POCKET = PROJECT_ROOT / "infra" / "recipes" / "pocket.toml"
NEVER = 10**6
# Steps that are run of each stage, its data's modality, and rows enough for them.
SHORTENED: dict[str, tuple[int, Modality, int]] = {
    "cold_start": (44, "text", 1700),
    "multimodal_rl": (24, "multimodal", 600),
}


class Clock:
    """A display that notes when the first step ended."""

    def __init__(self) -> None:
        self.start: float | None = None

    def say(self, text: str) -> None:
        """Nobody listens."""

    def show_line(self, line: str) -> None:
        """Nobody reads it."""

    def show_metrics(self, _metrics: Metrics) -> None:
        """Starts the clock."""
        self.start = self.start or perf_counter()


def saving_rows(uri: str, folder: Path, num_rounds: int) -> list[Row]:
    """A row for each stage; rounds with and without alternate.

    Args:
        uri: The store.
        folder: Receives the runs' scratch files.
        num_rounds: Of each.
    """
    store = Store(uri, folder / "cache")
    rows = []
    for name, (num_steps, modality, num_rows) in SHORTENED.items():
        data = folder / f"{name}-data"
        write_problems(generate(modality, "train", num_rows, seed=0), data / f"{name}.parquet")
        inputs = {"policy": _put(store, BASE), "data": _put(store, data)}
        recipes = [shortened(name, num_steps, every) for every in (10, NEVER)]
        rounds = [
            [_seconds(recipe, store, name, inputs, folder) for recipe in recipes]
            for _ in range(num_rounds)
        ]
        saving, plain = (median(seconds) for seconds in zip(*rounds, strict=True))
        what = f"{name}, {num_steps} steps, saved every 10 / never saved"
        rows.append(Row(what, "s", saving, plain, "at most", 1.05))
    return rows


def shortened(name: str, num_steps: int, every_steps: int) -> Recipe:
    """The pocket recipe with a few steps of one stage, saving every so many."""
    recipe = load_recipe(POCKET)
    stage = next(stage for stage in recipe.stages if stage.name == name)
    fewer: dict[str, Any] = {"num_steps": num_steps}
    if stage.kind == "sft":
        fewer = {"epochs": num_steps * stage.batch_size / SHORTENED[name][2]}
    checkpoints = recipe.checkpoints.model_copy(update={"every_steps": every_steps})
    stages = (stage.model_copy(update=fewer),)
    return recipe.model_copy(update={"stages": stages, "checkpoints": checkpoints})


def _put(store: Store, folder: Path) -> Artifact:
    return store.publish(folder, "input", producer={}, inputs={}, recipe_digest="")


def _seconds(
    recipe: Recipe, store: Store, name: str, inputs: dict[str, Artifact], folder: Path
) -> float:
    run = Run(
        id="0" * 8,
        name="saving",
        recipe=recipe,
        fresh=True,
        settings=Settings(home=folder / "home", store_uri=store.root, port=1),
        created=datetime.now(UTC),
        code="c",
    )
    clock, key = Clock(), uuid.uuid4().hex
    make_artifact(run, store, name, inputs, makes="model", key=key, display=clock)
    assert clock.start is not None  # the stage logs every step
    return perf_counter() - clock.start
