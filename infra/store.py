"""The artifact store: folders that are written once, verified when read, and found by stage key.

    artifacts/<kind>/<unique id>/files/...       the payload
    artifacts/<kind>/<unique id>/manifest.json   committed last: without it there is no artifact
    keys/<key>/<number>.json                     which artifact a finished stage produced
    keys/<key>/step-<step>/<number>.json         its step checkpoints, until it is finished

A reference is (URI, sha256, kind). Writers never share a prefix, so none can clobber another. Two
that finish the same stage race for the key's next number: one wins, the other takes the winner's
artifact. An entry whose artifact was lost is passed over, and the next number repairs it.
"""

import itertools
import logging
import os
import shutil
import uuid
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import ValidationError

from contracts.artifact import Artifact, Record
from contracts.errors import DamagedError, StoreError
from infra.backends import open_backend
from infra.digests import FileEntry, content_digest, damage, file_entries, file_names

MANIFEST = "manifest.json"
log = logging.getLogger(__name__)


class Manifest(Record):
    """What an artifact holds and where it comes from.

    Attributes:
        kind: What it is.
        files: Sorted by path.
        producer: Which run and stage made it, with which code.
        inputs: What it was made from, by the name the stage knew it by.
        recipe_digest: Digest of the resolved recipe.
    """

    kind: str
    files: tuple[FileEntry, ...]
    producer: dict[str, str]
    inputs: dict[str, Artifact]
    recipe_digest: str


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

    def check(self) -> None:
        """Proves that the store can be written and keeps its promise.

        Raises:
            StoreError: It cannot be reached or written, or lets one writer overwrite another.
        """
        self.backend.reach()
        prefix = f"probes/{uuid.uuid4().hex}"
        first = self.backend.create(f"{prefix}/probe", b"first")
        second = self.backend.create(f"{prefix}/probe", b"second")
        kept = self.backend.read(f"{prefix}/probe")
        self.backend.remove(prefix)
        if (first, second, kept) != (True, False, b"first"):
            raise StoreError(
                f"The store {self.root} let a second writer overwrite the first.",
                where=self.root,
                rule="an object is created only if there is none (S3: If-None-Match on PUT)",
                fix="use a server with conditional writes, such as AWS S3 or SeaweedFS",
            )

    def publish(
        self,
        folder: Path,
        kind: str,
        *,
        producer: Mapping[str, str],
        inputs: Mapping[str, Artifact],
        recipe_digest: str,
        key: str | None = None,
        distrusted: Collection[str] = (),
    ) -> Artifact:
        """Stores a folder; hidden files (caches) are no part of it.

        Args:
            folder: What to store.
            kind: What it is.
            producer: Who made it, for the manifest.
            inputs: What it was made from, for the manifest.
            recipe_digest: For the manifest.
            key: The key to enter it under.
            distrusted: See `claim`.

        Returns:
            The new artifact; or, when another writer finished the same key first, his.

        Raises:
            StoreError: The folder is empty, or the store cannot be written.
        """
        names = file_names(folder)
        location = f"artifacts/{kind}/{uuid.uuid4().hex}"
        with ThreadPoolExecutor(max_workers=1) as beside:  # digests cost no time of the transfer
            described = beside.submit(file_entries, folder, names)
            self.backend.upload(folder, names, f"{location}/files")
        files = described.result()
        manifest = Manifest(
            kind=kind,
            files=files,
            producer=dict(producer),
            inputs=dict(inputs),
            recipe_digest=recipe_digest,
        )
        data = manifest.model_dump_json(indent=2).encode()
        artifact = Artifact(uri=f"{self.root}/{location}", sha256=content_digest(files), kind=kind)
        # A PUT whose answer was lost is sent again and then finds its own first try.
        if not self.backend.create(f"{location}/{MANIFEST}", data) and data != self.backend.read(
            f"{location}/{MANIFEST}"
        ):
            raise _broken(artifact.uri, "somebody else wrote a manifest under its unique name")
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
        for number in itertools.count(1):
            name = f"keys/{key}/{number:06d}.json"
            if self.backend.create(name, entry.model_dump_json().encode()):
                return artifact
            winner = self._resolve(name)
            if winner is not None and winner.uri not in distrusted:
                return winner
        raise AssertionError("the numbers do not end")

    def fetch(self, artifact: Artifact, only: Collection[str] | None = None) -> Path:
        """A verified local copy, to be read only.

        Args:
            artifact: What to fetch.
            only: Names of the files that are needed; those that it does not hold are left out.
                All by default.

        Raises:
            StoreError: The artifact is not there, or is not what the reference says.
        """
        files = self._selected(artifact, only)
        digest = content_digest(files)  # the artifact's own, when all of them are needed
        folder = self._cache / digest
        if folder.is_dir():
            if not (damaged := damage(folder, files)):
                os.utime(folder)  # the age that `revisual gc` goes by counts from here
                return folder
            log.warning("The local copy %s is damaged (%s): fetching again", folder, damaged[0])
            shutil.rmtree(folder)
        partial = self._cache / f".{digest}-{uuid.uuid4().hex}"
        try:
            self.copy(artifact, partial, only)
            if not folder.is_dir():
                partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)  # gone already when it was renamed
        return folder

    def copy(self, artifact: Artifact, folder: Path, only: Collection[str] | None = None) -> None:
        """Copies an artifact into a new folder, past the cache, and verifies it.

        Args:
            artifact: What to copy.
            folder: Where to.
            only: See `fetch`.

        Raises:
            DamagedError: It is not what the reference says.
            StoreError: The store cannot be reached.
        """
        files = self._selected(artifact, only)
        folder.mkdir(parents=True)
        names = [file.path for file in files]
        self.backend.download(f"{self.location(artifact)}/files", names, folder)
        if damaged := damage(folder, files):
            raise _broken(artifact.uri, f"these files are damaged: {', '.join(damaged)}")

    def find(self, key: str) -> Artifact | None:
        """The artifact that a finished stage with this key produced, if it is still all there."""
        entries = [name for name in self.backend.sizes(f"keys/{key}") if "/" not in name]
        for number in sorted(entries, reverse=True):
            if artifact := self._resolve(f"keys/{key}/{number}"):
                return artifact
        return None

    def steps(self, key: str) -> list[int]:
        """Steps of a stage that have been entered under `step_key`, ascending, intact or not."""
        entries = [name.split("/")[0] for name in self.backend.sizes(f"keys/{key}") if "/" in name]
        return sorted({int(name.removeprefix("step-")) for name in entries})

    def drop(self, key: str) -> None:
        """Removes a key's entries, then the artifacts they name: nobody finds half of one."""
        entries = self.backend.sizes(f"keys/{key}")
        named = [self.backend.read(f"keys/{key}/{name}") for name in entries]
        self.backend.remove(f"keys/{key}")
        for data in named:
            if data is not None:
                self.backend.remove(Artifact.model_validate_json(data).uri)

    def manifest(self, artifact: Artifact) -> Manifest:
        """Reads an artifact's manifest.

        Raises:
            StoreError: There is none, or it does not match the reference.
        """
        manifest = self._read_manifest(artifact.uri)
        if content_digest(manifest.files) != artifact.sha256:
            raise _broken(
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

    def _selected(self, artifact: Artifact, only: Collection[str] | None) -> tuple[FileEntry, ...]:
        files = self.manifest(artifact).files
        return tuple(file for file in files if only is None or file.path in only)

    def _read_manifest(self, uri: str) -> Manifest:
        data = self.backend.read(f"{self._relative(uri)}/{MANIFEST}")
        if data is None:
            raise _broken(uri, "it has no manifest")
        try:
            return Manifest.model_validate_json(data)
        except ValidationError as error:
            raise _broken(uri, "its manifest is damaged") from error

    def _resolve(self, name: str) -> Artifact | None:
        """The artifact an entry names; None, with a log line, when it is not all there."""
        data = self.backend.read(name)
        if data is None:
            return None
        try:
            entry = Artifact.model_validate_json(data)
            artifact = entry.model_copy(update={"uri": f"{self.root}/{entry.uri}"})
            expected = {file.path: file.size for file in self.manifest(artifact).files}
        except (ValidationError, DamagedError) as error:
            log.warning("Passing over %s: %s", name, str(error).splitlines()[0])
            return None
        if self.backend.sizes(f"{entry.uri}/files") != expected:
            log.warning("Passing over %s: files of %s are missing", name, artifact.uri)
            return None
        return artifact

    def location(self, artifact: Artifact) -> str:
        """Its name relative to the store's root.

        Raises:
            StoreError: It lies in another store.
        """
        return self._relative(artifact.uri)

    def _relative(self, uri: str) -> str:
        location = uri.removeprefix(f"{self.root}/")
        if location == uri:
            raise StoreError(
                f"{uri} lies in another store.",
                where=uri,
                rule=f"a reference lies in the store it is read from, {self.root}",
                fix="set REVISUAL_STORE to the store it was written to",
            )
        return location


def step_key(key: str, step: int) -> str:
    """The key of a step checkpoint of the stage that has `key`."""
    return f"{key}/step-{step:08d}"


def _broken(uri: str, why: str) -> DamagedError:
    return DamagedError(
        f"The artifact {uri} cannot be trusted: {why}.",
        where=uri,
        rule="an artifact has a manifest, and its files have the digests that are listed there",
        fix="run again: a stage whose artifact is damaged is run anew",
    )
