"""What this machine may forget: scratch folders of attempts that died, and copies of artifacts.

A run that is alive holds a lock on its scratch folder, which the kernel takes from it when its
process ends, whatever ended it. Its folder stays, and every copy: it may be reading one.
"""

import fcntl
import json
import os
import shutil
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from contracts.artifact import Artifact
from contracts.run_record import StageRecord
from infra.alive import LOCK, is_held
from infra.stopping import stop_if_told
from tasks.garbage import Garbage

REASONS = {
    "work/*": "scratch of a run",
    "cache/*": "a copy of what is in the store",
    "inputs/hub/*--*": "a copy of what is on a hub",
    "inputs/s3/*": "a copy of what is in a bucket",
    "inputs/views/*": "links to an input",
}
INPUTS = "inputs.json"
POLL_SECONDS = 0.25
LOCKS = "locks"  # a file for each stage that was made on this machine; they are empty


@dataclass(frozen=True)
class LiveRun:
    """A run that is at work on this machine.

    Attributes:
        name: Of its scratch folder.
        age_seconds: Since it began.
        artifacts: What it has found or made in the store so far.
    """

    name: str
    age_seconds: float
    artifacts: tuple[Artifact, ...]


@contextmanager
def alone(home: Path, key: str) -> Iterator[None]:
    """Lets one run of this machine at a time make the stage of a key: the next one finds it made.

    The kernel lets go of the lock when its holder ends, whatever ended it.

    Args:
        home: Where this machine's runs keep their things.
        key: The stage's key.

    Raises:
        StagePreempted: This thread's flow has been told to stop while it waited.
    """
    folder = home / LOCKS
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / key).open("w") as file:
        # Not in the kernel: a thread of an ablation that was cancelled would wait there for hours.
        while not _locked(file):
            stop_if_told()
            time.sleep(POLL_SECONDS)
        yield


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def note_inputs(work: Path, artifacts: Iterable[Artifact]) -> None:
    """Enters the inputs among what a run needs from the store."""
    text = json.dumps([artifact.model_dump() for artifact in artifacts])
    (work / INPUTS).write_text(text, encoding="utf-8")


def live_runs(home: Path) -> list[LiveRun]:
    """The runs that are at work on this machine."""
    return [
        LiveRun(folder.name, time.time() - (folder / LOCK).stat().st_mtime, tuple(_needed(folder)))
        for folder in sorted((home / "work").glob("*"))
        if is_held(folder)
    ]


def _needed(work: Path) -> Iterator[Artifact]:
    if (work / INPUTS).is_file():
        yield from map(Artifact.model_validate, json.loads((work / INPUTS).read_bytes()))
    for path in sorted((work / "diary" / "stages").glob("*.json")):
        record = StageRecord.model_validate_json(path.read_bytes())
        yield from (record.artifact, *record.inputs)


def find_scratch(home: Path, *, min_age_seconds: float) -> list[Garbage]:
    """Lists what may go; removes nothing.

    Args:
        home: Where this machine's runs keep their things.
        min_age_seconds: What was written, or fetched, more lately stays.
    """
    oldest = time.time() - min_age_seconds
    kept = {top for top in REASONS if top != "work/*"} if live_runs(home) else set[str]()
    found: list[Garbage] = []
    for folders, reason in REASONS.items():
        for folder in sorted(home.glob(folders)) if folders not in kept else ():
            own = list(_own(folder))
            if own and max(when for when, _ in own) <= oldest and not is_held(folder):
                found.append(Garbage(str(folder), sum(size for _, size in own), reason, ()))
    return found


def remove_scratch(scratch: Iterable[Garbage]) -> None:
    """Removes what `find_scratch` listed."""
    for one in scratch:
        # Another `gc` may remove the same; and what a file system refuses is there the next time.
        shutil.rmtree(one.uri, ignore_errors=True)


def _own(folder: Path) -> Iterator[tuple[float, int]]:
    """Times (s) and sizes (bytes) of a folder and what is in it; a local store's links left out."""
    tree = ((Path(parent), [*folders, *files]) for parent, folders, files in os.walk(folder))
    inside = (parent / name for parent, names in tree for name in names)
    for path in (folder, *inside):
        with suppress(FileNotFoundError):  # somebody removes it at this moment
            state = path.lstat()
            if path == folder and not stat.S_ISDIR(state.st_mode):
                return  # a link or a file: nothing of ours
            if stat.S_ISDIR(state.st_mode):
                yield state.st_mtime, 0
            elif state.st_nlink == 1:
                yield state.st_mtime, state.st_size
