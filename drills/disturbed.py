"""Small stages to be disturbed, in a store of their own: for tests and the fault table.

`python -m drills.disturbed FOLDER URI STAGE NUM_PROCESSES` makes one, as a run's task does.
"""

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

import psutil

from contracts.artifact import Artifact
from contracts.errors import StageError
from contracts.provenance import Provenance
from contracts.run_record import StageKind
from infra.launcher import Executor, Metrics
from infra.settings import PROJECT_ROOT, Settings
from infra.store import Store
from tasks.inputs import resolve
from tasks.keys import ingredients, input_digests, stage_key
from tasks.make import make_artifact
from tasks.run import Run
from training.pocket.problems import generate
from training.recipe.recipe import Recipe, parse_recipe
from training.records import Modality, write_problems

BASE = PROJECT_ROOT / "infra" / "models" / "pocket-base"
StageName = Literal["curate", "cold_start", "multimodal_rl", "text_rl", "evaluate"]
STAGES = get_args(StageName)
KINDS: dict[StageName, StageKind] = {
    "curate": "curate",
    "cold_start": "sft",
    "multimodal_rl": "rl",
    "text_rl": "rl",
    "evaluate": "evaluate",
}
MODALITIES: tuple[Modality, ...] = ("text", "multimodal")
NUM_PROBLEMS = 32
# Seconds of training after ten of starting, long enough to be hit in the middle; and how often
# they save.
NUM_STEPS = {"cold_start": 80, "multimodal_rl": 36, "text_rl": 36}
SAVE_EVERY = {"cold_start": 5, "multimodal_rl": 3, "text_rl": 3}
OPTIMIZER = {"learning_rate": 1e-3}
# Sampling in a few lots, long enough to be hit in the middle.
SAMPLES_PER_PROBLEM = 8
BENCHMARKS = [{"name": "pocket_text", "num_problems": 300}]


def new_recipe(name: StageName = "cold_start", **hardware: int) -> Recipe:
    """All three stages; what is saved how often is right for the stage `name`."""
    sets = [
        {"name": one, "modality": one, "num_problems": NUM_PROBLEMS, "needs_solution": True}
        for one in MODALITIES
    ]
    sources = [
        {"name": one, "kind": "pocket", "modality": one, "num_problems": NUM_PROBLEMS}
        for one in MODALITIES
    ]
    return parse_recipe(
        {
            "name": "tiny",
            "system_prompt": "Be brief.",
            "model": {"path": str(BASE)},
            "hardware": {"threads_per_process": 1, "retries": 0} | hardware,
            "sources": sources,
            "curation": {"sets": sets, "samples_per_problem": SAMPLES_PER_PROBLEM},
            "stages": [_cold_start(), _rl("multimodal_rl", "multimodal"), _rl("text_rl", "text")],
            "evaluation": {"benchmarks": BENCHMARKS, "max_response_tokens": 64, "temperature": 1.0},
            # The grace is far above what a step takes: the machine may be busy.
            "checkpoints": {"every_steps": SAVE_EVERY.get(name, 1), "grace_seconds": 300.0},
        },
        where="drills.disturbed",
    )


def _cold_start() -> dict[str, Any]:
    epochs = NUM_STEPS["cold_start"] * 4 / NUM_PROBLEMS
    stage = {"kind": "sft", "name": "cold_start", "data": "text", "optimizer": OPTIMIZER}
    return stage | {"epochs": epochs, "batch_size": 4, "max_length_tokens": 512}


def _rl(name: StageName, data: str) -> dict[str, Any]:
    return {
        "kind": "rl",
        "name": name,
        "data": data,
        "num_steps": NUM_STEPS[name],
        "prompts_per_step": 2,
        "group_size": 4,
        "max_response_tokens": 16,
        # Random in most responses, so that every step teaches something and moves the weights.
        "rewards": [{"kind": "repetition", "ngram": 1}],
        "optimizer": {"learning_rate": 1e-4},  # at more the rewards soon agree, and teach nothing
    }


class Watcher:
    """A display that keeps what it is shown, and may act on a step."""

    def __init__(self, on_step: Callable[[int], None] = lambda step: None) -> None:
        self.said: list[str] = []
        self.lines: list[str] = []
        self.steps: list[int] = []
        self._on_step = on_step

    def say(self, text: str) -> None:
        self.said.append(text)

    def show_retry(self, title: str, why: str) -> None:
        self.said.append(f"{title}: {why}")

    def show_warning(self, text: str) -> None:
        self.said.append(text)

    def show_line(self, line: str) -> None:
        self.lines.append(line)

    def following(self) -> AbstractContextManager[None]:  # its steps are lines
        return nullcontext()

    def show_metrics(self, metrics: Metrics) -> None:
        self.steps.append(metrics["step"])
        self._on_step(metrics["step"])


class Printer(Watcher):
    """Prints what the task says."""

    def say(self, text: str) -> None:
        print(text, flush=True)


def training_processes(ancestor: int | None = None) -> list[psutil.Process]:
    """The stage's own processes below this one, or another: no supervisor, and not torchrun."""
    found = []
    for process in psutil.Process(ancestor or os.getpid()).children(recursive=True):
        try:
            command = process.cmdline()
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        launchers = {"infra.supervisor", "infra.torchrun"}
        if "training.stage" in command and not launchers.intersection(command):
            found.append(process)
    return found


class Stage:
    """A stage in a store of its own; each `make` is what a new run does."""

    def __init__(
        self,
        folder: Path,
        uri: str,
        name: StageName = "cold_start",
        num_processes: int = 1,
        recipe: Recipe | None = None,
    ) -> None:
        self.folder, self.uri, self.name = folder, uri, name
        self.num_processes = num_processes
        self.store = Store(uri, folder / "cache")
        self.recipe = recipe or new_recipe(name, num_processes=num_processes)
        self._settings = Settings(home=folder / "home", store_uri=uri, port=1)
        for modality in MODALITIES:
            problems = generate(modality, "train", NUM_PROBLEMS, seed=0)
            write_problems(problems, folder / "sets" / f"{modality}.parquet")
        base, self.kind = self._put(BASE), KINDS[name]
        self.inputs = {"policy": base, "data": self._put(folder / "sets")}
        if name == "curate":
            sources = resolve(self.new_run(self.recipe), lambda *_: None, print).sources
            self.inputs = {"policy": base, **sources}
        elif name == "evaluate":
            self.inputs = {"base": base}
        digests = input_digests(self.store, self.recipe, name, self.inputs)
        self.made_of = ingredients(self.recipe, name, self.kind, digests)
        self.key = stage_key(self.made_of)

    def _put(self, folder: Path) -> Artifact:
        return self.store.publish(folder, "input", Provenance())

    def new_run(self, recipe: Recipe) -> Run:
        return Run(
            id="0" * 8,
            name="test",
            recipe=recipe,
            reuse="code",
            settings=self._settings,
            created=datetime.now(UTC),
        )

    def make(
        self,
        display: Watcher | None = None,
        recipe: Recipe | None = None,
        execute: Executor | None = None,
    ) -> Artifact:
        return make_artifact(
            self.new_run(recipe or self.recipe),
            self.store,
            self.kind,
            self.made_of,
            self.inputs,
            display or Watcher(),
            execute,
        )

    def weights(self, artifact: Artifact) -> bytes:
        return (self.store.fetch(artifact) / "model" / "model.safetensors").read_bytes()


def main(arguments: list[str]) -> int:
    """Makes the stage, or goes on with it; 1 if its processes failed."""
    folder, uri, name, num_processes = arguments
    stage = Stage(Path(folder), uri, STAGES[STAGES.index(name)], int(num_processes))
    try:
        stage.make(Printer())
    except StageError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
