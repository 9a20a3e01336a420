"""Locks on folders that end with their process, whatever ended it: the kernel takes them away."""

import fcntl
import os
from pathlib import Path

LOCK = ".alive"


def hold(work: Path) -> int:
    """Keeps a run's scratch folder until this process ends: `revisual gc` leaves it alone.

    Returns:
        The lock's descriptor, which nobody needs to close.
    """
    work.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(work / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def is_held(folder: Path) -> bool:
    """Whether a process that lives holds a scratch folder."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
