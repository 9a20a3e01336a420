"""A small training stage to be disturbed, in a store of its own: for tests and the fault table."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psutil

from infra.launcher import Metrics
from infra.settings import PROJECT_ROOT, Settings
from infra.store import Artifact, Store
from tasks.keys import stage_key
from tasks.make import make_artifact
from tasks.run import Run
from training.recipe import Recipe, parse_recipe
from training.records import Problem, write_problems

BASE = PROJECT_ROOT / "infra" / "models" / "pocket-base"
NUM_STEPS = 160  # of 4 rows each: seconds, and long enough to be hit in the middle
OPTIMIZER = {"learning_rate": 1e-3}


def _problem(number: int) -> Problem:
    return {
        "id": f"p{number}",
        "source": "tests",
        "modality": "text",
        "family": "additions",
        "template": "plain",
        "level": 1,
        "question": f"{number} + 1 = ?",
        "images": [],
        "answer": str(number + 1),
        "solution": f"<think> {number} + 1 </think> \\boxed{{{number + 1}}}",
        "reading": None,
        "pass_rate": None,
    }


def new_recipe(**hardware: int) -> Recipe:
    """Supervised training for `NUM_STEPS` steps."""
    stage = {"kind": "sft", "name": "cold_start", "data": "text", "optimizer": OPTIMIZER}
    curated = {"name": "text", "modality": "text", "num_problems": 32, "needs_solution": True}
    return parse_recipe(
        {
            "name": "tiny",
            "system_prompt": "Be brief.",
            "model": {"path": str(BASE)},
            "hardware": {"threads_per_process": 1} | hardware,
            "sources": [{"name": "t", "kind": "pocket", "modality": "text", "num_problems": 1}],
            "curation": {"sets": [curated]},
            "stages": [
                stage | {"epochs": NUM_STEPS / 8, "batch_size": 4, "max_length_tokens": 512}
            ],
            "evaluation": {"benchmarks": [{"name": "pocket_text"}], "max_response_tokens": 8},
            # Far above what a step takes: the machine may be busy.
            "checkpoints": {"every_steps": 10, "grace_seconds": 300.0},
        },
        where="tests",
    )


class Watcher:
    """A display that keeps what it is shown, and may act on a step."""

    def __init__(self, on_step: Callable[[int], None] = lambda step: None) -> None:
        self.said: list[str] = []
        self.lines: list[str] = []
        self.steps: list[int] = []
        self._on_step = on_step

    def say(self, text: str) -> None:
        self.said.append(text)

    def show_line(self, line: str) -> None:
        self.lines.append(line)

    def show_metrics(self, metrics: Metrics) -> None:
        self.steps.append(metrics["step"])
        self._on_step(metrics["step"])


def training_processes() -> list[psutil.Process]:
    """The stage's own processes below this one: not the supervisor's, not torchrun's."""
    found = []
    for process in psutil.Process(os.getpid()).children(recursive=True):
        try:
            command = process.cmdline()
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        if "training.stage" in command and "infra.torchrun" not in command:
            found.append(process)
    return found


class Stage:
    """The cold start in a store of its own; each `make` is what a new run does."""

    def __init__(self, folder: Path, uri: str) -> None:
        self.store = Store(uri, folder / "cache")
        self.recipe = new_recipe()
        self._settings = Settings(home=folder / "home", store_uri=uri, port=1)
        write_problems([_problem(i) for i in range(32)], folder / "sets" / "text.parquet")
        self._inputs = {"policy": self._put(BASE), "data": self._put(folder / "sets")}
        self.key = stage_key(self.recipe, "cold_start", self._inputs, code="c")

    def _put(self, folder: Path) -> Artifact:
        return self.store.publish(folder, "input", producer={}, inputs={}, recipe_digest="")

    def make(self, display: Watcher | None = None, recipe: Recipe | None = None) -> Artifact:
        run = Run(
            id="0" * 8,
            name="test",
            recipe=recipe or self.recipe,
            fresh=False,
            settings=self._settings,
            created=datetime.now(UTC),
            code="c",
        )
        return make_artifact(
            run,
            self.store,
            "cold_start",
            self._inputs,
            makes="model",
            key=self.key,
            display=display or Watcher(),
        )

    def weights(self, artifact: Artifact) -> bytes:
        return (self.store.fetch(artifact) / "model" / "model.safetensors").read_bytes()
