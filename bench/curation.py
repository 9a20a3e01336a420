"""Curation's steps that sample nothing: rows a second beside datatrove's, and how they scale.

`python -m bench.curation --scale 10000 100000 1000000 --output docs/curation.md` writes the table
of that page: a whole curation, as a stage runs it, in two processes, and its datasheet. The rows
come with pass rates and levels, so that nothing is sampled.

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
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from bench.curation_rows import write_benchmark, write_rows
from bench.table import Row, machine
from contracts.steps import parse_step
from infra.settings import PROJECT_ROOT
from training.recipe.curation import DECONTAMINATION, NEAR_DUPLICATES
from training.recipe.recipe import Recipe, parse_recipe, resolved_toml_values
from training.records import Problem

BASE = PROJECT_ROOT / "infra" / "models" / "pocket-base"
START, END = "<!-- made by python -m bench.curation -->", "<!-- end of the scale table -->"
POLL_SECONDS = 0.25
MADE, DATASHEET = "made", "datasheet"  # a folder, a step
NUM_COMPARED = 20_000  # rows that datatrove is given, too


def recipe(num_rows: int) -> Recipe:
    """One text source, one benchmark and three sets, with the defaults of every step."""
    stage = {"kind": "sft", "name": "unused", "data": "cold", "optimizer": {"learning_rate": 1e-4}}
    sets = [
        {"name": "cold", "num_problems": max(num_rows // 10, 1), "needs_solution": True},
        {"name": "hard", "num_problems": max(num_rows // 5, 1), "max_pass_rate": 0.5},
        {"name": "rest", "num_problems": max(num_rows // 5, 1)},
    ]
    return parse_recipe(
        {
            "name": "bench",
            "system_prompt": "Think in <think></think>, then answer in \\boxed{}.",
            "model": {"path": str(BASE)},
            "sources": [{"name": "rows", "kind": "parquet", "modality": "text", "path": "./rows"}],
            "curation": {
                "sets": [{"modality": "text", **one} for one in sets],
                "max_prompt_tokens": 4096,
            },
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
    """Writes the source and the benchmark; returns the stage's folders by their names."""
    asked = recipe(num_rows)
    inputs = {
        "policy": BASE,
        asked.sources[0].input_name: folder / "rows",
        asked.evaluation.benchmarks[0].input_name: folder / "exam",
    }
    if not folder.exists():
        write_rows(folder / "rows", num_rows)
        write_benchmark(folder / "exam")
    return inputs


def measure(folder: Path, num_rows: int) -> None:
    """Curates in this process, one of a stage's."""
    from training.curation.curate import curate

    (folder / MADE).mkdir(exist_ok=True)
    curate(recipe(num_rows), write_inputs(folder, num_rows), folder / MADE)


def measure_datasheet(folder: Path, num_rows: int) -> None:
    """Writes the datasheet, as the flow does, of what was curated."""
    from tasks.datasheet import write_datasheet

    values = resolved_toml_values(recipe(num_rows))
    write_datasheet("bench", folder / MADE, values, folder / "report")


def scale(num_rows: int, num_processes: int, folder: Path) -> list[tuple[str, float, int]]:
    """Each step's seconds and the most memory that all processes together held in it, bytes.

    A step lasts until the next begins.
    """
    write_inputs(folder, num_rows)
    told = ["-m", "bench.curation", "--folder", str(folder), "--rows", str(num_rows)]
    launcher = ["-m", "infra.torchrun", "--nproc-per-node", str(num_processes)]
    steps = watched([sys.executable, *launcher, *told, "--measure", "curate"])
    steps += watched([sys.executable, *told, "--measure", DATASHEET], first=DATASHEET)
    summary = json.loads((folder / MADE / "summary.json").read_text(encoding="utf-8"))
    if summary["rows_in"] != num_rows:
        raise RuntimeError(f"{num_rows} rows were written, {summary['rows_in']} accounted for")
    return steps


def watched(command: Sequence[str], first: str | None = None) -> list[tuple[str, float, int]]:
    """Runs a command; returns each step that it tells of, its seconds and its peak memory, bytes.

    Args:
        command: The command.
        first: The step that it begins with; None where its log tells of one.
    """
    begins = [] if first is None else [(time.time(), first)]
    with (
        subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True) as running,
        ThreadPoolExecutor(1) as beside,
    ):
        watching = beside.submit(watch, running)
        assert running.stdout is not None
        for line in running.stdout:
            print(line, end="", file=sys.stderr)
            if (step := parse_step(line)) is not None and step.told is None:
                begins.append((time.time(), step.name))
    if running.returncode:
        raise RuntimeError(f"{command} ended with {running.returncode}")
    ends = [*(at for at, _ in begins[1:]), time.time()]
    seen = watching.result()
    return [
        (name, end - start, peak(seen, start, end))
        for (start, name), end in zip(begins, ends, strict=True)
    ]


def peak(seen: Sequence[tuple[float, int]], start: float, end: float) -> int:
    """The most memory that was held in a step, bytes: of a short one, as it was seen before.

    Args:
        seen: Times, seconds, and bytes, in order; the first is from before the step ended.
        start: When it began.
        end: When it ended.
    """
    until = [(at, held) for at, held in seen if at <= end]
    meanwhile = [held for at, held in until if at >= start - 2 * POLL_SECONDS]
    return max(meanwhile or [until[-1][1]])


def watch(running: subprocess.Popen[str]) -> list[tuple[float, int]]:
    """Of a process, until it ends: the time, seconds, and the memory it holds, bytes."""
    tree = psutil.Process(running.pid)
    seen = [(time.time(), resident_bytes(tree))]
    while running.poll() is None:
        time.sleep(POLL_SECONDS)
        seen.append((time.time(), resident_bytes(tree)))
    return seen


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
    from training.curation.decontamination import BenchmarkIndex
    from training.curation.row_steps import RowSteps
    from training.curation.shard_work import ShardWork
    from training.curation.sift import SourceCounts, sift, source_rows
    from training.evaluation.registry import load_benchmarks
    from training.runtime import device

    device.start(1)
    asked = recipe(NUM_COMPARED)
    inputs, curation = write_inputs(folder, NUM_COMPARED), asked.curation

    def num_left(step: str, benchmarks: Mapping[str, Sequence[Problem]]) -> int:
        """How many rows one step of a run leaves, alone; reading, shards and files included."""
        rows = source_rows(asked.sources, inputs, asked.seed, SourceCounts())
        with Verifier() as verifier, ShardWork() as work:
            steps = RowSteps(
                verifier,
                lambda prompts: [0] * len(prompts),  # no step here asks for lengths
                BenchmarkIndex(benchmarks),
                curation.max_prompt_tokens,
                curation.decontamination.containment,
                curation.duplicates.similarity,
                (step,),
            )
            found = sift(rows, steps, curation.decontamination, work)
        assert found is not None  # this is the first process
        return found.num_usable

    start = time.perf_counter()
    near = num_left(NEAR_DUPLICATES, {})
    middle = time.perf_counter()
    items = load_benchmarks(asked.evaluation, inputs)
    clean = num_left(
        DECONTAMINATION, {name: [item.problem for item in of] for name, of in items.items()}
    )
    seconds = {"near": middle - start, "decontamination": time.perf_counter() - middle}
    print(json.dumps({"seconds": seconds, "stay": {"near": near, "clean": clean}}))


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
        _, source, benchmark = write_inputs(folder, NUM_COMPARED).values()
        script = [str(PROJECT_ROOT / "bench" / "datatrove_peer.py"), str(source / "rows.parquet")]
        script.append(str(benchmark / "items.parquet"))
        alone = [sys.executable, "-m", "bench.curation", "--measure", "alone"]
        alone += ["--folder", str(folder)]
        for number in range(num_rounds):
            ours.append(told(alone))
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
            f"| {size:,} | {name} | {took:.1f} | {shown_rate(size, took)} | {peak / 1e9:.2f} |"
            for name, took, peak in steps
        ]
    return "\n".join(lines)


def shown_rate(num_rows: int, seconds: float) -> str:
    """Rows a second; of what took no time that the table shows, none."""
    return f"{num_rows / seconds:,.0f}" if seconds >= 0.05 else "-"


def main() -> None:
    """Measures as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", nargs="+", type=int, help="numbers of rows")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--output", type=Path, help="the page that has the table")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    match options.measure:
        case "curate":
            measure(options.folder, options.rows)
        case "datasheet":
            measure_datasheet(options.folder, options.rows)
        case "alone":
            measure_alone(options.folder)
        case _:
            write_table(options.scale, options.processes, options.output)


def write_table(sizes: Sequence[int], num_processes: int, page: Path | None) -> None:
    """Prints how the steps scale, and writes it into a page that has the table."""
    with tempfile.TemporaryDirectory() as name:
        text = scale_table(sizes, num_processes, Path(name))
    print(text)
    if page is not None:
        old = page.read_text(encoding="utf-8")
        before, after = old.partition(START)[0], old.partition(END)[2]
        page.write_text(f"{before}{START}\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
