"""Measurements that end in every way there is, for the tests beside it; quick to import."""

import fcntl
import os
import signal
import time
from pathlib import Path

from drills.gpu_check.outcome import Failed, Figures, Skipped


def answering() -> Figures:
    return {"pid": os.getpid()}


def holding(lock: str) -> Figures:
    with Path(lock).open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return {"free": 0, "holder": file.read()}
    return {"free": 1}


def skipping() -> Figures:
    raise Skipped("there is no such thing")


def failing() -> Figures:
    raise Failed("a bound was missed", {"measured": 2.0})


def crashing() -> Figures:
    print("the last thing it said", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def crashing_in(home: str) -> Figures:
    Path(home, "checkpoint").touch()
    print(home, flush=True)
    return crashing()


def hanging() -> Figures:
    time.sleep(1000)
    return {}
