"""Where a result comes from: from a benchmark's number back to the rows of the sources.

Every manifest names the run, the stage, the code and the inputs that made an artifact, and each
stage's artifact holds the recipe. Following the inputs gives the whole tree.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from contracts.artifact import Artifact
from contracts.errors import StoreError
from contracts.run_record import RunRecord
from contracts.scores import unanswered
from contracts.secrets import without_secrets
from contracts.texts import one_line
from infra.manifest import Manifest
from infra.store import Store
from report.evidence import read_scores
from report.numbers import starred
from tasks.keys import name_key
from training.records import PROBLEM_FEATURES

INDENT = "    "
NUM_SHOWN_ROWS = 3
MAX_SHOWN_CHARACTERS = 200


def find_artifact(store: Store, name: str) -> Artifact:
    """An artifact by its URI, or a finished run by its name or id.

    Raises:
        StoreError: There is none.
    """
    if "://" in name:
        return store.at(name)
    if run := store.find(name_key("run", name)):
        return run
    raise StoreError(
        f"There is no finished run {name!r}.",
        where=store.root,
        rule="lineage starts at an artifact's URI, or at a finished run's name or id",
        fix="copy a URI from a report or from the Prefect UI",
    )


def lineage_lines(store: Store, artifact: Artifact) -> Iterator[str]:
    """The tree of what an artifact was made from, as lines of text.

    An artifact that occurs twice is explained once.

    Raises:
        StoreError: A part of it cannot be fetched.
    """
    waiting, explained = [("", artifact, 0)], set[str]()
    while waiting:
        name, artifact, depth = waiting.pop()
        margin = INDENT * depth
        again = " (above)" if artifact.uri in explained else ""
        about = f"{name}{artifact.kind} {artifact.uri} sha256 {artifact.sha256[:12]}{again}"
        yield margin + one_line(about)
        if not again:
            explained.add(artifact.uri)
            manifest = store.manifest(artifact)
            for fact in _facts(store, artifact, manifest):
                yield f"{margin}  {one_line(fact)}"
            inputs = [(f"{given}: ", one, depth + 1) for given, one in manifest.inputs.items()]
            waiting += reversed(inputs)


def _facts(store: Store, artifact: Artifact, manifest: Manifest) -> Iterator[str]:
    """What a manifest says, and what the files say that lie in the store."""
    made = manifest.producer
    yield (
        f"made by run {made.get('run')}, stage {made.get('stage')}, "
        f"version {made.get('version')}, recipe {manifest.recipe_digest[:12]}"
    )
    if manifest.libraries:
        listed = ", ".join(f"{name} {number}" for name, number in manifest.libraries.items())
        yield f"with {listed}"
    if manifest.place is not None:
        yield f"lies in {manifest.place}, {len(manifest.files)} file(s)"
    else:
        yield from _contents(store, artifact, {file.path for file in manifest.files})


def _contents(store: Store, artifact: Artifact, files: set[str]) -> Iterator[str]:
    """What the artifact's own files say: recipe, scores, rows."""
    sets = {name for name in files if name.endswith(".parquet") and "/" not in name}
    interesting = (files & READERS.keys()) | (sets if artifact.kind == "dataset" else set())
    if not interesting:
        return
    folder = store.fetch(artifact, only=interesting)
    for name in sorted(interesting, key=lambda name: (name not in READERS, name)):
        try:
            said = list(READERS.get(name, _rows)(folder / name))
        except (OSError, ValueError, pa.ArrowException) as error:
            said = [f"cannot be read: {str(error)[:MAX_SHOWN_CHARACTERS]}"]
        for fact in said:
            yield f"{name}: {fact}"


class _Recipe(BaseModel):
    """What is told of a recipe, whatever version of this project wrote it."""

    name: str
    seed: int


def _recipe(path: Path) -> Iterator[str]:
    recipe = _Recipe.model_validate_json(path.read_bytes())
    yield f"recipe {recipe.name}, seed {recipe.seed}"


def _remarks(path: Path) -> Iterator[str]:
    record = RunRecord.model_validate_json(path.read_bytes())
    for stage in record.stages:
        for remark in stage.remarks:
            yield f"{stage.name}: {remark}"
    for gate in record.gates:
        failed = ", ".join(check.name for check in gate.failed)
        if gate.decision is not None:
            reason = without_secrets(gate.decision.reason)
            yield f"gate {gate.name}: {gate.decision.verdict} by a person ({reason}); {failed}"
        elif failed:
            yield f"gate {gate.name}: {gate.verdict}; {failed}"


def _scores(path: Path) -> Iterator[str]:
    scores = read_scores(path).scores
    for score in scores:
        about = f"{score.benchmark}, {score.metric} of {score.policy}"
        bounds = [
            "unknown" if bound is None else f"{bound:.4f}" for bound in (score.low, score.high)
        ]
        value = starred(f"{score.value:.4f}", score)
        yield f"{about}: {value} [{', '.join(bounds)}], n = {score.n}"
    yield from (f"* {sentence}" for sentence in unanswered(scores))


def _rows(path: Path) -> Iterator[str]:
    """Problems, and not another table of a curation, such as what it rejected."""
    if set(pq.read_schema(path).names) != set(PROBLEM_FEATURES):
        return
    rows = pq.read_table(path, columns=["source", "id"])
    sources = Counter(map(str, rows["source"].to_pylist()))
    ids = ", ".join(map(str, rows["id"].to_pylist()[:NUM_SHOWN_ROWS]))
    counts = ", ".join(f"{count} of {source}" for source, count in sorted(sources.items()))
    yield f"{counts}; rows {ids}, ..."


# The files that say something of the artifact they are in, and how each is read.
READERS: dict[str, Callable[[Path], Iterator[str]]] = {
    "recipe.json": _recipe,
    "run.json": _remarks,
    "scores.json": _scores,
}
