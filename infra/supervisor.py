"""Runs one command and leaves nothing of it behind, however either of them dies.

    python -m infra.supervisor [--parent PID] [--grace SECONDS] [--rest SECONDS] -- COMMAND...

Training processes outlive a careless parent: torchrun puts its workers in sessions of their own, so
a signal to the process group misses them. This small process stands between the two. It adopts
every orphan (PR_SET_CHILD_SUBREAPER). When it is told to stop, or when the parent it was given dies
(PR_SET_PDEATHSIG), it sends TERM to the command and gives it a grace to save what it has: its
helpers must live as long as it does. When the command has ended, or the grace has, whatever is left
gets TERM and, after as long again or `--rest`, KILL. It exits with the command's code, or 128 + the
number of the signal that ended it.
"""

import argparse
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from types import FrameType

import psutil

GRACE_SECONDS = 15.0
POLL_SECONDS = 0.05
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
LOCKS_VARIABLE = "REVISUAL_LOCKS"  # descriptors that a command has inherited (`infra.rank`)
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None, use_errno=True)


class _Stop(Exception):
    """A signal asked for the end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main(arguments: list[str]) -> int:
    """Supervises the command in `arguments`; returns its exit code."""
    options = _parse(arguments)
    child: subprocess.Popen[bytes] | None = None
    try:
        for number in STOP_SIGNALS:
            signal.signal(number, _raise_stop)
        _adopt_orphans()
        if options.parent is not None and not hear_of_parents_end(options.parent):
            raise _Stop(signal.SIGTERM)
        child = subprocess.Popen(
            options.command,
            close_fds=False,  # a lock that was handed to us is the command's, too
            preexec_fn=_prepare_child,  # noqa: PLW1509 - this process has one thread
        )
        code = _wait_for(child)
    except _Stop as stop:
        code = -stop.number
    _ignore_stop_signals()
    if child is not None:
        end_command(child, options.grace)
    end_descendants(options.grace if options.rest is None else options.rest)
    return code if code >= 0 else 128 - code


def _wait_for(child: subprocess.Popen[bytes]) -> int:
    """Waits for the command, and reaps adopted orphans meanwhile so that no zombies pile up."""
    while True:
        pid, status = os.wait()
        if pid == child.pid:
            child.returncode = os.waitstatus_to_exitcode(status)
            return child.returncode


def end_command(child: subprocess.Popen[bytes], grace_seconds: float) -> None:
    """Tells the command to end, if it has not, and waits as long as the grace lasts."""
    if child.returncode is None:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=grace_seconds)


def end_descendants(grace_seconds: float) -> None:
    """Ends and reaps every descendant: TERM, then KILL for those that outlive the grace."""
    asked: set[int] = set()
    deadline = time.monotonic() + grace_seconds
    while descendants := _living_descendants():
        late = time.monotonic() >= deadline
        for process in descendants:
            if late or process.pid not in asked:
                asked.add(process.pid)
                _signal(process, signal.SIGKILL if late else signal.SIGTERM)
        time.sleep(POLL_SECONDS)


def _living_descendants() -> list[psutil.Process]:
    """Descendants that still run; the dead ones among our own children are reaped."""
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return []
    return psutil.Process().children(recursive=True)


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    # It may have ended by itself between the listing and the signal.
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="infra.supervisor", description=__doc__)
    parser.add_argument("--parent", type=int, help="end when this parent process dies")
    parser.add_argument("--grace", type=float, default=GRACE_SECONDS, metavar="SECONDS")
    parser.add_argument("--rest", type=float, metavar="SECONDS", help="default: the grace")
    parser.add_argument("command", nargs="+")
    return parser.parse_args(arguments)


def _raise_stop(number: int, _frame: FrameType | None) -> None:
    _ignore_stop_signals()  # the end has begun, it is bounded by the grace
    raise _Stop(number)


def _ignore_stop_signals() -> None:
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _adopt_orphans() -> None:
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def hear_of_parents_end(parent: int) -> bool:
    """Asks for TERM when the parent's thread that started this process ends.

    Returns:
        Whether the parent is still there.
    """
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    return os.getppid() == parent


def _prepare_child() -> None:
    # Should the supervisor itself be killed, its child still hears of it. A background shell
    # starts its jobs with SIGINT ignored, which is inherited: restore it.
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"prctl({option}, {value}): {os.strerror(error)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
