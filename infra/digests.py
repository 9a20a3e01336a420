"""An artifact's files: their names, sizes and digests, and what is wrong with a copy of them."""

import hashlib
import json
import stat
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

from pydantic import Field

from contracts.artifact import Record, Sha256
from contracts.errors import StoreError
from contracts.paths import FilePath, is_file_of_artifact, leads_out

DIGEST_THREADS = 4  # enough for any disk; a training may run beside them


class FileEntry(Record):
    """One file of an artifact: its name relative to the folder, its bytes and their digest."""

    path: FilePath
    size: Annotated[int, Field(ge=0)]
    sha256: Sha256


def matches(name: str, patterns: Collection[str]) -> bool:
    """Whether a file's name fits one of the patterns, in which `*` stands for any characters."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def file_names(folder: Path, required: Collection[str] = ("*",)) -> list[str]:
    """A folder's files, relative to it, sorted; what is hidden is left out.

    Raises:
        StoreError: None fits one of the required patterns, a link leads out of the folder, or a
            name cannot be stored.
    """
    names = []
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if any(part.startswith(".") for part in inner.parts):
            continue
        if path.is_symlink() and leads_out(path, folder):
            raise _not_to_be_stored(folder, inner, "a link to something that is no file of it")
        if path.is_file():
            names.append(inner.as_posix())
            if not is_file_of_artifact(names[-1]):
                raise _not_to_be_stored(folder, inner, "a file whose name cannot be printed")
    if not any(matches(name, required) for name in names):
        raise StoreError(
            f"There is nothing to store in {folder}.",
            where=str(folder),
            rule=f"an artifact is a folder with at least one file of {', '.join(required)}",
            fix="look into the stage's log: it wrote nothing",
        )
    return sorted(names)


def _not_to_be_stored(folder: Path, inner: Path, what: str) -> StoreError:
    return StoreError(
        f"There is {what} in {folder}.",
        where=f"{str(inner)!r} in {folder}",
        rule="what is stored are files below one folder, with printable names; a model hub's links "
        "to its own blobs are fine",
        fix="put a copy of the file there, or remove it",
    )


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
    try:
        state = path.lstat()  # a link is no copy, wherever it leads
    except (FileNotFoundError, NotADirectoryError):
        return False
    regular = stat.S_ISREG(state.st_mode) and state.st_size == file.size
    return regular and file_digest(path) == file.sha256


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_digest(files: Sequence[FileEntry]) -> str:
    """SHA-256, in hex, of what a folder holds, whoever wrote it and when."""
    lines = [[file.path, file.size, file.sha256] for file in files]
    return hashlib.sha256(json.dumps(lines).encode()).hexdigest()
