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
