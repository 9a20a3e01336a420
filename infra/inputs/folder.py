"""From what is wanted to names, sizes and digests; and from a reference to a folder for a stage.

home/inputs/
  digests/               of this machine's files (`infra.inputs.known_digests`)
  hub/                   the hub client's cache
  s3/<content digest>/   copies of what lies in buckets
  views/<digest>/        links to the files of one input, and to no others: what a stage reads
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from contracts.artifact import Artifact
from contracts.places import BucketPlace, HubPlace, LocalPlace
from infra.digests import FileEntry, content_digest
from infra.inputs import bucket, hub, local
from infra.inputs.known_digests import KnownDigests
from infra.inputs.wanted import (
    About,
    ListedFile,
    Listing,
    Wanted,
    image_files,
    require_storable,
)
from infra.settings import Settings
from infra.store import Store

GIB = 2**30
KEEPS = "an input keeps its bytes from the moment a run resolves it"
AGAIN = "start the run again: it resolves its inputs anew"


def list_files(wanted: Wanted, revision: str, home: Path) -> Listing:
    """What a place holds of what is wanted; reads no data.

    Args:
        wanted: What is asked for.
        revision: Of a hub's repository: what to look up.
        home: Where this machine keeps its copies.

    Raises:
        InputError: It cannot be found or reached, or has a file whose name cannot be used.
    """
    if wanted.kind == "local":
        listing = local.list_files(wanted)
    elif wanted.kind == "s3":
        listing = bucket.list_files(wanted)
    else:
        listing = hub.list_files(wanted, revision, _hub_cache(home))
    require_storable(listing.files, wanted.about)
    return listing


def digest_files(wanted: Wanted, listing: Listing, home: Path) -> tuple[FileEntry, ...]:
    """Digests of what was listed; what lies elsewhere is copied to this machine for it.

    Raises:
        InputError: A file cannot be read, changes meanwhile, or arrives damaged; no disk is left.
    """
    place, about = listing.place, wanted.about
    if not isinstance(place, BucketPlace):
        return _digests(home, _paths(place, listing.files, home, about), about)
    _check_room(listing.num_bytes, home, about)
    files = _copy_from_bucket(place, list(listing.files), home, about)
    if bucket.list_files(wanted).state != listing.state:
        raise about.error("changes while it is read.", rule=KEEPS, fix=AGAIN)
    return files


def local_folder(store: Store, artifact: Artifact, settings: Settings) -> Path:
    """A folder with an artifact's files, to be read only, whichever place they lie in.

    What lies in a bucket or on a hub is fetched again where this machine has no copy of it.

    Args:
        store: Holds the artifact, or at least its manifest.
        artifact: An input, or what a stage made.
        settings: Where this machine keeps its copies.

    Raises:
        InputError: A file is gone, has changed since it was resolved, or cannot be fetched.
        StoreError: The store does not hold the artifact.
    """
    manifest, home = store.manifest(artifact), settings.home
    place, files = manifest.place, manifest.files
    if place is None:
        return store.fetch(artifact, attachments=False)
    about = About(f"The input {place}", artifact.uri)
    if isinstance(place, BucketPlace):
        folder = _intact_copy(place, files, home, about)
        paths = {file.path: folder / file.path for file in files}
    else:
        paths = _paths(place, hub.expected(files), home, about)
        _require_same(files, _digests(home, paths, about), about)
    return _view(home, paths)


def stage_folder(store: Store, artifact: Artifact, settings: Settings) -> Path:
    """What a stage reads of an input: a trained policy lies in a folder of its own.

    Raises:
        InputError: See `local_folder`.
        StoreError: See `local_folder`.
    """
    folder = local_folder(store, artifact, settings)
    return folder / "model" if (folder / "model").is_dir() else folder


def sample_folder(wanted: Wanted, home: Path) -> tuple[str, Path]:
    """The first file of what is wanted, and a folder with it and with the images beside it.

    Raises:
        InputError: It cannot be found, reached or read.
    """
    listing, about = list_files(wanted, wanted.revision, home), wanted.about
    images = image_files(listing.files, wanted)
    first = next(name for name in listing.files if name not in images)
    files = {name: listing.files[name] for name in [first, *images]}
    if isinstance(listing.place, BucketPlace):
        _check_room(sum(file.size for file in files.values()), home, about)
        copied = _copy_from_bucket(listing.place, list(files), home, about)
        copies = _copies(home) / content_digest(copied)
        return first, _view(home, {name: copies / name for name in files})
    return first, _view(home, _paths(listing.place, files, home, about))


def _paths(
    place: LocalPlace | HubPlace, files: Mapping[str, ListedFile], home: Path, about: About
) -> dict[str, Path]:
    """Where the files of a folder or a hub's repository are on this machine."""
    if isinstance(place, LocalPlace):
        return local.paths(place, files, about)
    cache = _hub_cache(home)
    _check_room(hub.missing_bytes(place, files, cache), home, about)
    return hub.download(place, files, cache, _known(home), about)


def _digests(home: Path, paths: Mapping[str, Path], about: About) -> tuple[FileEntry, ...]:
    try:
        return _known(home).entries(paths)
    except OSError as error:
        raise local.unreadable(about, error) from error


def _intact_copy(place: BucketPlace, files: Sequence[FileEntry], home: Path, about: About) -> Path:
    """The copy of what lies in a bucket; one that is missing or damaged is made again."""
    folder = _copies(home) / content_digest(files)
    paths = {file.path: folder / file.path for file in files}
    if all(path.is_file() for path in paths.values()):
        if _known(home).entries(paths) == tuple(files):
            os.utime(folder)  # the age that `revisual gc` goes by counts from here
            return folder
        shutil.rmtree(folder)
    _check_room(sum(file.size for file in files), home, about)
    _require_same(files, _copy_from_bucket(place, list(paths), home, about), about)
    return folder


def _copy_from_bucket(
    place: BucketPlace, names: Sequence[str], home: Path, about: About
) -> tuple[FileEntry, ...]:
    """Copies files into a folder that is called by the digest of what arrived."""
    partial = _copies(home) / f".{uuid.uuid4().hex}"
    try:
        bucket.download(place, names, partial, about)
        files = _digests(home, {name: partial / name for name in names}, about)
        _rename(partial, _copies(home) / content_digest(files))
    finally:
        shutil.rmtree(partial, ignore_errors=True)  # gone already when it was renamed
    return files


def _view(home: Path, paths: Mapping[str, Path]) -> Path:
    """A folder of links to files."""
    wanted = {name: str(path) for name, path in paths.items()}
    digest = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
    folder = home / "inputs" / "views" / digest
    if folder.is_dir() and all((folder / name).is_symlink() for name in wanted):
        os.utime(folder)
        return folder
    partial = folder.with_name(f".{uuid.uuid4().hex}")
    for name, path in wanted.items():
        (partial / name).parent.mkdir(parents=True, exist_ok=True)
        (partial / name).symlink_to(path)
    shutil.rmtree(folder, ignore_errors=True)  # half of one, should its removal have been killed
    _rename(partial, folder)
    return folder


def _rename(partial: Path, folder: Path) -> None:
    """Moves a folder into place, unless another process was first."""
    if not folder.is_dir():
        partial.rename(folder)
    else:
        shutil.rmtree(partial)


def _require_same(files: Sequence[FileEntry], found: Sequence[FileEntry], about: About) -> None:
    changed = [one.path for one, now in zip(files, found, strict=True) if one != now]
    if changed:
        raise about.error(f"has changed: {', '.join(changed)}.", rule=KEEPS, fix=AGAIN)


def _check_room(num_bytes: int, home: Path, about: About) -> None:
    existing = next(parent for parent in (home, *home.parents) if parent.exists())
    free_bytes = shutil.disk_usage(existing).free
    if num_bytes > free_bytes:
        raise about.error(
            f"has {num_bytes / GIB:.1f} GiB to fetch, and {free_bytes / GIB:.1f} GiB are free.",
            rule=f"what lies in a bucket or on a hub is copied to {home}",
            fix="make room, or set REVISUAL_HOME to a larger disk",
        )


def _known(home: Path) -> KnownDigests:
    return KnownDigests(home / "inputs" / "digests")


def _hub_cache(home: Path) -> Path:
    return home / "inputs" / "hub"


def _copies(home: Path) -> Path:
    return home / "inputs" / "s3"
