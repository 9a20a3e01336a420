"""What must hold on this machine before a run starts anything."""

import shutil
from pathlib import Path

from contracts.errors import PreflightError

GIB = 2**30


def check_disk(folder: Path, needed_bytes: int) -> None:
    """Checks that a folder's file system has room.

    Raises:
        PreflightError: Less than `needed_bytes` are free.
    """
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free_bytes = shutil.disk_usage(existing).free
    if free_bytes < needed_bytes:
        raise PreflightError(
            f"The disk is too full: {free_bytes / GIB:.1f} GiB are free, "
            f"this run needs {needed_bytes / GIB:.1f} GiB.",
            where=str(folder),
            rule="the stages' checkpoints, once while they are written and once in the store, fit",
            fix="make room, or set REVISUAL_HOME and REVISUAL_STORE to a larger disk",
        )


def needed_bytes(model_bytes: int, num_stages: int) -> int:
    """What a run may write: every checkpoint twice, and half a GiB for the rest."""
    return 2 * model_bytes * (num_stages + 1) + GIB // 2
