"""An artifact's files: their names, sizes and digests, and what is wrong with a copy of them."""

import hashlib
import json
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path

from contracts.artifact import Record
from contracts.errors import StoreError

DIGEST_THREADS = 4  # enough for any disk; a training may run beside them


class FileEntry(Record):
    """One file of an artifact: its name relative to the folder, its bytes and their digest."""

    path: str
    size: int
    sha256: str


def matches(name: str, patterns: Collection[str]) -> bool:
    """Whether a file's name fits one of the patterns, in which `*` stands for any characters."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def file_names(folder: Path, required: Collection[str] = ("*",)) -> list[str]:
    """A folder's files, relative to it, sorted; what is hidden is left out.

    Raises:
        StoreError: There is none that fits one of the required patterns.
    """
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not any(p.startswith(".") for p in path.relative_to(folder).parts)
    )
    if not any(matches(name, required) for name in names):
        raise StoreError(
            f"There is nothing to store in {folder}.",
            where=str(folder),
            rule=f"an artifact is a folder with at least one file of {', '.join(required)}",
            fix="look into the stage's log: it wrote nothing",
        )
    return names


def describe(folder: Path) -> tuple[FileEntry, ...]:
    """Lists a folder's files with their sizes and digests.

    Raises:
        StoreError: There are none.
    """
    return file_entries(folder, file_names(folder))


def file_entries(folder: Path, names: Sequence[str]) -> tuple[FileEntry, ...]:
    """Sizes and digests of some of a folder's files."""
    return tuple(
        FileEntry(path=name, size=(folder / name).stat().st_size, sha256=file_digest(folder / name))
        for name in names
    )


def damage(folder: Path, files: Sequence[FileEntry]) -> list[str]:
    """Names of the files that are missing in a folder or are not what their entry says."""
    with ThreadPoolExecutor(DIGEST_THREADS) as threads:  # hashing lets go of the interpreter's lock
        whole = threads.map(lambda file: _is_whole(folder / file.path, file), files)
        return [file.path for file, good in zip(files, whole, strict=True) if not good]


def _is_whole(path: Path, file: FileEntry) -> bool:
    return path.is_file() and path.stat().st_size == file.size and file_digest(path) == file.sha256


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_digest(files: Sequence[FileEntry]) -> str:
    """SHA-256, in hex, of what a folder holds, whoever wrote it and when."""
    lines = [[file.path, file.size, file.sha256] for file in files]
    return hashlib.sha256(json.dumps(lines).encode()).hexdigest()
