"""Where a result comes from: from a benchmark's number back to the rows of the sources.

Every manifest names the run, the stage, the code and the inputs that made an artifact, and each
stage's artifact holds the recipe. Following the inputs gives the whole tree.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from contracts.artifact import Artifact
from contracts.errors import StoreError
from infra.store import Store
from tasks.keys import name_key
from training.records import PROBLEM_FEATURES

INDENT = "    "
NUM_SHOWN_ROWS = 3


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
    yield from _explain(store, "", artifact, 0, set())


def _explain(
    store: Store, name: str, artifact: Artifact, depth: int, explained: set[str]
) -> Iterator[str]:
    margin = INDENT * depth
    again = " (above)" if artifact.uri in explained else ""
    yield f"{margin}{name}{artifact.kind} {artifact.uri} sha256 {artifact.sha256[:12]}{again}"
    if again:
        return
    explained.add(artifact.uri)
    manifest = store.manifest(artifact)
    made = manifest.producer
    yield (
        f"{margin}  made by run {made.get('run')}, stage {made.get('stage')}, "
        f"version {made.get('version')}, recipe {manifest.recipe_digest[:12]}"
    )
    if manifest.libraries:
        listed = ", ".join(f"{name} {number}" for name, number in manifest.libraries.items())
        yield f"{margin}  with {listed}"
    if manifest.place is not None:
        yield f"{margin}  lies in {manifest.place}, {len(manifest.files)} file(s)"
        return
    for fact in _facts(store, artifact, {file.path for file in manifest.files}):
        yield f"{margin}  {fact}"
    for given, source in manifest.inputs.items():
        yield from _explain(store, f"{given}: ", source, depth + 1, explained)


def _facts(store: Store, artifact: Artifact, files: set[str]) -> Iterator[str]:
    """What the artifact's own files say: recipe, scores, rows."""
    interesting = files & {"recipe.json", "scores.json", "run.json"}
    sets = sorted(name for name in files if name.endswith(".parquet") and "/" not in name)
    if not interesting and not (sets and artifact.kind == "dataset"):
        return
    folder = store.fetch(artifact, only=interesting.union(sets))
    if "recipe.json" in files:
        recipe = _read(folder / "recipe.json")
        yield f"recipe {recipe['name']}, seed {recipe['seed']}: {artifact.uri}/files/recipe.json"
    if "run.json" in files:
        for stage in _read(folder / "run.json")["stages"]:
            for remark in stage.get("remarks", ()):
                yield f"{stage['name']}: {remark}"
    if "scores.json" in files:
        for score in _read(folder / "scores.json")["scores"]:
            yield (
                f"{score['benchmark']}, {score['metric']} of {score['policy']}: "
                f"{score['value']:.4f} [{score['low']:.4f}, {score['high']:.4f}], "
                f"{score['num_problems']} problems"
            )
    if artifact.kind == "dataset":
        for name in sets:
            # A curation leaves other tables, too: what it rejected, what the benchmarks ask.
            if set(pq.read_schema(folder / name).names) == set(PROBLEM_FEATURES):
                yield _rows(artifact, folder / name)


def _rows(artifact: Artifact, path: Path) -> str:
    rows = pq.read_table(path, columns=["source", "id"])
    sources = Counter(rows["source"].to_pylist())
    ids = ", ".join(rows["id"].to_pylist()[:NUM_SHOWN_ROWS])
    counts = ", ".join(f"{count} of {source}" for source, count in sorted(sources.items()))
    return f"{path.name}: {counts}; rows {ids}, ... in {artifact.uri}/files/{path.name}"


def _read(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return values
