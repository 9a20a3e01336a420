"""What is told of processes that the kernel has killed: phase, bytes, plan and settings."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.phases import PhaseRecord, phase_file
from infra.killed import Ranks
from infra.launcher import new_job, write_job
from training.recipe.recipe import load_recipe, resolved_toml_values
from training.runtime import failures
from training.runtime.failures import HOST_SETTINGS, leave_phases, phase

ROOT = Path(__file__).parents[2]
GROUPS = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")  # version 1, version 2
# Says what it is at and takes more than there is; the one that watches it takes little.
GREEDY = """
import os, sys
from contracts.job import Job
from contracts.phases import PhaseRecord, phase_file
job = Job.model_validate_json(open(sys.argv[1]).read())
record = PhaseRecord(rank=0, pid=os.getpid(), phase="update", fix="lower what it takes")
phase_file(job.outcome.parent, 0).write_text(record.model_dump_json())
kept = []
import time
while True:
    kept.append(b"x" * 2**24)
    time.sleep(0.02)
"""
WATCHED = """
import os, sys
from pathlib import Path
open(sys.argv[1], "w").write(str(os.getpid()))
from contracts.errors import StageError
from contracts.graces import Grace
from contracts.job import Job
from infra.killed import Ranks
from infra.launcher import run_watched
job = Job.model_validate_json(Path(sys.argv[2]).read_text())
try:
    run_watched(job, [sys.executable, sys.argv[3], sys.argv[2]], dict(os.environ),
                on_line=print, on_metrics=print, grace=Grace(1.0, 1.0),
                ranks=Ranks(job))
except StageError as error:
    print(type(error).__name__, error)
"""


def new(tmp_path):
    recipe = load_recipe(ROOT / "infra/recipes/pocket.toml")
    return new_job("multimodal_rl", resolved_toml_values(recipe), {}, tmp_path / "work")


def test_a_process_leaves_the_phase_that_it_is_in(tmp_path, monkeypatch):
    monkeypatch.setattr(failures, "_LEFT", type(failures._LEFT)())
    monkeypatch.setenv("RANK", "3")
    job, seen = new(tmp_path), []

    def read():
        record = PhaseRecord.model_validate_json(phase_file(job.outcome.parent, 3).read_text())
        assert record.pid == os.getpid() and record.rank == 3
        return record.phase

    leave_phases(job.outcome.parent)
    seen.append(read())
    with phase("update"):
        seen.append(read())
        with phase("saving"):
            seen.append(read())
        seen.append(read())
    with pytest.raises(KeyError), phase("loading"):
        raise KeyError
    seen.append(read())
    between = "between its phases"
    assert seen == [between, "update", "saving", "update", between]
    shutil.rmtree(job.outcome.parent)
    with pytest.raises(KeyError, match="its own"), phase("saving"):
        raise KeyError("its own")  # and not that the phase cannot be left


def test_what_was_seen_of_a_process_outlives_it(tmp_path):
    """The kernel's own figure, of a process that holds 2^28 bytes and is then killed."""
    job = new(tmp_path)
    ranks = Ranks(job)
    phase_file(job.outcome.parent, 2).mkdir()  # what cannot be read is left out
    ranks.look()
    assert ranks.told == ""
    program = "kept = b'x' * 2**28; print('there', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        fix = HOST_SETTINGS["saving"]
        record = PhaseRecord(rank=1, pid=process.pid, phase="saving", fix=fix)
        phase_file(job.outcome.parent, 1).write_text(record.model_dump_json())
        assert process.stdout is not None
        process.stdout.readline()
        ranks.look()
        process.kill()
    ranks.look()
    phase_file(job.outcome.parent, 0).write_text(
        PhaseRecord(rank=0, pid=process.pid, phase="loading", fix="other").model_dump_json()
    )
    ranks.look()  # a process of which nothing was seen in time
    first, second = ranks.told.split("; ")
    assert first == "rank 0 in phase 'loading' with 0.00 GiB of the host at most"
    assert second.startswith("rank 1 in phase 'saving' with 0.2") and "GiB of the host" in second
    assert ranks.fixes == [fix, "other"]  # the fullest one's first


@pytest.mark.parametrize(
    ("killed", "gone", "ended", "expected"),
    [
        (100, 90_000, 90_000, False),  # somebody else's, a day before
        (990, 1_000, 1_000, True),
        (1_000, 1_000, 4_000, True),  # the others have saved meanwhile
        (1_000, 1_100, 4_000, False),
        (1_000, None, 1_010, True),  # before a phase had begun
        (None, 1_000, 1_000, False),
    ],
)
def test_a_kill_is_a_stages_if_one_of_its_processes_went_soon_after(
    killed, gone, ended, expected, tmp_path
):
    job, root, now = new(tmp_path), tmp_path / "root", [0.0]
    status = root / "proc/7/status"
    status.parent.mkdir(parents=True)
    status.write_text("VmHWM: 1024 kB")
    assert Ranks(job, root).were_oom_killed is None  # nobody counts
    (root / "proc/vmstat").write_text("oom_kill 3\n")
    ranks = Ranks(job, root, lambda: now[0])
    if gone is not None:
        record = PhaseRecord(rank=0, pid=7, phase="update", fix="fix")
        phase_file(job.outcome.parent, 0).write_text(record.model_dump_json())
    for now[0] in sorted({0, *filter(None, (killed, gone)), ended}):
        if now[0] == killed:
            (root / "proc/vmstat").write_text("oom_kill 4\n")
        if now[0] == gone:
            status.unlink()
        ranks.look()
    assert ranks.were_oom_killed is expected


@pytest.mark.slow
def test_the_kernel_kills_a_stage_that_takes_more_than_its_group_may(tmp_path):
    """A control group of its own for the watcher and what it watches; as root alone."""
    own = next((group for group in GROUPS if (group / "cgroup.procs").exists()), None)
    group = own and own / f"revisual-test-{os.getpid()}"
    try:
        assert group is not None
        group.mkdir()
        limit = "memory.limit_in_bytes" if own == GROUPS[0] else "memory.max"
        (group / limit).write_text(str(700 * 2**20))
    except (OSError, AssertionError):
        if group is not None and group.is_dir():
            group.rmdir()
        pytest.skip("this process may not make control groups")
    try:
        job = new(tmp_path)
        program = tmp_path / "greedy.py"
        program.write_text(GREEDY)
        done = subprocess.run(
            [
                *(sys.executable, "-c", WATCHED, str(group / "cgroup.procs")),
                *(str(write_job(job)), str(program)),
            ],
            cwd=ROOT,
            env=dict(os.environ) | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    finally:
        group.rmdir()
    assert "StageError" in done.stdout, done.stdout + done.stderr
    for told in ("OOM killer", "rank 0 in phase 'update' with 0.", "lower what it takes"):
        assert told in done.stdout
