"""Stages that stand still while what they have saved is stored, so that they cannot end before."""

import signal
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from infra.launcher import CHECKPOINTS


def tell(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    """Sends a signal to those that have not ended meanwhile, as a stage's helpers may."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def wait_until(condition: Callable[[], object]) -> None:
    """Until it holds, for five minutes at most."""
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def stand_still(processes: Sequence[psutil.Process], is_stored: Callable[[], object]) -> bool:
    """Stops a training stage's processes until what they have saved is stored.

    Args:
        processes: The stage's own.
        is_stored: Whether it is; whoever uploads it must not be among the processes.

    Returns:
        Whether they stand still. If nothing is saved yet, they go on.
    """
    tell(processes, signal.SIGSTOP)
    if any(map(_has_saved, processes)) or is_stored():
        wait_until(is_stored)
        return True
    tell(processes, signal.SIGCONT)
    return False


def _has_saved(process: psutil.Process) -> bool:
    """Whether a checkpoint waits to be uploaded, or is at it."""
    with suppress(psutil.NoSuchProcess):
        folder = Path(process.cmdline()[-1]).parent / CHECKPOINTS  # beside its job
        return any(one.name.startswith(("step-", "taken-")) for one in folder.glob("*"))
    return False
