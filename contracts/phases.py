"""What each process of a stage is at, left where whoever outlives it finds it."""

from pathlib import Path

from contracts.artifact import Record
from contracts.job import Job


class PhaseRecord(Record):
    """The phase that one process is in.

    Attributes:
        rank: Its number among those of the stage.
        pid: Its id on this machine.
        phase: See `training.runtime.failures.Phase`; `between its phases` outside of them.
        fix: Which settings make it take less of the host's memory there.
    """

    rank: int
    pid: int
    phase: str
    fix: str


def phase_file(job: Job, rank: int) -> Path:
    """Where a process leaves its record."""
    return job.outcome.with_name(f"phase-{rank}.json")


def phase_files(job: Job) -> list[Path]:
    """The records of all processes on this machine."""
    return sorted(job.outcome.parent.glob("phase-*.json"))
