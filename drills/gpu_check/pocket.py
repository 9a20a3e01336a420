"""A pocket run: the whole pipeline with its services, in a folder of its own."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from drills.gpu_check.machine import Machine
from drills.gpu_check.outcome import Failed, Figures
from infra.seaweed import free_ports
from infra.settings import PROJECT_ROOT

RECIPE = Path(__file__).with_name("pocket.toml")
LIMIT_SECONDS = 420
NUM_SHOWN = 2000  # characters of what a failed run printed


def pocket(machine: Machine) -> Figures:
    """Curate, three stages, evaluate, report."""
    # Made and removed here: past its limit the process that uses it is killed.
    with tempfile.TemporaryDirectory() as home:
        return machine.measure(whole_run, limit_seconds=LIMIT_SECONDS, locks_gpus=False, home=home)


def whole_run(home: str) -> Figures:
    """`revisual run`, then `revisual down`; the stages use the GPU where torch finds one."""
    environment = {**os.environ, "REVISUAL_HOME": home, "REVISUAL_PORT": str(free_ports(1)[0])}
    environment.pop("REVISUAL_STORE", None)
    start = time.perf_counter()
    try:
        code, printed = _revisual(["run", "--recipe", str(RECIPE)], environment)
    finally:
        _revisual(["down"], environment)
    reports = len(list(Path(home).glob("reports/*/*.html")))
    figures: Figures = {
        "device of the stages": "cuda" if torch.cuda.is_available() else "cpu",
        "run, s": time.perf_counter() - start,
    }
    if code != 0 or not reports:
        raise Failed(f"it ended with exit code {code} and {reports} report(s)", figures, printed)
    return figures


def _revisual(arguments: list[str], environment: dict[str, str]) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", *arguments],
        cwd=PROJECT_ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr)[-NUM_SHOWN:]
