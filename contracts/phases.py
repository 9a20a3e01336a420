"""What each process of a stage is at, left where whoever outlives it finds it."""

from pathlib import Path

from contracts.artifact import Record


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


def phase_file(folder: Path, rank: int) -> Path:
    """Where a process leaves its record: in the folder of its job."""
    return folder / f"phase-{rank}.json"


def phase_files(folder: Path) -> list[Path]:
    """The records of all processes on this machine."""
    return sorted(folder.glob("phase-*.json"))
