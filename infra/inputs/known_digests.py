"""Digests of this machine's files, remembered for as long as a file stays untouched.

A second run does not read 100 GB again: a digest counts while path, size, inode and both times of
the file are those it was taken with. A file that was written within the last two seconds is not
remembered, since clocks of file systems may not tell its next change apart.
"""

import hashlib
import os
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import ValidationError

from contracts.artifact import Record, Sha256
from infra.digests import DIGEST_THREADS, FileEntry, file_digest

SETTLED_SECONDS = 2.0


class _Known(Record):
    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    sha256: Sha256


class KnownDigests:
    """Digests by path, one small file each, so that runs need not take turns.

    Args:
        folder: Where they are kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def entries(self, paths: Mapping[str, Path]) -> tuple[FileEntry, ...]:
        """Sizes and digests of files, sorted by the names they are given.

        Raises:
            OSError: A file cannot be read.
        """
        names = sorted(paths)
        with ThreadPoolExecutor(DIGEST_THREADS) as threads:
            return tuple(threads.map(lambda name: self._entry(name, paths[name]), names))

    def _entry(self, name: str, path: Path) -> FileEntry:
        real = Path(os.path.realpath(path))
        before, now = real.stat(), time.time()
        kept = self._folder / hashlib.sha256(str(real).encode()).hexdigest()
        known = _read(kept)
        if known is not None and known == _known(real, before, known.sha256):
            return FileEntry(path=name, size=known.size, sha256=known.sha256)
        sha256 = file_digest(real)
        settled = now - max(before.st_mtime, before.st_ctime) > SETTLED_SECONDS
        if settled and _known(real, real.stat(), sha256) == _known(real, before, sha256):
            _write(kept, _known(real, before, sha256))
        return FileEntry(path=name, size=before.st_size, sha256=sha256)


def _known(path: Path, state: os.stat_result, sha256: str) -> _Known:
    return _Known(
        path=str(path),
        size=state.st_size,
        mtime_ns=state.st_mtime_ns,
        ctime_ns=state.st_ctime_ns,
        inode=state.st_ino,
        sha256=sha256,
    )


def _read(path: Path) -> _Known | None:
    try:
        return _Known.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _write(path: Path, known: _Known) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{uuid.uuid4().hex}")
    partial.write_text(known.model_dump_json(), encoding="utf-8")
    partial.replace(path)
