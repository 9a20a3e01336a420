"""Inputs in an S3 bucket: listed there, copied once to this machine."""

import os
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from contracts.errors import InputError, StoreError
from contracts.formats import ALL_ROW_SUFFIXES
from contracts.places import BucketPlace
from infra.backends import S3Backend
from infra.inputs.wanted import (
    About,
    ListedFile,
    Listing,
    Wanted,
    image_files,
    unread_files,
    wanted_files,
)

RULE = "it is an object, a prefix or a pattern with `*` that these credentials may list and read"
FIX = "check the path, AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


def list_files(wanted: Wanted) -> Listing:
    """The files under a prefix, of a pattern, or one object.

    Raises:
        InputError: The bucket cannot be read, holds none, or others that look like them.
    """
    bucket, *parts = wanted.path.removeprefix("s3://").rstrip("/").split("/")
    patterns = [index for index, part in enumerate(parts) if "*" in part]
    is_object = parts[-1].lower().endswith(ALL_ROW_SUFFIXES)
    fixed = parts[: patterns[0]] if patterns else parts[:-1] if is_object else parts
    if not fixed:
        raise wanted.about.error("lies at the top of its bucket.", rule=RULE, fix="add a prefix")
    place = BucketPlace(prefix="/".join([f"s3://{bucket}", *fixed]))
    try:
        backend, prefix = _open(place)
        backend.reach()  # a server that is away is told at once, before anything waits for it
        sizes, states = backend.sizes(prefix), backend.states(prefix)
    except StoreError as error:
        raise _unusable(wanted.about, error) from error
    pattern = parts[len(fixed) :]
    named = [name for name in sizes.keys() & states.keys() if _matches(name, pattern)]
    names = wanted_files(named, wanted.files)
    names = sorted({*names, *(image_files(sizes.keys() & states.keys(), wanted) if names else ())})
    unread = unread_files(named if pattern else sizes, names, wanted)
    if not names:
        raise wanted.about.error("names no file in its bucket.", rule=RULE, fix=FIX)
    files = {name: ListedFile(sizes[name]) for name in names}
    written = [f"{name} {states[name]}" for name in names]
    return Listing(
        place,
        files,
        state="\n".join([os.environ.get("AWS_ENDPOINT_URL", ""), *written]),
        unread=unread,
    )


def download(place: BucketPlace, names: Sequence[str], folder: Path, about: About) -> None:
    """Copies files of a place into a new folder.

    Raises:
        InputError: They cannot be read.
    """
    try:
        backend, prefix = _open(place)
        backend.download(prefix, names, folder)
    except StoreError as error:
        raise _unusable(about, error) from error


def _open(place: BucketPlace) -> tuple[S3Backend, str]:
    """The backend of the prefix above, and the last part of the place's own."""
    above, _, last = place.prefix.removeprefix("s3://").rpartition("/")
    return S3Backend(above, called="The bucket's prefix"), last


def _matches(name: str, pattern: Sequence[str]) -> bool:
    """Whether a name below the place matches; no pattern stands for everything at the top."""
    parts = name.split("/")
    wanted = pattern or ["*"]
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def _unusable(about: About, error: StoreError) -> InputError:
    return about.error(f"cannot be read. {error.what}", rule=RULE, fix=FIX)
