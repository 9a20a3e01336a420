"""What the store may forget.

Kept: what a finished run refers to, directly or through its inputs; the last step checkpoints of
every stage and its best one, with what they were made from; and whatever is young, since somebody
may be at work on it. Everything else goes: artifacts of runs that were given up, and what a crashed
upload left behind, which has no manifest. The store's own clock decides what is young.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from infra.errors import DamagedError
from infra.store import MANIFEST, Artifact, Store, step_key
from tasks.checkpoints import KIND as CHECKPOINT
from tasks.checkpoints import Retention, step_scores


@dataclass(frozen=True)
class Garbage:
    """One thing that may go.

    Attributes:
        uri: The artifact, or what is left of one.
        num_bytes: Its size.
        reason: Why it may go.
        entries: Names of the key entries that point to it; they go first.
    """

    uri: str
    num_bytes: int
    reason: str
    entries: tuple[str, ...]


def find_garbage(store: Store, *, retention: Retention, min_age_seconds: float) -> list[Garbage]:
    """Lists what may go; removes nothing.

    Args:
        store: The store.
        retention: Which step checkpoints stay.
        min_age_seconds: What is younger stays.

    Raises:
        StoreError: The store cannot be reached.
    """
    now = _now(store)
    times = store.backend.times("artifacts")
    files: dict[str, dict[str, int]] = defaultdict(dict)
    for name, size in store.backend.sizes("artifacts").items():
        kind, unique, path = name.split("/", 2)
        files[f"artifacts/{kind}/{unique}"][path] = size
    entries = _entries(store)
    roots = [*_kept_steps(store, retention, entries), *_finished_runs(store, entries)]
    kept = _with_inputs(store, roots)
    garbage: list[Garbage] = []
    for location, sizes in sorted(files.items()):
        place = location.removeprefix("artifacts/")
        newest = max(times.get(f"{place}/{path}", now) for path in sizes)
        if location in kept or now - newest < min_age_seconds:
            continue
        reason = "no finished run refers to it"
        if MANIFEST not in sizes:
            reason = "an upload that never ended"
        elif place.startswith(f"{CHECKPOINT}/"):
            reason = (
                f"neither its stage's best checkpoint nor one of the last {retention.keep_last}"
            )
        pointing = tuple(name for name, named in entries.items() if named.uri == location)
        garbage.append(Garbage(f"{store.root}/{location}", sum(sizes.values()), reason, pointing))
    return garbage


def remove(store: Store, garbage: Iterable[Garbage]) -> None:
    """Removes what `find_garbage` listed: first what points to it, then the thing itself."""
    for one in garbage:
        for name in one.entries:
            store.backend.remove(name)
        store.backend.remove(one.uri.removeprefix(f"{store.root}/"))


def _now(store: Store) -> float:
    """The time by the store's clock: that of a probe written now."""
    prefix = f"probes/{uuid.uuid4().hex}"
    store.backend.create(f"{prefix}/probe", b"now")
    (now,) = store.backend.times(prefix).values()
    store.backend.remove(prefix)
    return now


def _entries(store: Store) -> dict[str, Artifact]:
    """What every key entry names, its URI relative to the store's root."""
    found: dict[str, Artifact] = {}
    for name in store.backend.sizes("keys"):
        data = store.backend.read(f"keys/{name}")
        if data is None:
            continue  # removed at this moment
        try:
            found[f"keys/{name}"] = Artifact.model_validate_json(data)
        except ValidationError:
            continue  # nobody can read it: it keeps nothing
    return found


def _kept_steps(
    store: Store, retention: Retention, entries: dict[str, Artifact]
) -> Iterator[Artifact]:
    stages = {name.split("/")[1] for name in entries if name.count("/") == 3}
    for stage in sorted(stages):
        scores = step_scores(store, stage)
        for step in set(scores) - set(retention.outdated(scores)):
            if artifact := store.find(step_key(stage, step)):
                yield artifact


def _finished_runs(store: Store, entries: dict[str, Artifact]) -> Iterator[Artifact]:
    for named in entries.values():
        if named.kind == "run":
            yield named.model_copy(update={"uri": f"{store.root}/{named.uri}"})


def _with_inputs(store: Store, roots: Iterable[Artifact]) -> set[str]:
    """Locations of artifacts and of all that they were made from."""
    waiting, kept = list(roots), set[str]()
    while waiting:
        artifact = waiting.pop()
        location = store.location(artifact)
        if location in kept:
            continue
        kept.add(location)
        try:
            waiting += store.manifest(artifact).inputs.values()
        except DamagedError:
            continue  # what it was made from is not known any more; the rest of it stays
    return kept
