"""What the store may forget.

Kept: what a finished run refers to, directly or through its inputs; the last step checkpoints of
every stage and its best one, the responses that an unfinished stage has collected, and those of
curations, which others go on with, with what they were made from; and whatever is young, since
somebody may be at work on it. Everything else goes: what a finished curation found in shards,
artifacts of runs that were given up, and what a crashed upload left behind, which has no manifest.
The store's own clock decides what is young.
"""

import logging
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from contracts.artifact import Artifact
from contracts.errors import DamagedError
from infra.manifest import MANIFEST
from infra.names import chunks_key, is_entry, is_key, is_location, step_key, step_of_entry
from infra.store import Store
from tasks.chunks import KIND as CHUNKS
from tasks.chunks import RESPONSES, SHARDS_KIND
from tasks.keys import stage_key
from tasks.uploads import KIND as CHECKPOINT
from tasks.uploads import Retention, best_step, step_scores

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Garbage:
    """One thing that may go.

    Attributes:
        uri: The artifact, or what is left of one.
        num_bytes: Its size, as far as the store tells.
        reason: Why it may go.
        entries: Names of the key entries that point to it; they go first.
        half_made: Whether only what was begun under its name goes: an object of that name, or
            below it, would be somebody's.
    """

    uri: str
    num_bytes: int
    reason: str
    entries: tuple[str, ...]
    half_made: bool = False


@dataclass(frozen=True)
class _File:
    num_bytes: int
    written: float


def find_garbage(
    store: Store,
    *,
    retention: Retention,
    min_age_seconds: float,
    in_use: Iterable[Artifact] = (),
) -> list[Garbage]:
    """Lists what may go; removes nothing.

    Args:
        store: The store.
        retention: Which step checkpoints stay.
        min_age_seconds: What is younger stays.
        in_use: What else stays, with its inputs.

    Raises:
        StoreError: The store cannot be reached.
    """
    now = _now(store)
    half_made = store.backend.unfinished()
    entries = _entries(store)
    finished = _finished_stages(store, entries)
    roots = [
        *_kept_steps(store, retention, entries, finished),
        *_kept_chunks(store, entries, finished),
        *_finished_runs(entries),
        *in_use,
    ]
    kept = _with_inputs(store, roots)
    garbage: list[Garbage] = []
    for location, files in sorted(_locations(store, half_made).items()):
        newest = max(file.written for file in files.values())
        if location in kept or now - newest < min_age_seconds:
            continue
        reason = "no finished run refers to it"
        if MANIFEST not in files:
            reason = "an upload that never ended"
        elif location.startswith(f"artifacts/{CHECKPOINT}/"):
            reason = (
                f"neither its stage's best checkpoint nor one of the last {retention.keep_last}"
            )
        num_bytes = sum(file.num_bytes for file in files.values())
        uri = f"{store.root}/{location}"
        pointing = tuple(n for n, named in entries.items() if named.uri == uri and _is_entry(n))
        if any(_stage_of(name) in finished for name in pointing):
            reason = "its stage is finished"
        garbage.append(Garbage(uri, num_bytes, reason, pointing))
    strays = _probes(store) | _half_made_entries(half_made)
    for name, begun in sorted(strays.items()):
        if now - begun >= min_age_seconds:
            uri, why = f"{store.root}/{name}", "left by a writer that crashed"
            garbage.append(Garbage(uri, 0, why, (), half_made=name in half_made))
    return garbage


def remove(store: Store, garbage: Iterable[Garbage]) -> None:
    """Removes what `find_garbage` listed: first what points to it, then the thing itself."""
    for one in garbage:
        for name in one.entries:
            store.backend.remove(name)
        name = one.uri.removeprefix(f"{store.root}/")
        (store.backend.abandon if one.half_made else store.backend.remove)(name)


def _locations(store: Store, half_made: Mapping[str, float]) -> dict[str, dict[str, _File]]:
    """Every artifact's files, and those that are still to come, by its location.

    What lies there and is no artifact's is not ours: it stays.
    """
    sizes, times = store.backend.sizes("artifacts"), store.backend.times("artifacts")
    # Listed one after the other: what is in one list only came or went meanwhile.
    files = {
        f"artifacts/{name}": _File(sizes[name], times[name]) for name in sizes.keys() & times.keys()
    }
    begun = {name: _File(0, when) for name, when in half_made.items()}
    found: dict[str, dict[str, _File]] = defaultdict(dict)
    for name, file in (begun | files).items():
        *place, path = name.split("/", 3)
        if is_location(location := "/".join(place)):
            found[location][path] = file
    return found


def _probes(store: Store) -> dict[str, float]:
    """What a crash left of the preflight's probes, and of `_now`'s."""
    return {f"probes/{name}": when for name, when in store.backend.times("probes").items()}


def _half_made_entries(half_made: Mapping[str, float]) -> dict[str, float]:
    """Entries and probes that were begun; what was begun elsewhere is not ours.

    A bucket's prefix may be shared: whoever uploads his own files beside the store has
    unfinished uploads there, too.
    """
    return {
        name: when
        for name, when in half_made.items()
        if (parts := name.split("/"))[0] == "probes"
        or (parts[0] == "keys" and is_key("/".join(parts[1:-1])))
    }


def _is_entry(name: str) -> bool:
    """Whether it has an entry's name: removing another one might remove what lies below it."""
    top, *key, entry = name.split("/")
    return top == "keys" and is_key("/".join(key)) and is_entry(entry)


def _now(store: Store) -> float:
    """The time by the store's clock: that of a probe written now."""
    while True:
        prefix = f"probes/{uuid.uuid4().hex}"
        store.backend.create(f"{prefix}/probe", b"now")
        times = store.backend.times(prefix)
        store.backend.remove(prefix)
        if times:  # else another `gc` took it for a stray
            return max(times.values())


def _entries(store: Store) -> dict[str, Artifact]:
    """What every key entry names; one that names no artifact keeps nothing."""
    names = [f"keys/{name}" for name in store.backend.sizes("keys")]
    named = {name: store.entry(name) for name in names}
    return {name: artifact for name, artifact in named.items() if artifact is not None}


def _stage_of(entry: str) -> str | None:
    """The key of the stage whose step or chunks an entry names; None for any other entry."""
    _, stage, *rest = entry.split("/")
    return stage if is_key(stage) and len(rest) > 1 else None


def _finished_stages(store: Store, entries: Mapping[str, Artifact]) -> set[str]:
    """Keys of finished stages that have left steps or chunks: their run was killed at the end."""
    stages = {stage for name in entries if (stage := _stage_of(name)) is not None}
    return {stage for stage in stages if store.find(stage) is not None}


def _kept_steps(
    store: Store, retention: Retention, entries: dict[str, Artifact], finished: set[str]
) -> Iterator[Artifact]:
    parts = [name.split("/") for name in entries]
    stages = {
        stage
        for _, stage, *rest in parts
        if is_key(stage) and step_of_entry("/".join(rest)) is not None
    }
    for stage in sorted(stages):
        scores = step_scores(store, stage)
        # Of a finished stage the best alone: whether it validates, its recipe knows.
        others = set(scores) - {best_step(scores)}
        gone = others if stage in finished else set(retention.outdated(scores))
        for step in set(scores) - gone:
            if artifact := store.find(step_key(stage, step)):
                yield artifact


def _kept_chunks(
    store: Store, entries: Mapping[str, Artifact], finished: set[str]
) -> Iterator[Artifact]:
    """The responses of stages that are not finished, and what somebody may go on with."""
    kinds = (CHUNKS, SHARDS_KIND)
    stages = {name.split("/")[1] for name, named in entries.items() if named.kind in kinds}
    for stage in sorted(stages - finished):
        if is_key(stage):
            chunks = store.history(chunks_key(stage))
            yield from (artifact for artifact in chunks if not _has_served(store, artifact))


def _has_served(store: Store, artifact: Artifact) -> bool:
    """Whether the stage that left it is finished, and no other is meant to go on with it.

    A curation's responses lie under a key of their own, for others; what it found in shards is
    found again in less time than it takes to ask a model, and nobody else knows a run's salt.
    """
    try:
        manifest = store.manifest(artifact)
    except DamagedError:
        return False
    made_of = manifest.ingredients
    # By their files: an older version stored shards as `chunks`, too.
    holds_responses = any(file.path.startswith(RESPONSES) for file in manifest.files)
    stays = holds_responses and made_of is not None and made_of.stage == "curate"
    if made_of is None or (stays and not made_of.salt):
        return False
    return store.find(stage_key(made_of)) is not None


def _finished_runs(entries: Mapping[str, Artifact]) -> Iterator[Artifact]:
    return (named for named in entries.values() if named.kind in ("run", "ablation"))


def _with_inputs(store: Store, roots: Iterable[Artifact]) -> set[str]:
    """Locations of artifacts and of all that they were made from."""
    waiting, kept, seen = list(roots), set[str](), set[tuple[str, str]]()
    while waiting:
        artifact = _as_of_here(store, waiting.pop())
        try:
            location = store.location(artifact)
            kept.add(location)
            # By both: a reference with another digest leads no further, and must not end this one.
            if (location, artifact.sha256) in seen:
                continue
            seen.add((location, artifact.sha256))
            waiting += store.manifest(artifact).inputs.values()
        except DamagedError:
            continue  # what it was made from is not known any more; the rest of it stays
    return kept


def _as_of_here(store: Store, artifact: Artifact) -> Artifact:
    """An artifact of another store, as it would be called in this one.

    A store may have been moved, or copied, or have two addresses, and unique names lie in it: what
    has the same one here is kept.
    """
    if artifact.uri.startswith(f"{store.root}/"):
        return artifact
    log.warning("%s lies in another store: only what has its name here is kept", artifact.uri)
    location = "/".join(artifact.uri.split("/")[-3:])
    return artifact.model_copy(update={"uri": f"{store.root}/{location}"})
