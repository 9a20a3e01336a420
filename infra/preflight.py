"""What must hold on this machine before a run starts anything."""

import shutil
import uuid
from pathlib import Path

from contracts.errors import PreflightError, StoreError
from contracts.paths import is_file_name
from infra.store import Store

GIB = 2**30
MAX_RUN_NAME_BYTES = 200  # the scratch folder adds a part of the run's id


def check_run_name(name: str) -> None:
    """Checks that folders may be called after a run.

    Raises:
        PreflightError: Its name would lead elsewhere.
    """
    if not is_file_name(name) or len(name.encode()) > MAX_RUN_NAME_BYTES:
        raise PreflightError(
            f"A run cannot be called {name[:MAX_RUN_NAME_BYTES]!r}.",
            where="the flow run's name",
            rule=f"its folders are called after it: no `/`, no dot in front, printable characters, "
            f"{MAX_RUN_NAME_BYTES} bytes at most",
            fix="start the run with another name, or without one",
        )


def check_store(store: Store) -> None:
    """Proves that a store can be written and keeps its promise.

    Raises:
        StoreError: It cannot be reached or written, or lets one writer overwrite another.
    """
    store.backend.reach()
    prefix = f"probes/{uuid.uuid4().hex}"
    first = store.backend.create(f"{prefix}/probe", b"first")
    second = store.backend.create(f"{prefix}/probe", b"second")
    kept = store.backend.read(f"{prefix}/probe")
    store.backend.remove(prefix)
    if (first, second, kept) != (True, False, b"first"):
        raise StoreError(
            f"The store {store.root} let a second writer overwrite the first.",
            where=store.root,
            rule="an object is created only if there is none (S3: If-None-Match on PUT)",
            fix="use a server with conditional writes, such as AWS S3 or SeaweedFS",
        )


def check_disk(folder: Path, needed_bytes: int, made_of: str = "") -> None:
    """Checks that a folder's file system has room.

    Args:
        folder: It need not be there yet.
        needed_bytes: In all.
        made_of: What they are for, where there is more to say than that.

    Raises:
        PreflightError: Less than `needed_bytes` are free.
    """
    free_bytes = shutil.disk_usage(_existing(folder)).free
    if free_bytes < needed_bytes:
        raise PreflightError(
            f"The disk is too full: {free_bytes / GIB:.1f} GiB are free, "
            f"this run needs {needed_bytes / GIB:.1f} GiB{made_of and f': {made_of}'}.",
            where=str(folder),
            rule="the stages' checkpoints, once while they are written and once in the store, fit",
            fix="make room (`revisual gc --scratch --age 0` removes what runs that have ended left "
            "in REVISUAL_HOME), lower checkpoints.keep_last, or set REVISUAL_HOME and "
            "REVISUAL_STORE to a larger disk, REVISUAL_STORE maybe to a bucket",
        )


def is_same_disk(one: Path, other: Path) -> bool:
    """Whether two folders, which need not be there yet, are on one file system."""
    return _existing(one).stat().st_dev == _existing(other).stat().st_dev


def _existing(folder: Path) -> Path:
    return next(parent for parent in (folder, *folder.parents) if parent.exists())


def needed_bytes(model_bytes: int, num_stages: int) -> int:
    """What a run may write: every checkpoint twice, and half a GiB for the rest."""
    return 2 * model_bytes * (num_stages + 1) + GIB // 2
