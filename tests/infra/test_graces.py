"""Each grace outlasts those inside it: from a stage's own out to what ends a machine's worker."""

import json
import re
import subprocess
from pathlib import Path
from typing import IO, Self

import pytest
import yaml

from contracts.errors import RecipeError
from contracts.graces import (
    LONGEST_GRACE_SECONDS,
    SINKS_SECONDS,
    WORKER_GRACE_SECONDS,
    stage_grace,
    stored_seconds,
)
from infra.cluster.executor import RayExecutor
from infra.cluster.records import Placement
from infra.launcher import Resources, new_job
from infra.services import GRACES
from training.recipe.recipe import CheckpointsRecipe, load_recipe

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "infra" / "templates"
BYTES_PER_SECOND = 1e8  # of an upload, as the docs count it


class Supervisor:
    """Stands in for one that runs for an hour: prints a line, and notes how long it is given."""

    pid = 1

    def __init__(self, command: list[str], stdout: IO[bytes]) -> None:
        self._command = command
        self.waited_seconds = 0.0
        stdout.write(b"started\n")
        stdout.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def poll(self) -> None:
        pass

    def send_signal(self, number: int) -> None:
        pass

    def wait(self, timeout: float) -> None:
        self.waited_seconds = timeout

    def given(self, option: str) -> float:
        return float(self._command[self._command.index(option) + 1])


@pytest.mark.parametrize("grace", [1.0, LONGEST_GRACE_SECONDS])
def test_the_driver_of_nodes_outlasts_what_their_supervisors_and_an_upload_take(
    grace: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And whoever waits for the driver's supervisor waits until that has ended, and no longer."""
    supervisors: list[Supervisor] = []

    def start(command: list[str], stdout: IO[bytes], **_: object) -> Supervisor:
        supervisors.append(Supervisor(command, stdout))
        return supervisors[-1]

    monkeypatch.setattr(subprocess, "Popen", start)

    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    placement = Placement(
        field="hardware",
        address="127.0.0.1:1",
        nodes=1,
        cpus=1,
        gpus=0,
        needs_gpus=False,
        timeout_seconds=1.0,
        store=str(tmp_path),
    )
    make = RayExecutor(placement, tmp_path, "able-ant", {}, None, ())
    job = new_job("text_rl", {}, {}, tmp_path / "work")
    with pytest.raises(KeyboardInterrupt):
        make(job, Resources(1, 1, grace), on_line=interrupt, on_metrics=print)
    (supervisor,) = supervisors
    given = (supervisor.given("--grace"), supervisor.given("--rest"))
    # A supervisor's two graces, and 100 GB: the largest checkpoint (tests/training/plan).
    assert 2 * grace + 100e9 / BYTES_PER_SECOND < given[0]
    assert sum(given) < supervisor.waited_seconds <= stored_seconds(grace) < WORKER_GRACE_SECONDS


def test_a_worker_outlasts_every_stage_that_a_recipe_may_ask_for() -> None:
    longest = CheckpointsRecipe(grace_seconds=LONGEST_GRACE_SECONDS).grace_seconds
    assert 2 * longest + 100e9 / BYTES_PER_SECOND < stored_seconds(longest) < WORKER_GRACE_SECONDS
    assert stored_seconds(longest) + SINKS_SECONDS < WORKER_GRACE_SECONDS  # and is told
    assert GRACES["worker"] == WORKER_GRACE_SECONDS


def test_a_longer_grace_is_refused_before_anything_starts(tmp_path: Path) -> None:
    shipped = (ROOT / "infra" / "recipes" / "revisual-7b.toml").read_text(encoding="utf-8")
    longer = tmp_path / "longer.toml"
    longer.write_text(shipped.replace("grace_seconds = 1200.0", "grace_seconds = 1201.0"))
    with pytest.raises(RecipeError, match=r"checkpoints\.grace_seconds.*1200"):
        load_recipe(longer)


def test_a_container_outlasts_its_worker() -> None:
    def seconds(period: str) -> int:
        return int(period[:-1]) * {"s": 1, "m": 60}[period[-1]]

    worker = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["worker"]
    on_gpus = yaml.safe_load((ROOT / "infra/images/gpu.yml").read_text())["services"]["worker"]
    assert seconds((worker | on_gpus)["stop_grace_period"]) > WORKER_GRACE_SECONDS


def test_a_pod_outlasts_the_run_in_it() -> None:
    template = json.loads((TEMPLATES / "kubernetes.json").read_text(encoding="utf-8"))
    grace = template["variables"]["properties"]["termination_grace_seconds"]
    assert grace["default"] > WORKER_GRACE_SECONDS
    assert grace["minimum"] >= stage_grace(CheckpointsRecipe().grace_seconds).ended_seconds


def test_slurm_tells_the_worker_early_enough() -> None:
    """A worker that hangs is ended by its supervisor, and its stages save only then."""
    text = (TEMPLATES / "revisual.sbatch").read_text(encoding="utf-8")
    (told,) = re.findall(r"^#SBATCH --signal=B:USR1@(\d+)$", text, re.M)
    assert int(told) > WORKER_GRACE_SECONDS + stage_grace(LONGEST_GRACE_SECONDS).ended_seconds
    assert int(told) < 2**16  # as sbatch(1) has it
