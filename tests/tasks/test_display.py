import os
import subprocess
import sys
from pathlib import Path

from contracts.artifact import Artifact
from tasks.display import artifact_key, references

ROOT = Path(__file__).parents[2]


def test_artifact_keys_are_what_prefect_accepts():
    assert artifact_key("cold_start", "progress") == "cold-start-progress"


def test_references_name_the_output_and_every_input():
    made = Artifact(uri="s3://b/made", sha256="1" * 64, kind="model")
    policy = Artifact(uri="s3://b/base", sha256="2" * 64, kind="model")
    shown = references("cold_start", made, {"policy": policy}, reused=True)
    assert "found in the store" in shown
    assert "| output | model | `s3://b/made` | `111111111111` |" in shown
    assert "| policy | model | `s3://b/base` | `222222222222` |" in shown


def test_a_server_that_is_away_does_not_end_a_stage(free_port):
    program = """
from prefect.logging import disable_run_logger
from contracts.artifact import Artifact
from tasks.display import StageDisplay
with disable_run_logger():
    display = StageDisplay("cold_start")
    display.show_metrics({"step": 1, "num_steps": 2, "seconds": 1.0, "loss": 0.5})
    display.finish(Artifact(uri="s3://b/made", sha256="1" * 64, kind="model"), {}, reused=False)
print("done")
"""
    away = {"PREFECT_API_URL": f"http://127.0.0.1:{free_port}/api"}
    # A process of its own: Prefect's threads go on asking for the server.
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, **away, "PREFECT_CLIENT_MAX_RETRIES": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == ["done"], done.stderr
