"""What saving a step checkpoint every 10 steps costs: pocket stages, with and without.

The same steps are timed in two processes, one of which saves. Two processes that do the same differ
by more than saving costs, so they are compared by the steps that no save touches: what the others
took longer than that is the cost. Copy, writing and upload, and the S3 server beside them, all fall
into the few steps after a save.
"""

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.table import Row
from contracts.artifact import Artifact
from contracts.provenance import Provenance
from drills.disturbed import BASE, Watcher
from infra.settings import PROJECT_ROOT, Settings
from infra.store import Store
from tasks.keys import ingredients, input_digests
from tasks.make import make_artifact
from tasks.run import Run
from training.pocket.problems import generate
from training.recipe.recipe import Recipe, load_recipe
from training.records import Modality, write_problems

POCKET = PROJECT_ROOT / "infra" / "recipes" / "pocket.toml"
EVERY, NEVER = 10, 10**6
TOUCHED = 4  # steps after a save
# Steps that are run of each stage, its data's modality, and rows enough for them.
SHORTENED: dict[str, tuple[int, Modality, int]] = {
    "cold_start": (44, "text", 1700),
    "multimodal_rl": (24, "multimodal", 600),
}


def saving_rows(uri: str, where: str, folder: Path, num_rounds: int) -> list[Row]:
    """A row for each stage; rounds with and without alternate.

    Args:
        uri: The store.
        where: The store in words.
        folder: Receives the runs' scratch files.
        num_rounds: Of each.
    """
    store = Store(uri, folder / "cache")
    rows = []
    for name, (num_steps, modality, num_rows) in SHORTENED.items():
        data = folder / f"{name}-data"
        write_problems(generate(modality, "train", num_rows, seed=0), data / f"{name}.parquet")
        inputs = {"policy": _put(store, BASE), "data": _put(store, data)}
        recipes = [shortened(name, num_steps, every) for every in (EVERY, NEVER)]
        rounds = [
            [_step_seconds(recipe, store, name, inputs, folder) for recipe in recipes]
            for _ in range(num_rounds)
        ]
        plain = min(sum(without) for _, without in rounds)
        saving = plain * median(cost(*both) for both in rounds)
        what = f"{name}, {num_steps} steps, {where}, saved every {EVERY} / never saved"
        rows.append(Row(what, "s", saving, plain, "at most", 1.05))
    return rows


def cost(saving: Sequence[float], plain: Sequence[float]) -> float:
    """The share of time that saving adds, plus 1.

    Args:
        saving: Seconds of each step after the first, where every 10th is followed by a save.
        plain: The same steps' without any.
    """
    steps = np.arange(1, len(plain) + 1)
    touched = (steps >= EVERY) & (steps % EVERY < TOUCHED)
    with_, without = np.array(saving), np.array(plain)
    pace = with_[~touched].sum() / without[~touched].sum()
    return 1 + (with_[touched].sum() - pace * without[touched].sum()) / (pace * without.sum())


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
    return store.publish(folder, "input", Provenance())


def _step_seconds(
    recipe: Recipe, store: Store, name: str, inputs: dict[str, Artifact], folder: Path
) -> list[float]:
    run = Run(
        id="0" * 8,
        name="saving",
        recipe=recipe,
        reuse="none",
        settings=Settings(home=folder / "home", store_uri=store.root, port=1),
        created=datetime.now(UTC),
    )
    (stage,) = recipe.stages
    digests = input_digests(store, recipe, name, inputs)
    made_of = ingredients(recipe, name, stage.kind, digests, salt=uuid.uuid4().hex)
    made = make_artifact(run, store, stage.kind, made_of, inputs, Watcher())
    lines = (store.fetch(made) / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    seconds = [json.loads(line)["seconds"] for line in lines]
    return [after - before for before, after in pairwise(seconds)]
