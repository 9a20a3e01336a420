"""The artifact store: folders that are written once, verified when read, and found by stage key.

    artifacts/<kind>/<unique id>/files/...       the payload, unless it lies elsewhere (`refer`)
    artifacts/<kind>/<unique id>/manifest.json   committed last: without it there is no artifact
    keys/<key>/<number>.json                     which artifact a finished stage produced
    keys/<key>/step-<step>/<number>.json         its step checkpoints, until it is done
    keys/<key>/chunks/<number>.json              its responses so far, until it is done

A reference is (URI, sha256, kind). What lies in a store is data: names, manifests and entries that
look otherwise are passed over or refused (`infra.names`). Writers never share a prefix, so none can
clobber another. Two that finish the same stage race for the key's next number: one wins, the other
takes the winner's artifact. An entry whose artifact was lost is passed over, and the next number
repairs it.
"""

import itertools
import logging
import os
import shutil
import uuid
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import ValidationError

from contracts.artifact import Artifact
from contracts.errors import DamagedError, StoreError
from contracts.places import Place
from contracts.provenance import Provenance
from infra.backends import open_backend
from infra.digests import FileEntry, content_digest, damage, file_entries, file_names, matches
from infra.limits import MAX_METADATA_BYTES
from infra.manifest import MANIFEST, Manifest
from infra.names import (
    MAX_ENTRY_NUMBER,
    broken,
    entry_name,
    is_entry,
    is_key,
    is_location,
    location_of,
    number_of_entry,
    outside,
    step_of_entry,
)

log = logging.getLogger(__name__)


class Store:
    """Publishes, fetches and finds artifacts.

    Args:
        uri: A local folder or `s3://bucket/prefix`.
        cache: Local folder for verified copies.

    Attributes:
        backend: Where its bytes lie; for those who look after the store as a whole.
    """

    def __init__(self, uri: str, cache: Path) -> None:
        self.backend = open_backend(uri)
        self._cache = cache

    @property
    def root(self) -> str:
        """The store's address."""
        return self.backend.root

    def publish(
        self,
        folder: Path,
        kind: str,
        provenance: Provenance,
        *,
        results: Collection[str] = ("*",),
        key: str | None = None,
        distrusted: Collection[str] = (),
    ) -> Artifact:
        """Stores a folder; hidden files (caches) are no part of it.

        Args:
            folder: What to store.
            kind: What it is.
            provenance: Who made it, of what, for the manifest.
            results: Patterns of the files that are the result, `*` for any part of a path; the
                others are attachments. All by default.
            key: The key to enter it under.
            distrusted: See `claim`.

        Returns:
            The new artifact; or, when another writer finished the same key first, his.

        Raises:
            StoreError: The folder holds no result, or the store cannot be written.
        """
        names = file_names(folder, results)
        location = f"artifacts/{kind}/{uuid.uuid4().hex}"
        with ThreadPoolExecutor(max_workers=1) as beside:  # digests cost no time of the transfer
            described = beside.submit(file_entries, folder, names)
            self.backend.upload(folder, names, f"{location}/files")
        entries = described.result()
        files = tuple(file for file in entries if matches(file.path, results))
        manifest = Manifest(
            kind=kind,
            files=files,
            attachments=tuple(file for file in entries if file not in files),
            **dict(provenance),
        )
        return self.enter(location, manifest, key, distrusted)

    def refer(
        self,
        files: Collection[FileEntry],
        place: Place,
        kind: str,
        provenance: Provenance,
        *,
        key: str,
    ) -> Artifact:
        """Stores what files are and where they lie, instead of the files.

        Args:
            files: Sorted by path.
            place: Where they lie.
            kind: What they are.
            provenance: Who resolved them, for the manifest.
            key: The key to enter it under.

        Raises:
            StoreError: The store cannot be written.
        """
        manifest = Manifest(kind=kind, files=tuple(files), place=place, **dict(provenance))
        return self.enter(f"artifacts/{kind}/{uuid.uuid4().hex}", manifest, key)

    def enter(
        self,
        location: str,
        manifest: Manifest,
        key: str | None,
        distrusted: Collection[str] = (),
    ) -> Artifact:
        """Makes an artifact of the files at a location, by its manifest; see `publish`, `claim`.

        Raises:
            StoreError: The store cannot be written.
        """
        digest = content_digest(manifest.files)
        data = manifest.model_dump_json(indent=2).encode()
        if len(data) > MAX_METADATA_BYTES:
            self.backend.remove(location)
            raise StoreError(
                f"{len(manifest.all_files)} files and what they were made from are too many for "
                f"one manifest: it would have {len(data)} bytes.",
                where=f"{self.root}/{location}",
                rule=f"a manifest has at most {MAX_METADATA_BYTES} bytes",
                fix="store fewer and larger files",
            )
        artifact = Artifact(uri=f"{self.root}/{location}", sha256=digest, kind=manifest.kind)
        # A PUT whose answer was lost is sent again and then finds its own first try.
        if not self.backend.create(f"{location}/{MANIFEST}", data) and data != self.backend.read(
            f"{location}/{MANIFEST}"
        ):
            raise broken(artifact.uri, "somebody else wrote a manifest under its unique name")
        if key is None:
            return artifact
        winner = self.claim(key, artifact, distrusted)
        if winner != artifact:
            self.backend.remove(location)  # nobody else knows of it
        return winner

    def claim(self, key: str, artifact: Artifact, distrusted: Collection[str] = ()) -> Artifact:
        """Enters an artifact under a key.

        Args:
            key: A stage's key, or whatever else it is to be found by.
            artifact: What to enter.
            distrusted: URIs of artifacts that give way though all their files are there: they
                were found damaged when they were read.

        Returns:
            The artifact that has the key now: another one if that was there before, and intact.

        Raises:
            StoreError: The store cannot be written.
        """
        entry = artifact.model_copy(update={"uri": self.location(artifact)})
        folder = self._key(key)
        for number in itertools.count(1):
            name = f"{folder}/{entry_name(number)}"
            if self.backend.create(name, entry.model_dump_json().encode()):
                return artifact
            winner = self._resolve(name)
            if winner is not None and winner.uri not in distrusted:
                return winner
        raise AssertionError("the numbers do not end")

    def append(self, key: str, artifact: Artifact) -> None:
        """Enters an artifact under a key as the newest of several.

        Raises:
            StoreError: The store cannot be written, or an entry of the key has the last number.
        """
        entry = artifact.model_copy(update={"uri": self.location(artifact)})
        data = entry.model_dump_json().encode()
        folder = self._key(key)
        taken = map(number_of_entry, filter(is_entry, self.backend.sizes(folder)))
        for number in range(max(taken, default=0) + 1, MAX_ENTRY_NUMBER + 1):
            if self.backend.create(f"{folder}/{entry_name(number)}", data):
                return
        last = f"{folder}/{entry_name(MAX_ENTRY_NUMBER)}"
        raise StoreError(
            f"There is no number left for an entry of {folder}: nobody would find it.",
            where=f"{self.root}/{last}",
            rule=f"the entries of a key are numbered from 1 to {MAX_ENTRY_NUMBER}, the newest last",
            fix=f"somebody else wrote {last} into the store: find out who, and remove it",
        )

    def fetch(
        self,
        artifact: Artifact,
        only: Collection[str] | None = None,
        *,
        attachments: bool = True,
    ) -> Path:
        """A verified local copy, to be read only.

        Args:
            artifact: What to fetch.
            only: Names of the files that are needed; those that it does not hold are left out.
                All by default.
            attachments: Whether what lies beside the results is needed, too.

        Raises:
            StoreError: The artifact is not there, or is not what the reference says.
        """
        files = self._selected(artifact, only, attachments=attachments)
        digest = content_digest(files)  # the artifact's own, when the results are needed
        folder = self._cache / digest
        if folder.is_dir():
            if not (damaged := damage(folder, files)):
                os.utime(folder)  # the age that `revisual gc` goes by counts from here
                return folder
            log.warning("The local copy %s is damaged (%s): fetching again", folder, damaged[0])
            shutil.rmtree(folder)
        partial = self._cache / f".{digest}-{uuid.uuid4().hex}"
        try:
            self._download(artifact, files, partial)
            if not folder.is_dir():
                partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)  # gone already when it was renamed
        return folder

    def copy(self, artifact: Artifact, folder: Path) -> None:
        """Copies an artifact into a new folder, past the cache, and verifies it.

        Args:
            artifact: What to copy.
            folder: Where to.

        Raises:
            DamagedError: It is not what the reference says.
            StoreError: The store cannot be reached.
        """
        self._download(artifact, self._selected(artifact, None, attachments=True), folder)

    def _download(self, artifact: Artifact, files: Sequence[FileEntry], folder: Path) -> None:
        folder.mkdir(parents=True)
        names = [file.path for file in files]
        self.backend.download(f"{self.location(artifact)}/files", names, folder)
        if damaged := damage(folder, files):
            raise broken(artifact.uri, f"these files are damaged: {', '.join(damaged)}")

    def find(self, key: str) -> Artifact | None:
        """The newest artifact with this key that is still all there."""
        return next(self.history(key), None)

    def history(self, key: str) -> Iterator[Artifact]:
        """The artifacts with this key that are still all there, the newest first."""
        entries = [name for name in self.backend.sizes(self._key(key)) if is_entry(name)]
        for name in sorted(entries, key=number_of_entry, reverse=True):
            if artifact := self._resolve(f"keys/{key}/{name}"):
                yield artifact

    def steps(self, key: str) -> list[int]:
        """Steps of a stage that have been entered under `step_key`, ascending, intact or not."""
        entries = map(step_of_entry, self.backend.sizes(self._key(key)))
        return sorted({step for step in entries if step is not None})

    def has_entries(self, key: str) -> bool:
        """Whether something has been entered under a key, intact or not."""
        return bool(self.backend.sizes(self._key(key)))

    def drop(self, key: str) -> None:
        """Removes a key's entries, then the artifacts they name: nobody finds half of one."""
        folder = self._key(key)
        named = [self.entry(f"{folder}/{name}") for name in self.backend.sizes(folder)]
        self.backend.remove(folder)
        for artifact in named:
            if artifact is not None:
                self.backend.remove(self.location(artifact))

    def entry(self, name: str) -> Artifact | None:
        """The artifact that an entry names, there or not; None if it names none.

        Args:
            name: `keys/...`, relative to the root.
        """
        try:
            data = self.backend.read(name)
            if data is None:
                return None  # removed at this moment
            named = Artifact.model_validate_json(data)
        except (DamagedError, ValidationError):
            named = None
        if named is None or not is_location(named.uri):
            log.warning("Passing over %s: it names no artifact of this store", name)
            return None
        return named.model_copy(update={"uri": f"{self.root}/{named.uri}"})

    def manifest(self, artifact: Artifact) -> Manifest:
        """Reads an artifact's manifest.

        Raises:
            StoreError: There is none, or it does not match the reference.
        """
        manifest = self._read_manifest(artifact.uri)
        if content_digest(manifest.files) != artifact.sha256:
            raise broken(
                artifact.uri, "its manifest lists other files than the reference vouches for"
            )
        return manifest

    def at(self, uri: str) -> Artifact:
        """The reference to the artifact at an address.

        Raises:
            StoreError: There is none.
        """
        address = uri.rstrip("/")
        manifest = self._read_manifest(address)
        digest = content_digest(manifest.files)
        return Artifact(uri=address, sha256=digest, kind=manifest.kind)

    def _selected(
        self, artifact: Artifact, only: Collection[str] | None, *, attachments: bool
    ) -> tuple[FileEntry, ...]:
        manifest = self.manifest(artifact)
        if manifest.place is not None:
            raise StoreError(
                f"The files of {artifact.uri} are not in the store.",
                where=str(manifest.place),
                rule="an input is read where it lies; the store holds its manifest",
                fix="read it through infra.inputs.folder",
            )
        files = manifest.all_files if attachments else manifest.files
        return tuple(file for file in files if only is None or file.path in only)

    def _read_manifest(self, uri: str) -> Manifest:
        data = self.backend.read(f"{location_of(uri, self.root)}/{MANIFEST}")
        if data is None:
            raise broken(uri, "it has no manifest")
        try:
            return Manifest.model_validate_json(data)
        except ValidationError as error:
            raise broken(uri, "its manifest is damaged") from error

    def _resolve(self, name: str) -> Artifact | None:
        """The artifact an entry names; None, with a log line, when it is not all there."""
        artifact = self.entry(name)
        if artifact is None:
            return None
        try:
            manifest = self.manifest(artifact)
        except DamagedError as error:
            log.warning("Passing over %s: %s", name, error.what)
            return None
        expected = {file.path: file.size for file in manifest.all_files if manifest.place is None}
        if self.backend.sizes(f"{self.location(artifact)}/files") != expected:
            log.warning("Passing over %s: files of %s are missing", name, artifact.uri)
            return None
        return artifact

    def location(self, artifact: Artifact) -> str:
        """Its name relative to the store's root.

        Raises:
            StoreError: It lies in another store.
            DamagedError: It is no artifact's address.
        """
        return location_of(artifact.uri, self.root)

    def _key(self, key: str) -> str:
        if not is_key(key):
            raise outside(f"keys/{key}", self.root)
        return f"keys/{key}"
