"""The artifacts of curation and evaluation as tables for Great Expectations.

Images do not enter the tables: only how many a problem has, and a key of its question.
Every table has an `id` column by which broken rows are named.
"""

import json
from collections.abc import Mapping, Sequence
from math import nan
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from contracts.errors import DataError
from training.records import PROBLEM_FEATURES, question_key

_BATCH_ROWS = 1024  # images are read and forgotten batch by batch


def curated_frame(folder: Path, sets: Sequence[str]) -> pd.DataFrame:
    """All rows of all curated sets.

    Returns:
        A problem's columns, with `images` replaced by `num_images`, `num_empty_images` and
        `question_key`, `solution` by `has_solution`, and `set` added.

    Raises:
        DataError: A set's file is missing or has other columns.
    """
    rows = [row for name in sets for row in _curated_rows(folder / f"{name}.parquet", name)]
    columns = [name for name in PROBLEM_FEATURES if name not in {"images", "solution"}]
    extra = ["set", "num_images", "num_empty_images", "question_key", "has_solution"]
    return pd.DataFrame(rows, columns=[*columns, *extra])


def _curated_rows(path: Path, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for batch in _open(path, set(PROBLEM_FEATURES)).iter_batches(_BATCH_ROWS):
        for row in batch.to_pylist():
            images = row.pop("images") or []
            solution = row.pop("solution")
            shown = [image for image in images if image and image["bytes"]]
            rows.append(
                row
                | {
                    "set": name,
                    "num_images": len(images),
                    "num_empty_images": len(images) - len(shown),
                    "question_key": question_key(row["question"] or "", shown),
                    "has_solution": bool(solution),
                }
            )
    return rows


def benchmark_keys(folder: Path) -> list[str]:
    """`question_key` of every problem of the evaluation's benchmarks."""
    path = folder / "benchmark_questions.parquet"
    keys: list[str] = _open(path, {"question_key"}).read(["question_key"])[0].to_pylist()
    return keys


def accounting_frame(folder: Path, sets: Sequence[str]) -> pd.DataFrame:
    """For each source the rows that came in and the rows found in the sets and rejects."""
    files = [folder / f"{name}.parquet" for name in (*sets, "rejects")]
    sources = [
        source
        for path in files
        for source in _open(path, {"source"}).read(["source"])[0].to_pylist()
    ]
    rows_in: dict[str, int] = _json(folder / "summary.json")["sources"]
    names = sorted(rows_in.keys() | set(sources))
    return pd.DataFrame(
        {
            "id": names,
            "rows_in": [rows_in.get(name, 0) for name in names],
            "rows_out": [sources.count(name) for name in names],
        }
    )


def predictions_frame(folder: Path) -> pd.DataFrame:
    """Every prediction, with `id` = policy/benchmark/problem and `right`, `unparseable` as 0/1.

    An answer after a problem's first has its number behind the id: `#1`.
    """
    columns = {"policy", "benchmark", "problem_id", "sample", "outcome", "num_tokens"}
    table = _open(folder / "predictions.parquet", columns).read(sorted(columns))
    frame: pd.DataFrame = table.to_pandas()
    frame["id"] = frame["policy"] + "/" + frame["benchmark"] + "/" + frame["problem_id"]
    later = frame["sample"] > 0
    frame.loc[later, "id"] += "#" + frame.loc[later, "sample"].astype(str)
    frame["right"] = (frame["outcome"] == "right").astype(float)
    frame["unparseable"] = (frame["outcome"] == "unparseable").astype(float)
    return frame


def scores_frame(
    folder: Path, predictions: pd.DataFrame, samples_per_problem: Mapping[str, int]
) -> pd.DataFrame:
    """Every score beside the accuracy that its predictions give.

    Args:
        folder: The artifact of the evaluation.
        predictions: Of `predictions_frame`.
        samples_per_problem: How many answers each benchmark's items have.

    Returns:
        `id` = policy/benchmark, `policy`, `benchmark`, `value`, `low`, `high`, `num_problems`,
        `num_answered`, the problems with predictions; `num_predictions`, and how many are
        `wanted`; `num_failed`, questions without a response; and `error`, the distance between the
        predictions' accuracy and the score's: its value, or the accuracy that it states beside a
        value of another kind.
    """
    fields = ["policy", "benchmark", "value", "low", "high", "num_problems"]
    scores = _json(folder / "scores.json")["scores"]
    frame = pd.DataFrame(
        [
            {field: score[field] for field in fields}
            | {"stated": score.get("accuracy")}
            | {"num_failed": sum(score.get("failures", {}).values())}
            for score in scores
        ],
        columns=[*fields, "stated", "num_failed"],
    )
    grouped = predictions.groupby(["policy", "benchmark"], as_index=False).agg(
        recomputed=("right", "mean"),
        num_answered=("problem_id", "nunique"),
        num_predictions=("right", "size"),
    )
    samples = frame["benchmark"].map(dict(samples_per_problem))
    frame["wanted"] = frame["num_problems"] * samples
    frame = frame.merge(grouped, on=["policy", "benchmark"], how="left")
    frame["id"] = frame["policy"] + "/" + frame["benchmark"]
    stated = pd.to_numeric(frame["stated"]).fillna(frame["value"])
    frame["error"] = (stated - frame["recomputed"]).abs()
    return frame


def final_frame(
    scores: pd.DataFrame, predictions: pd.DataFrame, benchmarks: Sequence[str], final: str
) -> pd.DataFrame:
    """The final checkpoint on each benchmark.

    Returns:
        `id` = final/benchmark, `gain_points` over the base (NaN if a score is missing), and the
        share of responses that was `unparseable`.
    """
    values: dict[str, float] = dict(zip(scores["id"], scores["value"].astype(float), strict=True))
    last = predictions[predictions["policy"] == final].groupby("benchmark")["unparseable"].mean()
    return pd.DataFrame(
        {
            "id": [f"{final}/{benchmark}" for benchmark in benchmarks],
            "gain_points": [
                100.0 * (values.get(f"{final}/{each}", nan) - values.get(f"base/{each}", nan))
                for each in benchmarks
            ],
            "unparseable": [float(last.get(each, nan)) for each in benchmarks],
        }
    )


def _open(path: Path, columns: set[str]) -> pq.ParquetFile:
    _require(path)
    file = pq.ParquetFile(path)
    missing = sorted(columns - set(file.schema_arrow.names))
    if missing:
        raise DataError(
            f"{path.name} lacks the columns {missing}.",
            where=str(path),
            rule=f"it holds at least {sorted(columns)}",
            fix="produce the artifact again with this version",
        )
    return file


def _json(path: Path) -> dict[str, Any]:
    _require(path)
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _require(path: Path) -> None:
    if not path.is_file():
        raise DataError(
            f"There is no {path.name} to check.",
            where=str(path),
            rule="a gate reads a whole artifact of curation or evaluation",
            fix="run the stage again: its artifact is incomplete",
        )
