"""Curation's steps that sample nothing: rows a second beside datatrove's, and how they scale.

`python -m bench.curation --scale 10000 100000 1000000 --output docs/curation.md` writes the table
of that page: the whole of these steps, as a stage runs them, in two processes.

datatrove is no requirement of this project's. Where a Python of another environment has it
(`python -m bench --only curation --datatrove PYTHON`), it is given the same rows in the same run.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import pyarrow as pa

from bench.curation_rows import write_benchmark, write_rows
from bench.table import Row, machine
from infra.settings import PROJECT_ROOT
from training.curation.shard_work import ShardWork
from training.recipe.recipe import Recipe, parse_recipe

BASE = PROJECT_ROOT / "infra" / "models" / "pocket-base"
START, END = "<!-- made by python -m bench.curation -->", "<!-- end of the scale table -->"
POLL_SECONDS = 0.2
STEPS = ("sources, into shards", "each row by itself", "equal rows", "near duplicates", "files")


def recipe() -> Recipe:
    """One text source and one benchmark, with the defaults of every step."""
    stage = {"kind": "sft", "name": "unused", "data": "all", "optimizer": {"learning_rate": 1e-4}}
    curated = {"name": "all", "modality": "text", "num_problems": 1}
    return parse_recipe(
        {
            "name": "bench",
            "system_prompt": "Think in <think></think>, then answer in \\boxed{}.",
            "model": {"path": str(BASE)},
            "sources": [{"name": "rows", "kind": "parquet", "modality": "text", "path": "./rows"}],
            "curation": {"sets": [curated], "max_prompt_tokens": 4096},
            "stages": [stage | {"epochs": 1.0, "batch_size": 1, "max_length_tokens": 64}],
            "evaluation": {
                "benchmarks": [
                    {
                        "name": "exam",
                        "kind": "file",
                        "path": "./exam",
                        "metric": "text",
                        "columns": {"question": "question", "answer": "answer"},
                    }
                ],
                "max_response_tokens": 64,
            },
        },
        where="bench.curation",
    )


def write_inputs(folder: Path, num_rows: int) -> dict[str, Path]:
    """Writes the source and the benchmark; returns their folders by the names of the stage's."""
    asked = recipe()
    inputs = {
        asked.sources[0].input_name: folder / "rows",
        asked.evaluation.benchmarks[0].input_name: folder / "exam",
    }
    if not folder.exists():
        write_rows(folder / "rows", num_rows)
        write_benchmark(folder / "exam")
    return inputs


class Clocked(ShardWork):
    """Work on shards that keeps when its parts began, seconds since the epoch."""

    def __init__(self, save: Path | None = None, resume: Path | None = None) -> None:
        super().__init__(save, resume)
        self.times = [time.time()]

    def run(
        self,
        step: str,
        write: Callable[[Path], Iterable[Path]],
        find: Callable[[Path], pa.Table],
        settings: object,
    ) -> list[Path]:
        """See `ShardWork.run`."""

        def clocked(folder: Path) -> Iterable[Path]:
            yield from write(folder)
            if step == "rows":
                self.times.append(time.time())

        if step != "rows":
            self.times.append(time.time())
        found = super().run(step, clocked, find, settings)
        self.times.append(time.time())
        return found


def measure(folder: Path, save: Path | None) -> None:
    """Runs the steps in this process, one of a stage's; the first prints what it has seen."""
    from training.answers import Verifier
    from training.curation.curate import gather
    from training.model.policy import load_policy
    from training.runtime import device

    asked = recipe()
    device.start(1)
    base = load_policy(BASE, asked.model, system_prompt=asked.system_prompt)
    with Verifier() as verifier, Clocked(save, save) as work:
        read = gather(asked, write_inputs(folder, 0), base, verifier, work)
        end = time.time()
    if read is not None:
        print(json.dumps({"times": [*work.times, end], "rows": read.sifted.num_rows}), flush=True)


def scale(num_rows: int, num_processes: int, folder: Path) -> list[tuple[str, float, int]]:
    """Each step's seconds and the most memory that all processes together held in it, bytes."""
    write_inputs(folder, num_rows)
    command = [sys.executable, "-m", "infra.torchrun", "--nproc-per-node", str(num_processes)]
    command += ["-m", "bench.curation", "--measure", str(folder)]
    seen = list[tuple[float, int]]()
    with subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True) as running:
        tree = psutil.Process(running.pid)
        while running.poll() is None:
            seen.append((time.time(), resident_bytes(tree)))
            time.sleep(POLL_SECONDS)
        assert running.stdout is not None
        lines = running.stdout.read().splitlines()
    if running.returncode:
        raise RuntimeError(f"the steps ended with {running.returncode}: {lines[-5:]}")
    told: dict[str, Any] = json.loads(lines[-1])
    if told["rows"] != num_rows:
        raise RuntimeError(f"{num_rows} rows were written and {told['rows']} accounted for")
    print("\n".join(lines[:-1]), file=sys.stderr)
    times = told["times"]
    steps = zip(STEPS, times, times[1:], strict=False)
    return [
        (name, end - start, max((b for at, b in seen if start <= at <= end), default=0))
        for name, start, end in steps
    ]


def resident_bytes(tree: psutil.Process) -> int:
    """Of a process and its descendants; what they share is counted more than once."""
    total = 0
    for process in [tree, *tree.children(recursive=True)]:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total
