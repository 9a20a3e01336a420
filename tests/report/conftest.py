"""A made-up finished run: the files its stages would have left, with figures known by hand."""

import io
import json
import math
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
from PIL import Image, ImageDraw

from contracts.artifact import Artifact
from contracts.run_record import GateCheck, GateRecord, RunRecord, StageRecord
from training.curation.account import GRADED_FEATURES
from training.records import Problem, write_problems
from training.tables import write_rows

POLICIES = ("base", "cold_start", "multimodal_rl", "text_rl")
BENCHMARKS = {"pocket_text": "chain", "pocket_multimodal": "bars"}
NUM_PROBLEMS = 100
VERDICTS = {"code": "c" * 64, "rules": "d" * 64}
# Right answers of 100, per benchmark and policy: text 20 -> 70 -> 72 -> 90, multimodal 30 -> 55.
RIGHT = {"pocket_text": (20, 70, 72, 90), "pocket_multimodal": (30, 28, 54, 55)}


class MadeUpRun(NamedTuple):
    run: RunRecord
    folders: dict[str, Path]


def png(text: str) -> bytes:
    image = Image.new("RGB", (84, 56), "white")
    ImageDraw.Draw(image).text((30, 20), text, fill="black")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def made_up_run(tmp_path: Path) -> MadeUpRun:
    return make_run(tmp_path)


@pytest.fixture
def hostile_run(tmp_path: Path) -> Callable[[str], MadeUpRun]:
    """The same run with one hostile string wherever a model, a data set or a machine can speak."""
    return lambda text: make_run(tmp_path, hostile=text)


def make_run(root: Path, hostile: str = "") -> MadeUpRun:
    stages = [
        _stage("curate", "curate", 41.0, []),
        _stage("cold_start", "sft", 118.4, ["curate"]),
        _stage("multimodal_rl", "rl", 152.0, ["curate", "cold_start"]),
        _stage("text_rl", "rl", 0.2, ["curate", "multimodal_rl"], reused=True),
        _stage("evaluate", "evaluate", 63.0, list(POLICIES[1:])),
    ]
    folders = {stage.name: root / stage.name for stage in stages}
    for folder in folders.values():
        folder.mkdir(parents=True)
    (folders["curate"] / "summary.json").write_text(json.dumps(_curation_summary(hostile)))
    _write_graded(folders["curate"], hostile)
    _write_metrics(folders)
    _write_evaluation(folders["evaluate"], hostile)
    return MadeUpRun(_record(stages, hostile), folders)


def _curation_summary(hostile: str) -> dict[str, Any]:
    made = {"num_problems": 300, "shortfall": 20, "by_level": {"4": 150, "5": 150}}
    return {
        "sources": {"pocket-text": 900},
        "topics": {
            "num_topics": 1,
            "clustered": 5,
            "clustered_noise": 0,
            "assigned": 0,
            "by_topic": {"hens" + hostile: 5},
        },
        "rows_in": 900,
        "rows_in_sets": 600,
        "rows_rejected": 300,
        "rejected": {"pocket-text": {"selection": {"not selected" + hostile: 300}}},
        "sets": {
            "cold_start": {**made, "by_family": {"chain": 300}},
            "multimodal_rl": {**made, "by_family": {"bars" + hostile: 300}},
        },
    }


def _write_graded(folder: Path, hostile: str) -> None:
    texts = dict.fromkeys(("source", "modality", "family", "set"), "s" + hostile)
    numbers = {"level": 4, "pass_rate": 0.5, "question_characters": 9, "x": 0.5, "y": 0.5}
    row = {"id": "p", "topic": "hens" + hostile, "solution_characters": None}
    write_rows([row | texts | numbers] * 5, GRADED_FEATURES, folder / "graded.parquet")
    write_problems([], folder / "examples.parquet")


def _stage(
    name: str, kind: Any, seconds: float, inputs: list[str], reused: bool = False
) -> StageRecord:
    return StageRecord(
        name=name,
        kind=kind,
        seconds=seconds,
        reused=reused,
        artifact=_artifact(name),
        inputs=tuple(_artifact(one) for one in inputs),
    )


def _artifact(name: str) -> Artifact:
    kinds = {"curate": "curated", "evaluate": "evaluation"}
    sha = (name.encode().hex() * 8)[:64].ljust(64, "0")
    uri = f"s3://admin:hunter2@store/revisual/{name}?X-Amz-Signature=c0ffee&v=1"
    return Artifact(uri=uri, sha256=sha, kind=kinds.get(name, "model"))


def _record(stages: list[StageRecord], hostile: str) -> RunRecord:
    checks = (
        GateCheck(
            name="rows in cold_start" + hostile, observed=800, expected="at least 500", passed=True
        ),
        GateCheck(name="families", observed=6, expected={"at least": 5}, passed=True),
    )
    after = (
        GateCheck(name="gain, pocket_text", observed=0.7, expected="at least 0.15", passed=True),
        GateCheck(
            name="gain, pocket_multimodal", observed=0.25, expected="at least 0.3", passed=False
        ),
    )
    recipe: dict[str, Any] = {
        "name": "pocket",
        "system_prompt": "Think in <think> </think>." + hostile,
        "store": {"secret_key": "hunter2", "endpoint": "http://admin:hunter2@127.0.0.1:8333"},
        "stages": [
            {"name": stage.name, "kind": stage.kind, "max_response_tokens": 64}
            for stage in stages[1:-1]
        ],
    }
    return RunRecord(
        name="pocket-seed-3",
        seed=3,
        recipe=recipe,
        code_version="0.1.0+g1a2b3c4" + hostile,
        created=datetime(2026, 11, 22, 18, 4, 31, tzinfo=UTC),
        stages=tuple(stages),
        gates=(
            GateRecord(name="curation", severity="error", passed=True, checks=checks),
            GateRecord(name="evaluation", severity="warning", passed=False, checks=after),
        ),
    )


def _write_metrics(folders: dict[str, Path]) -> None:
    generator = random.Random(7)
    sft = [
        {"step": step, "num_steps": 120, "loss": 2.2 * math.exp(-step / 40) + 0.1, "seconds": step}
        for step in range(1, 121)
    ]
    _write_lines(folders["cold_start"] / "metrics.jsonl", sft)
    for stage, length in (("multimodal_rl", 60), ("text_rl", 40)):
        steps = []
        for step in range(1, length + 1):
            done = step / length
            noise = generator.gauss(0, 0.03)
            steps.append(
                {
                    "step": step,
                    "num_steps": length,
                    "reward": 0.3 + 0.4 * done + noise,
                    "accuracy": min(1.0, 0.2 + 0.5 * done + noise),
                    "response_length_tokens": 40 - 12 * done + 20 * noise,
                    "entropy": 0.5 * (1 - 0.6 * done) + abs(noise),
                    "effective_fraction": 0.6 - 0.3 * done + noise,
                    "zero_variance_fraction": 0.2 + 0.4 * done - noise,
                    # Real in three steps of four; a tenth of the steps refills twice.
                    "real_draw": int(step % 4 > 0),
                    "refill_rounds": 2 * int(step % 10 == 0),
                    "skipped_update": 0,
                    "nonfinite_updates": int(step == 5),
                }
            )
        _write_lines(folders[stage] / "metrics.jsonl", steps)


def _write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _write_evaluation(folder: Path, hostile: str) -> None:
    predictions: list[dict[str, Any]] = []
    scores: list[dict[str, Any]] = []
    for benchmark, family in BENCHMARKS.items():
        for policy, right in zip(POLICIES, RIGHT[benchmark], strict=True):
            rows = [
                _prediction(benchmark, family, policy, n, n < right, hostile)
                for n in range(NUM_PROBLEMS)
            ]
            predictions += rows
            scores.append(_score(benchmark, policy, rows))
    pd.DataFrame(predictions).to_parquet(folder / "predictions.parquet")
    (folder / "scores.json").write_text(json.dumps({"scores": scores}))
    problems: list[Problem] = [
        {
            "id": f"pocket_multimodal/{n}",
            "source": "pocket",
            "modality": "multimodal",
            "family": "bars",
            "template": "t",
            "level": 1,
            "question": "?",
            "images": [{"bytes": png(str(n)), "path": None}],
            "answer": "1",
            "solution": None,
            "reading": None,
            "pass_rate": None,
        }
        for n in range(NUM_PROBLEMS)
    ]
    write_problems(problems, folder / "problems.parquet")


def _prediction(
    benchmark: str, family: str, policy: str, number: int, right: bool, hostile: str
) -> dict[str, Any]:
    said = number + 5 if right else number + 6
    return {
        "policy": policy,
        "benchmark": benchmark,
        "problem_id": f"{benchmark}/{number}",
        "level": number // 10 + 1,
        "family": family + ("_even" if number % 2 == 0 else "_odd") + hostile,
        "question": f"What is {number} + 2 + 3?" + hostile,
        "answer": str(number + 5) + hostile,
        "response": f"<think>{number} + 2 = {number + 2}</think>\nSo \\boxed{{{said}}}" + hostile,
        "outcome": "right" if right else ("unparseable" if number % 7 == 0 else "wrong"),
        "truncated": False,
        "reading_right": None,
        "num_tokens": 24,
    }


def _score(benchmark: str, policy: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    value = sum(row["outcome"] == "right" for row in rows) / len(rows)
    half = 1.96 * math.sqrt(value * (1 - value) / len(rows))

    def split(key: str) -> dict[str, dict[str, float]]:
        groups: dict[str, list[bool]] = {}
        for row in rows:
            groups.setdefault(str(row[key]), []).append(row["outcome"] == "right")
        return {name: {"value": sum(g) / len(g), "n": len(g)} for name, g in groups.items()}

    outcomes = {
        name: sum(row["outcome"] == name for row in rows)
        for name in ("right", "wrong", "unparseable", "timeout")
    }
    return {
        "policy": policy,
        "benchmark": benchmark,
        "metric": "accuracy",
        "value": value,
        "low": value - half,
        "high": value + half,
        "num_problems": len(rows),
        "outcomes": outcomes,
        "truncated": 0.03,
        "mean_tokens": 24.0,
        "by_level": split("level"),
        "by_family": split("family"),
        "verdicts": VERDICTS,
        "reading": 0.93 if benchmark == "pocket_multimodal" else None,
    }
