"""A store in which somebody has written: manifests, entries, a run's record, a stage's results."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from contracts.artifact import Artifact
from contracts.errors import RevisualError
from contracts.provenance import Provenance
from drills.hostile.recipes import POCKET
from drills.hostile.tables import odd_column
from drills.hostile.values import TEXTS, anything, changed, damaged, json_bytes
from infra.inputs.folder import local_folder
from infra.settings import Settings
from infra.store import Store
from report.evidence import MORE_COLUMNS, PREDICTION_COLUMNS
from tasks.garbage import find_garbage, remove
from tasks.keys import name_key
from tasks.lineage import lineage_lines
from tasks.report import render_again
from tasks.uploads import Retention, resume_point, step_scores
from training.recipe.recipe import load_recipe

KEY = "a" * 64
STEP = f"{KEY}/step-00000010"
ODD_NAMES = ("x", "step-x", "step-00000001", "../x", "\x1b", ".x")
TABLES = {
    "predictions.parquet": PREDICTION_COLUMNS + MORE_COLUMNS,
    "problems.parquet": ["id", "images"],
}
KINDS = ("curate", "sft", "rl", "evaluate")


def store(draw: random.Random, folder: Path) -> None:
    """Everything is asked of it that somebody may ask of a store."""
    (folder / "outside").write_text("precious")
    settings = Settings(folder / "home", str(folder / "store"), 4200)
    ours = Store(settings.store_uri, settings.home / "cache")
    made = _made(draw, ours, folder / "made")
    _tamper(draw, folder / "store", folder / "outside")
    refused: RevisualError | None = None
    for question in _questions(ours, made, settings):
        try:
            question()
        except RevisualError as error:
            refused = error
    assert (folder / "outside").read_text() == "precious"
    assert {path.name for path in folder.iterdir()} <= {"made", "outside", "store", "home"}
    if refused is not None:
        raise refused


def _made(draw: random.Random, ours: Store, folder: Path) -> Artifact:
    """A finished run and its stage, whose files hold what a stranger would have them hold."""
    for name, value in _results().items():
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(json_bytes(draw, changed(draw, value, _share(draw))))
    for name, columns in TABLES.items():
        made = {one: _usual(one) if draw.random() < 0.8 else odd_column(draw, 2) for one in columns}
        pq.write_table(pa.table(made), folder / name)
        if draw.random() < 0.1:
            (folder / name).write_bytes(damaged(draw, (folder / name).read_bytes()))
    producer = {"run": draw.choice(TEXTS), "score": draw.choice([*TEXTS, "0.5"])}
    key = draw.choice([KEY, STEP])
    stage = ours.publish(folder, "model", Provenance(producer=producer), key=key)
    record = {
        "name": "x",
        "seed": 1,
        "recipe": load_recipe(POCKET).model_dump(mode="json"),
        "code_version": "1",
        "created": "2026-11-01T00:00:00Z",
        "gates": [{"name": "g", "severity": "error", "passed": True, "checks": []}],
        "stages": [
            {"name": kind, "kind": kind, "seconds": 1.0, "reused": False}
            | {"artifact": stage.model_dump(), "inputs": [], "remarks": ["why"]}
            for kind in KINDS
        ],
    }
    (folder / "run.json").write_bytes(json_bytes(draw, changed(draw, record, _share(draw))))
    inputs = {draw.choice(TEXTS): stage}
    return ours.publish(folder, "run", Provenance(inputs=inputs), key=name_key("run", "x"))


def _usual(column: str) -> pa.Array:
    if column == "images":
        return pa.array([[{"bytes": b"\x89PNG", "path": None}]] * 2)
    values = {"policy": ["base", "rl"], "benchmark": ["b", "b"], "level": [1, 2]}
    return pa.array(values.get(column, ["p", "p"]))


def _share(draw: random.Random) -> float:
    return draw.choice([0.0, 0.01, 0.05, 0.3])


def _results() -> dict[str, Any]:
    """As the stages write them."""
    score = {"policy": "base", "benchmark": "b", "metric": "accuracy", "value": 0.5, "low": 0.4}
    score |= {"high": 0.6, "num_problems": 9, "by_level": {"1": {"value": 0.5, "n": 2}}}
    score |= {"verdicts": {"code": "c" * 64, "rules": "d" * 64}}
    gain = {"policy": "rl", "over": "base", "benchmark": "b", "points": 1.0}
    gain |= {"low_points": 0.0, "high_points": 2.0}
    curated = {"num_problems": 3, "shortfall": 0, "by_family": {"a": 3}, "by_level": {"1": 3}}
    summary = {"rows_in": 4, "rows_in_sets": 3, "rows_rejected": 1, "sets": {"a": curated}}
    summary |= {"rejected": {"source": {"step": {"reason": 1}}}}
    return {
        "scores.json": {"scores": [score, score | {"policy": "rl"}], "gains": [gain]},
        "summary.json": summary,
        "metrics.jsonl": {"step": 1, "loss": 0.5, "reward": 1.0},
        "recipe.json": {"name": "x", "seed": 1},
    }


def _tamper(draw: random.Random, root: Path, outside: Path) -> None:
    """Two of the store's own files changed, and perhaps a link to elsewhere among them."""
    for path in draw.sample([*root.rglob("manifest.json"), *root.glob("keys/**/*.json")], 2):
        written = json.loads(path.read_bytes())
        path.unlink()
        path.write_bytes(json_bytes(draw, changed(draw, written, _share(draw))))
    if draw.random() < 0.3:
        link = root / "keys" / KEY / draw.choice(ODD_NAMES)
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            link.symlink_to(outside)
    if draw.random() < 0.3:
        (root / "artifacts" / draw.choice(["model", "run"]) / "f").write_bytes(
            json_bytes(draw, anything(draw))
        )


def _questions(ours: Store, made: Artifact, settings: Settings) -> Iterator[Callable[[], object]]:
    work = settings.home / "work"
    yield lambda: ours.find(KEY)
    yield lambda: list(ours.history(KEY))
    yield lambda: step_scores(ours, KEY)
    yield lambda: resume_point(ours, KEY, work, lambda _: None)
    yield lambda: _require_printable(lineage_lines(ours, ours.at(made.uri)))
    yield lambda: local_folder(ours, ours.at(made.uri), settings)
    yield lambda: render_again(settings, "x")
    yield lambda: ours.fetch(made)
    yield lambda: remove(ours, find_garbage(ours, retention=Retention(1), min_age_seconds=0.0))
    yield lambda: ours.drop(KEY)


def _require_printable(lines: Iterator[str]) -> None:
    """What goes to a terminal moves no cursor there."""
    for line in lines:
        assert line.isprintable(), ascii(line)
