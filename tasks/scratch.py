"""What this machine may forget: scratch folders of attempts that died, and copies of artifacts."""

import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from stat import S_ISDIR

from tasks.garbage import Garbage

REASONS = {
    "work/*": "scratch of a run",
    "cache/*": "a copy of what is in the store",
    "inputs/hub/*--*": "a copy of what is on a hub",
    "inputs/s3/*": "a copy of what is in a bucket",
    "inputs/views/*": "links to an input",
}


def find_scratch(home: Path, *, min_age_seconds: float) -> list[Garbage]:
    """Lists what may go; removes nothing.

    Args:
        home: Where this machine's runs keep their things.
        min_age_seconds: What was written, or fetched, more lately stays.
    """
    oldest = time.time() - min_age_seconds
    found: list[Garbage] = []
    for folders, reason in REASONS.items():
        for folder in sorted(home.glob(folders)):
            own = list(_own(folder))
            if own and max(when for when, _ in own) <= oldest:
                found.append(Garbage(str(folder), sum(size for _, size in own), reason, ()))
    return found


def remove_scratch(scratch: Iterable[Garbage]) -> None:
    """Removes what `find_scratch` listed."""
    for one in scratch:
        shutil.rmtree(one.uri)


def _own(folder: Path) -> Iterator[tuple[float, int]]:
    """Times (s) and sizes (bytes) of a folder and what is in it; a local store's links left out."""
    for path in (folder, *folder.rglob("*")):
        with suppress(FileNotFoundError):  # somebody removes it at this moment
            state = path.lstat()
            if S_ISDIR(state.st_mode):
                yield state.st_mtime, 0
            elif state.st_nlink == 1:
                yield state.st_mtime, state.st_size
