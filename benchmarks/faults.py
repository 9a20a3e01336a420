"""The table of faults in docs/reliability.md: makes them, counts them, and checks what is left.

`python -m benchmarks.faults [--kills 20] [--seed 0]` prints the table.
"""

import argparse
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.disturbed import NUM_STEPS, Stage, Watcher, training_processes
from infra.errors import StageError


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    fault: str
    times: int
    outcome: str


def killed_at_random(folder: Path, num_kills: int, draw: random.Random) -> Row:
    """Kills a stage's processes with SIGKILL at random moments until it has had enough."""
    undisturbed = Stage(folder / "undisturbed", str(folder / "undisturbed" / "store"))
    start_seconds = time.monotonic()
    expected = undisturbed.weights(undisturbed.make())
    longest_seconds = time.monotonic() - start_seconds
    stage = Stage(folder / "killed", str(folder / "killed" / "store"))
    done, goes_on, last = 0, 0, Watcher()
    while done < num_kills:
        with _killer(draw.uniform(0.0, longest_seconds)):
            watcher = Watcher()
            try:
                stage.make(watcher)
            except StageError:
                done += 1
                goes_on += any(line.startswith("Going on") for line in watcher.said)
            else:
                # It was done before the moment came, and starts again.
                shutil.rmtree(folder / "killed" / "store" / "keys" / stage.key)
    artifact = stage.make(last)
    same = stage.weights(artifact) == expected
    whole = last.steps == list(range(1, NUM_STEPS + 1))
    return Row(
        "SIGKILL of the training processes at a random moment, SFT, local store",
        done,
        f"{goes_on} went on from a step checkpoint; final weights "
        f"{'byte-identical' if same else 'DIFFERENT'}; "
        f"{'every step once' if whole else 'STEPS MISSING OR REPEATED'}",
    )


@contextmanager
def _killer(after_seconds: float) -> Iterator[None]:
    """Kills the training processes below this one so long after the first of them appears."""
    ended = threading.Event()

    def kill() -> None:
        while not ended.is_set() and not (found := training_processes()):
            time.sleep(0.05)
        if not ended.wait(after_seconds):
            for process in [*found, *training_processes()]:
                try:
                    process.send_signal(signal.SIGKILL)
                except psutil.NoSuchProcess:
                    continue

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def main() -> int:
    """Prints the table; 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [killed_at_random(Path(folder), options.kills, random.Random(options.seed))]
    print("| fault | times | outcome |\n|---|---|---|")
    for row in rows:
        print(f"| {row.fault} | {row.times} | {row.outcome} |")
    return int(any(word in row.outcome for row in rows for word in ("DIFFERENT", "MISSING")))


if __name__ == "__main__":
    sys.exit(main())
