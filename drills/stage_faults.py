"""Faults around a whole stage besides kills: two runs at once, a moving clock, a full disk."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drills.attempts import Attempt
from drills.disturbed import Stage, StageName
from drills.fault_table import Row
from drills.kills import NAMES, compared, undisturbed

MADE_BY = "`drills/stage_faults.py`"
# Every process of the stage imports this at its start. The clock jumps 20 days every half second.
SITE = """
import time
real, monotonic = time.time, time.monotonic
def moved(): return real() + (10 if int(2 * monotonic()) % 2 else -10) * 86400
time.time = moved
time.time_ns = lambda: int(moved() * 1e9)
"""


def moving_clock(folder: Path, name: StageName) -> Row:
    """Python's clock jumps to and fro while a stage runs and saves; what it times must not."""
    (folder / "site").mkdir(parents=True)
    (folder / "site" / "sitecustomize.py").write_text(SITE)
    environment = {"PYTHONPATH": str(folder / "site")}
    stage = Stage(folder / "clock", str(folder / "store"), name)
    _begin(stage, environment)
    with Attempt(stage, environment) as attempt:
        attempt.wait()
        went_on = attempt.went_on_after
    outcome, good = compared(undisturbed(name, 1), stage)
    return Row(
        f"`time.time()` jumps 20 days every half second, and SIGKILL: {NAMES[name]}",
        "1",
        f"went on after step {went_on}; {outcome}",
        MADE_BY,
        good and went_on > 0,
    )


def two_at_once(folder: Path, name: StageName) -> Row:
    """Two runs of the same stage share a store, and nothing else."""
    stages = [Stage(folder / who, str(folder / "store"), name) for who in ("one", "other")]
    with Attempt(stages[0]) as one, Attempt(stages[1]) as other:
        codes = one.wait(), other.wait()
    outcome, good = compared(undisturbed(name, 1), stages[0])
    models = {name.split("/")[0] for name in stages[0].store.backend.sizes("artifacts/model")}
    return Row(
        f"two runs of one stage at once: {NAMES[name]}",
        "1",
        f"exit codes {codes[0]} and {codes[1]}, {len(models)} artifact; {outcome}",
        MADE_BY,
        good and codes == (0, 0) and len(models) == 1,
    )


def full_disk(folder: Path, name: StageName) -> Row | None:
    """A file system of its own fills up; None where this user may not mount one."""
    stage = Stage(folder / "full", str(folder / "store"), name)
    work = folder / "full" / "home" / "work"
    _begin(stage)
    # Room for the checkpoint that it goes on from, and not for the next one.
    with _small_file_system(work, "20m") as mounted:
        if not mounted:
            return None
        with Attempt(stage) as attempt:
            code, said = attempt.wait(), "\n".join(attempt.said)
    with Attempt(stage) as attempt:
        attempt.wait()
        went_on = attempt.went_on_after
    outcome, good = compared(undisturbed(name, 1), stage)
    told = "No space left on device" in said
    return Row(
        f"disk full while saving, a real one (tmpfs): {NAMES[name]}",
        "1",
        f"the stage failed {'with the reason' if told else 'WITHOUT the reason'}; with room it "
        f"went on after step {went_on}; {outcome}",
        MADE_BY,
        good and told and code == 1 and went_on > 0,
    )


def _begin(stage: Stage, environment: dict[str, str] | None = None) -> None:
    """Stores a checkpoint, and is killed."""
    with Attempt(stage, environment) as attempt:
        attempt.wait_for_folder("taken-*", 2)
        attempt.kill_training()
        attempt.wait()


@contextmanager
def _small_file_system(folder: Path, size: str) -> Iterator[bool]:
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
