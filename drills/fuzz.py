"""The table of hostile inputs in docs/reliability.md: `python -m drills.fuzz [--cases 400]`.

Each kind runs in a process of its own, which makes one case after the other. It is ended when a
case takes too long or too much, and another one goes on with the next case. A case is good if the
code takes the input, or refuses it by an error that it raises on purpose. Any other exception is
printed with its traceback and its number.
"""

import argparse
import json
import os
import random
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from contracts.errors import RevisualError
from infra.settings import PROJECT_ROOT

KINDS = ("recipes", "Parquet files", "images", "stores", "answers", "models")
MAX_SECONDS, MAX_BYTES = 10.0, 2 * 10**9
START_SECONDS = 300.0  # imports, on a busy machine
POLL_SECONDS = 0.25
HEAD = (
    "| input | cases | taken | refused | tracebacks | over 10 s | over 2 GB | slowest | memory |\n"
    "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
)
GOOD = ("taken", "refused")
OUTCOMES = (*GOOD, "traceback", "slow", "large")


def serve(kind: str, seed: int, first: int, num_cases: int) -> None:
    """Runs cases of one kind in this process; one JSON line each."""
    from drills.hostile import CASES  # seconds, which the parent need not pay

    with tempfile.TemporaryDirectory() as name:
        with suppress(Exception):  # imports, and processes that stay: not the first case's time
            CASES[kind](random.Random(0), Path(name))
        tell(ready=True)
        for number in range(first, num_cases):
            folder = Path(name) / str(number)
            folder.mkdir()
            start_seconds, told = time.monotonic(), ""
            try:
                CASES[kind](random.Random(f"{kind}/{seed}/{number}"), folder)
                outcome = "taken"
            except RevisualError:
                outcome = "refused"
            except BaseException:  # noqa: BLE001 - this is what is looked for
                outcome, told = "traceback", traceback.format_exc()
            seconds = time.monotonic() - start_seconds
            tell(
                case=number,
                outcome=outcome,
                seconds=seconds,
                bytes=peak_bytes(os.getpid()),
                told=told,
            )
            shutil.rmtree(folder)


def tell(**values: object) -> None:
    """Writes one line to whoever started this process; the code under test may print, too."""
    assert sys.__stdout__ is not None
    sys.__stdout__.write("\n" + json.dumps(values) + "\n")
    sys.__stdout__.flush()


def peak_bytes(pid: int) -> int:
    """Most resident memory of a process, or of one of those it started, so far."""
    return max(map(_peak, _family(pid)), default=0)


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _peak(process: psutil.Process) -> int:
    with suppress(OSError):  # it has just ended
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
        return int(found[1]) * 1024 if found else 0
    return 0


def command(kind: str, seed: int, first: int, num_cases: int) -> list[str]:
    """Starts a process that serves."""
    options = ["--seed", str(seed), "--cases", str(num_cases), "--serve", kind, str(first)]
    return [sys.executable, "-m", "drills.fuzz", *options]


def results(kind: str, seed: int, num_cases: int) -> Iterator[dict[str, Any]]:
    """What became of each case, whatever became of the process."""
    first = 0
    while first < num_cases:
        with subprocess.Popen(
            command(kind, seed, first, num_cases),
            cwd=PROJECT_ROOT,
            bufsize=0,  # `select` sees nothing of what a buffer holds
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            last = "slow"
            try:
                for line in _lines(process):
                    if "case" in line:
                        yield line
                        first = line["case"] + 1
                    last = line.get("end", last)
            finally:
                _kill(process)
        if first < num_cases:
            yield {"case": first, "outcome": last, "seconds": MAX_SECONDS, "bytes": 0}
            first += 1


def _lines(process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    """What the process tells, and in the end why it tells no more."""
    assert process.stdout is not None
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        seen = select.select([process.stdout], [], [], POLL_SECONDS)[0]
        line = process.stdout.readline() if seen else b"\n"
        if line.startswith(b"{"):
            deadline = time.monotonic() + MAX_SECONDS
            yield json.loads(line)
        elif not line:
            yield {"end": "traceback"}  # that of a process that died, which nobody could print
            return
        if peak_bytes(process.pid) > MAX_BYTES:
            yield {"end": "large"}
            return


def _kill(process: subprocess.Popen[bytes]) -> None:
    for one in _family(process.pid):
        with suppress(psutil.NoSuchProcess):
            one.kill()


def row(kind: str, seed: int, num_cases: int) -> tuple[str, bool]:
    """One line of the table, and whether it is good."""
    cases = list(results(kind, seed, num_cases))
    for case in cases:
        if case["outcome"] not in GOOD:
            print(f"{kind} {case['case']}: {case['outcome']}", case.get("told"), file=sys.stderr)
    counts = [sum(case["outcome"] == one for case in cases) for one in OUTCOMES]
    slowest, most = max(case["seconds"] for case in cases), max(case["bytes"] for case in cases)
    shown = " | ".join(map(str, counts))
    line = f"| {kind} | {len(cases)} | {shown} | {slowest:.1f} s | {most / 1e6:.0f} MB |"
    return line, all(case["outcome"] in GOOD for case in cases)


def main() -> int:
    """Prints the table; 1 if a case was not good."""
    parser = argparse.ArgumentParser(prog="drills.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=400, help="of each kind")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--serve", nargs=2, metavar=("KIND", "FIRST"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve[0], options.seed, int(options.serve[1]), options.cases)
        return 0
    print(HEAD)
    good = True
    for kind in options.kinds:
        line, passed = row(kind, options.seed, options.cases)
        print(line, flush=True)
        good = good and passed
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
