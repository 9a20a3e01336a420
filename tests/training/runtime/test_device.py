"""The process group of a training process."""

import subprocess
import sys
from pathlib import Path

import pytest

from infra.launcher import stage_environment

ROOT = Path(__file__).parents[3]
PROGRAM = """
import os
import sys
import time
from pathlib import Path

from training.runtime import device

# They meet before the clock runs: it measures the meeting of the group, too, and not the imports.
folder = Path(sys.argv[1])
(folder / os.environ["RANK"]).touch()
while len(list(folder.iterdir())) < 2:
    time.sleep(0.01)
device.start(1, collective_timeout_minutes=0.2)
if device.rank() == 0:
    device.barrier()  # the other one comes too late
else:
    time.sleep(600)
"""


@pytest.mark.slow
def test_ranks_wait_for_one_another_as_long_as_they_are_told(tmp_path):
    program = tmp_path / "late.py"
    program.write_text(PROGRAM)
    (tmp_path / "up").mkdir()
    command = [sys.executable, "-m", "infra.torchrun", "--nproc-per-node", "2", str(program)]
    done = subprocess.run(
        [*command, str(tmp_path / "up")],
        env=stage_environment(1) | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,  # without the setting: gloo's half hour
        check=False,
    )
    assert "rank 0 failed first, with exit code 1" in done.stderr
    assert "Timed out waiting 12000ms" in done.stderr
