"""Our RL step in two processes, beside one with as many threads: the same work on the same cores.

`python -m bench.ranks TIMES MODALITY STEPS`, alone or under torchrun, is one round of one side.
Both start anew for each round, and take a step before they are timed.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import cast

from bench.peer import NUM_THREADS
from bench.rl_step import NUM_PROMPTS, new_stage, ours
from bench.table import Row
from infra.launcher import stage_environment
from infra.settings import PROJECT_ROOT
from training.answers import Verifier
from training.pocket.problems import generate
from training.recipe.recipe import load_recipe
from training.records import Modality
from training.runtime import device

NUM_RANKS = 2


def main() -> None:
    """Takes a few steps, of which rank 0 writes down the durations (s)."""
    times, modality, num_steps = sys.argv[1:]
    recipe = load_recipe(PROJECT_ROOT / "infra/recipes/pocket.toml")
    problems = generate(cast(Modality, modality), "train", NUM_PROMPTS * 8, seed=0)
    device.start(int(os.environ["OMP_NUM_THREADS"]))
    with Verifier() as verifier:
        running = ours(recipe, new_stage(pad={"ratio": 0.5}), problems, verifier)
        running.seconds(1)  # warms up
        taken = running.seconds(int(num_steps))
    if device.rank() == 0:
        Path(times).write_text(json.dumps(taken), encoding="utf-8")


def compare(modality: Modality, *, num_rounds: int, steps_per_round: int) -> Row:
    """One row without a bar: two cores hold two ranks' models, and what they say to each other."""
    two: list[float] = []
    one: list[float] = []
    for _ in range(num_rounds):
        two += _round(NUM_RANKS, modality, steps_per_round)
        one += _round(1, modality, steps_per_round)
    name = f"RL step, {modality}, PAD, rho 0.5: {NUM_RANKS} processes / 1 process, the same cores"
    return Row(name, "s", median(two), median(one), "at most", None)


def _round(num_ranks: int, modality: Modality, num_steps: int) -> list[float]:
    launch = ["-m", "infra.torchrun", "--nproc-per-node", str(num_ranks)] if num_ranks > 1 else []
    with tempfile.TemporaryDirectory() as folder:
        times = Path(folder) / "times.json"
        own = ["-m", "bench.ranks", str(times), modality, str(num_steps)]
        subprocess.run(
            [sys.executable, *launch, *own],
            cwd=PROJECT_ROOT,
            env=stage_environment(threads_per_process=max(NUM_THREADS // num_ranks, 1)),
            stdout=subprocess.DEVNULL,
            check=True,
        )
        taken: list[float] = json.loads(times.read_text(encoding="utf-8"))
        return taken


if __name__ == "__main__":
    main()
