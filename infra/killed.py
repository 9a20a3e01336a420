"""What a stage's processes were at when the kernel killed them: they cannot say it themselves.

Each leaves the phase that it is in beside the job (`contracts.phases`); whoever outlives them has
looked, a few times a second, at what they held of the host's memory.
"""

import subprocess
import sys
from pathlib import Path

from contracts.errors import OutOfMemoryError
from contracts.job import Job
from contracts.phases import PhaseRecord, phase_files
from infra.settings import PROJECT_ROOT

GIB, KIB = 2**30, 2**10
PLAN_MODULE = "training.plan.beside"  # run as `python -m training.plan.beside JOB.json`
PLAN_SECONDS = 120.0  # it imports torch
PROC = Path("/proc")


class Ranks:
    """The processes of a stage on this machine.

    Args:
        job: What they do.
        proc: Where the kernel tells what a process holds.
    """

    def __init__(self, job: Job, proc: Path = PROC) -> None:
        self._job, self._proc = job, proc
        self._seen: dict[int, tuple[PhaseRecord, int]] = {}

    def look(self) -> None:
        """Notes each one's phase, and the most that it has held; of one that is gone, the last."""
        for path in phase_files(self._job):
            record = PhaseRecord.model_validate_json(path.read_text(encoding="utf-8"))
            most = _most_held(self._proc / str(record.pid) / "status")
            if most is None:
                most = self._seen[record.rank][1] if record.rank in self._seen else 0
            self._seen[record.rank] = record, most

    @property
    def told(self) -> str:
        """In words: phases and bytes."""
        return "; ".join(
            f"rank {rank} in phase {record.phase!r} with {most / GIB:.2f} GiB of the host at most"
            for rank, (record, most) in sorted(self._seen.items())
        )

    @property
    def fixes(self) -> list[str]:
        """The settings to change, those of the fullest process's phase first."""
        fullest = sorted(self._seen.values(), key=lambda seen: -seen[1])
        return list(dict.fromkeys(record.fix for record, _ in fullest))


def killed_for_memory(job: Job, ranks: Ranks) -> OutOfMemoryError:
    """The error of a process that the kernel's OOM killer has ended.

    Args:
        job: What it did.
        ranks: What was seen of it.
    """
    fixes = ranks.fixes or ["start fewer processes, or take a machine with more memory"]
    return OutOfMemoryError(
        "The kernel's OOM killer ended a process: host memory ran out; measured: "
        f"{ranks.told or 'nothing, since none had begun'}.",
        where=f"stage {job.stage}; which of them it was, its last log lines tell",
        rule="all processes of this machine or container fit into its memory; planned: "
        f"{_planned(job)}",
        fix=f"{'; or '.join(fixes)}; the next run goes on from the newest checkpoint all the same",
    )


def _planned(job: Job) -> str:
    """The plan's figures, made in a process of their own, which leaves no CUDA context behind."""
    path = job.output.parent / "job.json"
    try:
        made = subprocess.run(
            [sys.executable, "-m", PLAN_MODULE, str(path)],
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            timeout=PLAN_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"nothing within {PLAN_SECONDS:.0f} seconds"
    return made.stdout.strip() or f"nothing: {made.stderr.strip()[-300:]}"


def _most_held(status: Path) -> int | None:
    """Bytes that a process has had in memory at most; None if it is gone."""
    try:
        lines = status.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    sizes = [line.split() for line in lines if line.startswith("VmHWM:")]  # a zombie has none
    return int(sizes[0][1]) * KIB if sizes else None
