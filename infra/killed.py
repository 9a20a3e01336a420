"""What a stage's processes were at when the kernel killed them: they cannot say it themselves.

Each leaves the phase that it is in beside the job (`contracts.phases`); whoever outlives them has
looked, a few times a second, at what they held of the host's memory.
"""

import math
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from contracts.errors import OutOfMemoryError
from contracts.job import Job
from contracts.phases import PhaseRecord, phase_files
from infra.oom import ROOT, num_oom_kills
from infra.settings import PROJECT_ROOT

GIB, KIB = 2**30, 2**10
PLAN_MODULE = "training.plan.beside"  # run as `python -m training.plan.beside JOB.json`
PLAN_SECONDS = 120.0  # it imports torch
# The kernel's counts are of the whole control group, or machine, and say not who was killed: a kill
# is taken for a stage's if one of its processes went soon after. Out of memory, a minute is soon.
SOON_SECONDS = 60.0


class Ranks:
    """The processes of a stage on this machine, from before they start.

    Args:
        job: What they do.
        root: Of the file system: where the kernel tells what a process holds, and whom it killed.
        clock: Seconds that never go back.
    """

    def __init__(
        self, job: Job, root: Path = ROOT, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._job, self._root, self._clock = job, root, clock
        self._seen: dict[int, tuple[PhaseRecord, int]] = {}
        self._num_kills = num_oom_kills(root)
        self._killed_seconds = -math.inf  # when the last kill was noted
        self._gone_seconds = math.inf  # when the first of the processes was missed

    def look(self) -> None:
        """Notes each one's phase, and the most that it has held; of one that is gone, the last."""
        num_kills = num_oom_kills(self._root)
        if num_kills != self._num_kills:
            self._num_kills, self._killed_seconds = num_kills, self._clock()
        for path in phase_files(self._job.outcome.parent):
            with suppress(OSError):  # a figure of a message is not worth a stage
                self._look_at(path)

    def _look_at(self, path: Path) -> None:
        record = PhaseRecord.model_validate_json(path.read_text(encoding="utf-8"))
        most = _most_held(self._root / "proc" / str(record.pid) / "status")
        if most is None:
            most = self._seen[record.rank][1] if record.rank in self._seen else 0
            self._gone_seconds = min(self._gone_seconds, self._clock())
        self._seen[record.rank] = record, most

    @property
    def were_oom_killed(self) -> bool | None:
        """Whether the kernel's OOM killer ended them, once they have ended; None: nobody counts."""
        if self._num_kills is None:
            return None
        gone_seconds = min(self._gone_seconds, self._clock())
        return self._killed_seconds >= gone_seconds - SOON_SECONDS

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
