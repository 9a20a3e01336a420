"""Curation's steps that sample nothing: rows a second beside datatrove's, and how they scale.

`python -m bench.curation --scale 10000 100000 1000000 --output docs/curation.md` writes the table
of that page: the whole of these steps, as a stage runs them, in two processes.

datatrove is no requirement of this project's. Where a Python of another environment has it
(`python -m bench --only curation --datatrove PYTHON`), it is given the same rows in the same run.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
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
POLL_SECONDS = 0.5
NUM_COMPARED = 20_000  # rows that datatrove is given, too
STEPS = ("sources, into shards", "each row by itself", "equal rows", "near duplicates", "files")


def recipe() -> Recipe:
    """One text source and one benchmark, with the defaults of every step."""
    stage = {"kind": "sft", "name": "unused", "data": "all", "optimizer": {"learning_rate": 1e-4}}
    curated = {"name": "all", "modality": "text", "num_problems": 1, "needs_solution": True}
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
        find: Callable[[Path], Iterable[pa.Table]],
        settings: object,
        num_undecided: Callable[[], int],
    ) -> list[Path]:
        """See `ShardWork.run`."""

        def clocked(folder: Path) -> Iterable[Path]:
            yield from write(folder)
            if step == "rows":
                self.times.append(time.time())

        if step != "rows":
            self.times.append(time.time())
        found = super().run(step, clocked, find, settings, num_undecided)
        self.times.append(time.time())
        return found


def measure(folder: Path) -> None:
    """Runs the steps in this process, one of a stage's; the first prints what it has seen."""
    from training.answers import Verifier
    from training.curation.curate import gather
    from training.model.policy import load_policy
    from training.runtime import device

    asked = recipe()
    device.start(1)
    base = load_policy(BASE, asked.model, system_prompt=asked.system_prompt)
    with Verifier() as verifier, Clocked() as work:
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
    """Of a process and its descendants, each page once, however many of them share it."""
    total = 0
    for process in [tree, *tree.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:  # it has just ended
            continue
    return total


def measure_alone(folder: Path) -> None:
    """The two steps that datatrove has as well, on one core; prints what they took."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    from training.answers import Verifier
    from training.curation.decontamination import BenchmarkIndex, decontaminate
    from training.curation.duplicates import drop_near_duplicates
    from training.curation.sources import load_source
    from training.evaluation.registry import load_benchmarks

    asked = recipe()
    inputs, curation = write_inputs(folder, 0), asked.curation
    (source,) = asked.sources
    with Verifier() as verifier:
        start = time.perf_counter()
        rows = load_source(source, inputs[source.input_name], 0).kept
        near = drop_near_duplicates(rows, curation.duplicates.similarity, verifier)
        middle = time.perf_counter()
        rows = load_source(source, inputs[source.input_name], 0).kept
        items = load_benchmarks(asked.evaluation, inputs)
        index = BenchmarkIndex({name: [i.problem for i in of] for name, of in items.items()})
        clean = decontaminate(rows, index, curation.decontamination.containment)
        seconds = {"near": middle - start, "decontamination": time.perf_counter() - middle}
    stay = {"near": len(near.kept), "clean": len(clean.result.kept)}
    print(json.dumps({"seconds": seconds, "stay": stay}))


def compare(num_rounds: int, peer: Path | None) -> list[Row]:
    """Two rows; none where there is no datatrove.

    Args:
        num_rounds: Of ours and the peer's, alternating.
        peer: A Python that has datatrove, or None.
    """
    if peer is None:
        print("curation: skipped, since --datatrove names no Python that has it", file=sys.stderr)
        return []
    ours, theirs = list[dict[str, Any]](), list[dict[str, Any]]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "inputs"
        source, benchmark = write_inputs(folder, NUM_COMPARED).values()
        script = [str(PROJECT_ROOT / "bench" / "datatrove_peer.py"), str(source / "rows.parquet")]
        script.append(str(benchmark / "items.parquet"))
        for number in range(num_rounds):
            ours.append(told([sys.executable, "-m", "bench.curation", "--alone", str(folder)]))
            made = Path(name) / str(number)
            made.mkdir()
            theirs.append(told([str(peer), *script, str(made)]))
    print(f"rows that stay: ours {ours[0]['stay']}, {theirs[0]['stay']}", file=sys.stderr)

    def rate(rounds: Sequence[dict[str, Any]], step: str) -> float:
        return NUM_COMPARED / median(one["seconds"][step] for one in rounds)

    return [
        Row(
            *(f"{words}, {NUM_COMPARED:,} rows, one core / datatrove", "rows/s"),
            *(rate(ours, step), rate(theirs, step)),
            *("at least", 1.0),
        )
        for words, step in (("near duplicates", "near"), ("decontamination", "decontamination"))
    ]


def told(command: Sequence[str]) -> dict[str, Any]:
    """The object that a command prints last."""
    done = subprocess.run(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def scale_table(sizes: Sequence[int], num_processes: int, folder: Path) -> str:
    """How the steps scale, as Markdown."""
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, {machine()}; {num_processes} process(es).",
        "",
        "| rows | step | seconds | rows/s | peak memory of all processes, GB |",
        "|---:|---|---:|---:|---:|",
    ]
    for size in sizes:
        steps = scale(size, num_processes, folder / str(size))
        seconds = sum(one for _, one, _ in steps)
        steps.append(("**all**", seconds, max(peak for _, _, peak in steps)))
        lines += [
            f"| {size:,} | {name} | {took:.1f} | {size / took:,.0f} | {peak / 1e9:.2f} |"
            for name, took, peak in steps
        ]
    return "\n".join(lines)


def main() -> None:
    """Measures as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", nargs="+", type=int, help="numbers of rows")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--output", type=Path, help="the page that has the table")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
        return
    if options.alone:
        measure_alone(options.alone)
        return
    with tempfile.TemporaryDirectory() as name:
        text = scale_table(options.scale, options.processes, Path(name))
    print(text)
    if options.output:
        page = options.output.read_text(encoding="utf-8")
        before, after = page.partition(START)[0], page.partition(END)[2]
        options.output.write_text(f"{before}{START}\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
