"""Paths that somebody else wrote: data, until these functions have looked at them."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

MAX_PATH_BYTES, MAX_PART_BYTES = 1024, 255  # of S3 keys, and of names on Linux file systems


def is_inner_path(path: str) -> bool:
    """Whether a path with `/` between its parts leads down from wherever it starts, as written.

    It is relative, without `.`, `..`, empty parts, control characters, lone surrogates and
    wildcards (S3 clients expand them), and short enough for S3 and for a file system.
    """
    parts = path.split("/")
    return (
        path.isprintable()  # neither NUL nor new lines; lone surrogates are not printable
        and not any(wildcard in path for wildcard in "*?[]")
        and len(path.encode()) <= MAX_PATH_BYTES
        and all(
            part not in ("", ".", "..") and len(part.encode()) <= MAX_PART_BYTES for part in parts
        )
    )


def is_file_of_artifact(path: str) -> bool:
    """Whether an artifact may list it: an inner path of which no part is hidden."""
    return is_inner_path(path) and not any(part.startswith(".") for part in path.split("/"))


def _require_file_of_artifact(path: str) -> str:
    if not is_file_of_artifact(path):
        raise ValueError("a file is named by a relative path that goes down, nothing hidden")
    return path


FilePath = Annotated[str, AfterValidator(_require_file_of_artifact)]


def is_file_name(name: str) -> bool:
    """Whether a file or folder may be called so: one part of a path, not hidden."""
    return is_file_of_artifact(name) and "/" not in name


def _require_file_name(name: str) -> str:
    if not is_file_name(name):
        raise ValueError("a name that becomes a folder's is one printable part of a path")
    return name


FileName = Annotated[str, AfterValidator(_require_file_name)]


def leads_out(link: Path, folder: Path) -> bool:
    """Whether a symbolic link in a model folder leads to anything but a file of that folder.

    A model hub's cache links from `snapshots/<revision>/` to its own `blobs/`: those may be read,
    too.
    """
    # Unlike Path.resolve, this gives a link to itself back as it is.
    target, home = Path(os.path.realpath(link)), Path(os.path.realpath(folder))
    homes = [home, home.parents[1] / "blobs"] if home.parent.name == "snapshots" else [home]
    return not target.is_file() or not any(target.is_relative_to(one) for one in homes)
