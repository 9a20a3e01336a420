"""Attempts at a stage in processes of their own, and the moments at which they are killed."""

import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Literal

import psutil

from contracts.artifact import Artifact
from drills.disturbed import NUM_STEPS, Stage, training_processes
from infra.settings import PROJECT_ROOT

POLL_SECONDS = 0.002  # a save takes some ten milliseconds
STARTING_SECONDS, STEP_SECONDS = 8.0, 0.3  # about what these take
TIMED = ("log.txt", "metrics.jsonl", "summary.json")
Aim = Literal["at a random moment", "in the middle of a save", "in the middle of an upload"]


class Attempt:
    """A stage made by a process of its own, as by a run; a context manager that ends all of it.

    Args:
        stage: What to make, or to go on with.
        environment: Changes to this process's.
    """

    def __init__(self, stage: Stage, environment: dict[str, str] | None = None) -> None:
        self._stage = stage
        self._work = stage.folder / "home" / "work"
        self._earlier = set(self._work.glob("*/*"))
        self._log = Path(mkdtemp(dir=stage.folder)) / "log.txt"
        supervisor = [sys.executable, "-m", "infra.supervisor", "--parent", str(os.getpid()), "--"]
        arguments = [str(stage.folder), stage.uri, stage.name, str(stage.num_processes)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*supervisor, sys.executable, "-m", "drills.disturbed", *arguments],
                cwd=PROJECT_ROOT,
                env={**os.environ, **(environment or {})},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> "Attempt":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    @property
    def said(self) -> list[str]:
        """What the task and its stage's last lines said."""
        return self._log.read_text(errors="replace").splitlines()

    @property
    def went_on_after(self) -> int:
        """The step it went on after, or the responses it went on with; 0 if it began."""
        found = re.search(
            r"^Going on (?:after step|with) (\d+)", "\n".join(self.said), re.MULTILINE
        )
        return int(found[1]) if found else 0

    def seconds_lost(self, kept: int) -> float:
        """Seconds that it worked after it had done what was kept, until it was killed."""
        for path in self._new("output/metrics.jsonl"):
            *whole, _ = path.read_text().split("\n")  # the last line may be cut off
            if lines := [json.loads(line) for line in whole]:
                started = path.stat().st_mtime - lines[-1]["seconds"]
                kept_seconds = [line["seconds"] for line in lines if line["step"] <= kept]
                return self._killed - started - max(kept_seconds, default=0.0)
        return 0.0  # it had not begun

    def lives(self) -> bool:
        return self._process.poll() is None

    def wait(self) -> int:
        """Waits for its end; 0 if it made the stage."""
        return self._process.wait()

    def kill_training(self) -> None:
        """SIGKILL to the stage's own processes, and waits until they are gone."""
        self._killed = time.time()
        processes = training_processes(self._process.pid)
        _kill(processes)
        psutil.wait_procs(processes)

    def kill_everything(self) -> None:
        """SIGKILL to the task's process, its supervisors and its stage, as if power were lost."""
        self._killed = time.time()
        supervisor = psutil.Process(self._process.pid)
        while processes := supervisor.children(recursive=True):
            _kill(processes)
        _kill([supervisor])

    def wait_for_training(self) -> bool:
        """Waits until the stage's own processes are there; False if it ended first."""
        while self.lives() and not training_processes(self._process.pid):
            time.sleep(0.05)
        return self.lives()

    def wait_for_share(self, share: float) -> bool:
        """Waits until that share of the steps it had left is done; False if it ended first."""
        while self.lives():
            for metrics in self._new("output/metrics.jsonl"):
                done, total = _progress(metrics)
                first = self.went_on_after
                if done > first and done >= first + share * (total - first):
                    return True
            time.sleep(0.05)
        return False

    def wait_for_folder(self, pattern: str, number: int) -> Path | None:
        """Waits for the `number`th folder of that name among those it saves."""
        seen: set[str] = set()
        while self.lives():
            for folder in self._new(f"checkpoints/{pattern}"):
                seen.add(folder.name)
                if len(seen) == number:
                    return folder
            time.sleep(POLL_SECONDS)
        return None

    def _new(self, pattern: str) -> list[Path]:
        """What this attempt, and no earlier one, has in its scratch folder."""
        works = set(self._work.glob("*/*")) - self._earlier
        return [path for work in works for path in work.glob(pattern)]


def kill(attempt: Attempt, aim: Aim, draw: random.Random) -> Aim | None:
    """Kills an attempt.

    Returns:
        When it was hit, which may be another moment than the aim; None if it ended before.
    """
    if aim == "at a random moment":
        share = draw.uniform(-0.2, 1.0)  # evenly over what is left; below 0 while it starts
        if not attempt.wait_for_training() or (share >= 0 and not attempt.wait_for_share(share)):
            return None
        time.sleep(draw.uniform(0.0, STARTING_SECONDS if share < 0 else STEP_SECONDS))
        draw.choice([attempt.kill_training, attempt.kill_everything])()
        return aim if attempt.wait() else None
    pattern = ".step-*" if aim == "in the middle of a save" else "taken-*"
    folder = attempt.wait_for_folder(pattern, draw.randint(1, 3))
    if folder is None:
        return None
    if aim == "in the middle of a save":
        attempt.kill_training()
    else:
        time.sleep(draw.uniform(0.0, 0.05))
        attempt.kill_everything()
    hit = folder.exists()  # what was under way is left behind, until the task tidies up
    return (aim if hit else "at a random moment") if attempt.wait() else None


@dataclass(frozen=True)
class Result:
    """What must be the same, however often the stage was disturbed.

    Attributes:
        files: Digests by name: weights, samples, data, scores.
        metrics: Of every step, without what a clock measures; of a sampling stage the last.
    """

    files: dict[str, str]
    metrics: list[dict[str, Any]]

    @property
    def steps(self) -> list[int]:
        return [line["step"] for line in self.metrics]


def result(stage: Stage, artifact: Artifact) -> Result:
    files = {file.path: file.sha256 for file in stage.store.manifest(artifact).files}
    lines = (stage.store.fetch(artifact) / "metrics.jsonl").read_text().splitlines()
    return Result(
        {name: digest for name, digest in files.items() if name not in TIMED},
        [untimed(line) for line in (lines if stage.name in NUM_STEPS else lines[-1:])],
    )


def untimed(line: str) -> dict[str, Any]:
    """A step's metrics without what a clock measures."""
    values: dict[str, Any] = json.loads(line)
    return {k: v for k, v in values.items() if "seconds" not in k and "per_second" not in k}


def _progress(metrics: Path) -> tuple[int, int]:
    """Steps done, and of how many; zeros before the first, and when the file is gone."""
    with suppress(FileNotFoundError):  # the stage has just been published
        *_, last, _ = ["", *metrics.read_text().split("\n")]  # what follows is still being written
        if last:
            values = json.loads(last)
            return values["step"], values["num_steps"]
    return 0, 0


def _kill(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # it ended by itself
            process.kill()
