"""An ablation through a real server and worker: killed in the middle, and started again."""

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
GRID = """
name = "tiny-grid"
recipe = "RECIPE"
seeds = [5]
paper_benchmark = "pocket_multimodal"
arms = [
  { name = "cs", stages = ["cold_start"], paper = { table = "T", percent = 47.1 } },
  { name = "cs+rl", stages = ["cold_start", "multimodal_rl"], over = "cs" },
]
"""


@pytest.fixture(scope="module")
def services(tmp_path_factory, started_services):
    with started_services(tmp_path_factory.mktemp("ablation") / "home") as services:
        yield services


def manifests(services, kind: str) -> list[dict]:
    folders = services.settings.home / "store" / "artifacts" / kind
    return [json.loads(path.read_text()) for path in folders.glob("*/manifest.json")]


def made_by(services, stage: str) -> list[str]:
    """Every run that made this stage."""
    producers = [
        one["producer"] for kind in ("dataset", "model") for one in manifests(services, kind)
    ]
    return [one["run"] for one in producers if one["stage"] == stage]


def test_an_ablation_goes_on_after_a_kill_and_makes_what_arms_share_once(
    services, recipes, tmp_path
):
    grid = tmp_path / "grid.toml"
    grid.write_text(GRID.replace("RECIPE", str(recipes / "tiny.toml")))
    # Both arms at once: each wants the curation and the cold start that the other makes.
    command = [sys.executable, "-m", "flows.cli", "ablation", str(grid), "--concurrency", "2"]
    typed = subprocess.Popen(
        command, cwd=ROOT, env=services.environment, stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 900
    while not made_by(services, "cold_start"):
        assert typed.poll() is None and time.monotonic() < deadline
        time.sleep(0.5)
    state = json.loads((services.settings.home / "services" / "worker.json").read_text())
    (flow,) = [
        process
        for process in psutil.Process(state["pid"]).children(recursive=True)
        if "prefect.engine" in " ".join(process.cmdline())
    ]
    flow.kill()
    told, _ = typed.communicate(timeout=900)
    assert typed.returncode == 1
    assert "2 arms with 1 seed(s): 5 different stages, 0 of them in the store, 5 to make." in told

    table = tmp_path / "results.md"
    done = services.cli("ablation", str(grid), "--output", str(table))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 different stages, 2 of them in the store" in done.stdout
    assert len(made_by(services, "curate")) == len(made_by(services, "cold_start")) == 1
    (before,) = made_by(services, "cold_start")
    (after,) = made_by(services, "multimodal_rl")
    assert before.split("-cs")[0] != after.split("-cs")[0]

    text = table.read_text()
    assert text in done.stdout
    assert "| cs+rl | cs | pocket_multimodal |" in text
    (result,) = manifests(services, "ablation")
    assert len(result["inputs"]) == 2
    # Each arm is a run that the other commands know.
    compared = services.cli(
        "compare", *(one["producer"]["run"] for one in manifests(services, "run"))
    )
    assert compared.returncode == 0, compared.stderr
