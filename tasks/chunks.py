"""The responses that a running stage has collected, on their way into the store and back.

The stage's processes write a chunk of responses every few seconds, verified unless the stage is
told to stop (`training.sampling.chunks`). A thread here uploads those that are there, several at a
time, and enters them under the key of `tasks.keys.responses_keys`, as
`keys/<key>/chunks/000001.json`. The next attempt reads them all. When evaluation is finished, its
own go; curation's stay for other curations. What curation finds in shards of rows
(`training.curation.shard_work`) goes the same way, under the key of `tasks.keys.shards_key`.
"""

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

import pyarrow.parquet as pq

from contracts.errors import DamagedError, StoreError
from contracts.provenance import Ingredients, Provenance
from infra.names import chunks_key
from infra.store import Store
from tasks.closure import verifying_modules
from tasks.keys import counts_verdicts
from tasks.uploads import Say, Uploads
from training.sampling.schema import UNVERIFIED

# Fewer and larger uploads are read sooner; what lies between two of them may be lost.
UPLOAD_SECONDS = 8.0
RESPONSES, SHARDS = "chunk-", "shard-"  # how their files' names begin
KIND, SHARDS_KIND = "chunks", "shards"  # of artifacts


class ChunkUploads(Uploads):
    """Uploads a running stage's responses.

    Args:
        store: Where to.
        key: Under which they go.
        folder: Where the stage's processes save.
        provenance: For the manifests.
        say: Told of uploads that fail; they are tried again with the next.
        shards_key: Under which goes what was found in shards; None where there are none.
    """

    def __init__(
        self,
        store: Store,
        key: str,
        folder: Path,
        *,
        provenance: Provenance,
        say: Say,
        shards_key: str | None = None,
    ) -> None:
        super().__init__(UPLOAD_SECONDS, say)
        self._store, self._folder = store, folder
        self._provenance = provenance
        self._keys = {RESPONSES: key} | ({SHARDS: shards_key} if shards_key else {})

    @property
    def saved(self) -> str:
        """See `Uploads.saved`."""
        return "the responses so far are in the store; the next run asks for the rest."

    def upload(self) -> None:
        """Uploads all complete chunks as one artifact, and all shards as another."""
        for kind, key in self._keys.items():
            self._upload(kind, key)

    def _upload(self, kind: str, key: str) -> None:
        files = sorted(self._folder.glob(f"{kind}*"))
        if not files:
            return
        taken = self._folder / f"taken-{kind}files"
        taken.mkdir()
        for path in files:
            path.rename(taken / path.name)
        start_seconds = time.monotonic()
        what = "Responses" if kind == RESPONSES else "Shards of rows"
        try:
            artifact_kind = KIND if kind == RESPONSES else SHARDS_KIND
            artifact = self._store.publish(taken, artifact_kind, self._provenance)
            self._store.append(chunks_key(key), artifact)
        except StoreError as error:
            self._say(f"{what} could not be stored: {error}")
            for path in taken.iterdir():
                path.rename(self._folder / path.name)
        else:
            seconds = time.monotonic() - start_seconds
            found = "chunk(s) of responses" if kind == RESPONSES else "shard(s) of rows"
            self._say(f"{len(files)} {found} are stored, after {seconds:.1f} s")
        shutil.rmtree(taken)


def stored_chunks(
    store: Store, keys: Sequence[str], folder: Path, say: Say, *, made_of: Ingredients
) -> Path | None:
    """Fetches the responses that a stage has collected so far, and what it found in shards.

    A damaged file is left out: its requests are asked again, and answered the same. Verdicts of
    other code, or by other rules, do not count: such responses are verified again.

    Args:
        store: Where they lie.
        keys: Under which they lie.
        folder: Receives the verified copies, a folder each; must not exist.
        say: Told of each one that is left out, and of how many responses there are.
        made_of: The ingredients of the stage.

    Returns:
        The folder; None if there is nothing.

    Raises:
        StoreError: The store cannot be reached.
    """
    copies = list(_intact(store, keys, folder, say, made_of))
    if not copies:
        return None
    chunks = [path for copy in copies for path in copy.glob(f"{RESPONSES}*")]
    num_responses = sum(pq.read_metadata(path).num_rows for path in chunks)
    if chunks:
        say(f"Going on with {num_responses} responses")
    if shards := {path.name for copy in copies for path in copy.glob(f"{SHARDS}*")}:
        say(f"{len(shards)} shards of rows were looked through before")
    return folder


def drop_chunks(store: Store, key: str, made_of: Ingredients) -> None:
    """Removes the responses that a finished stage has collected.

    Those of another one stay: an evaluation with another judge may be adding to the same key.

    Args:
        store: Where they lie.
        key: Under which they lie.
        made_of: The ingredients of the stage.

    Raises:
        StoreError: The store cannot be reached.
    """
    place = f"keys/{chunks_key(key)}"
    for entry in [f"{place}/{name}" for name in store.backend.sizes(place)]:
        artifact = store.entry(entry)
        if artifact is None:
            continue
        with suppress(DamagedError):  # whose it was is not known any more
            if store.manifest(artifact).ingredients == made_of:
                store.backend.remove(entry)
                store.backend.remove(store.location(artifact))


def _intact(
    store: Store, keys: Sequence[str], folder: Path, say: Say, made_of: Ingredients
) -> Iterator[Path]:
    # Evaluation stores no verdicts.
    verifying = verifying_modules() if made_of.stage == "curate" else None
    stored = chain.from_iterable(store.history(chunks_key(key)) for key in keys)
    for number, artifact in enumerate(stored):
        copy = folder / f"{number:06d}"
        try:
            if verifying is not None and not counts_verdicts(
                store.manifest(artifact), made_of, verifying
            ):
                copy = folder / UNVERIFIED / f"{number:06d}"
            store.copy(artifact, copy)
        except DamagedError as error:
            shutil.rmtree(copy, ignore_errors=True)
            say(f"Responses are passed over, and asked for again: {error.what}")
        else:
            yield copy
