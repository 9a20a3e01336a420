"""The artifacts of curation and evaluation as tables for Great Expectations.

Images do not enter the tables: only how many a problem has, and a key of its question.
Every table has an `id` column by which broken rows are named.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from math import nan
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contracts.errors import DataError
from training.evaluation.metrics import accuracy, metric_named
from training.evaluation.paired import sign_flip_p
from training.recipe.curation import NOT_KEPT, SELECTION, SOURCES
from training.recipe.gates import DropRecipe
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
    parts = [part for name in sets for part in _curated_parts(folder / f"{name}.parquet", name)]
    frame: pd.DataFrame = pa.concat_tables(parts).to_pandas()
    return frame


def _curated_parts(path: Path, name: str) -> Iterator[pa.Table]:
    """The rows of one set, some at a time; texts stay in Arrow."""
    file = _open(path, set(PROBLEM_FEATURES))
    columns = [one for one in PROBLEM_FEATURES if one not in {"images", "solution"}]
    yield _curated_part(file.schema_arrow.empty_table(), columns, name)
    for batch in file.iter_batches(_BATCH_ROWS):
        yield _curated_part(pa.table(batch), columns, name)


def _curated_part(table: pa.Table, columns: Sequence[str], name: str) -> pa.Table:
    every = [images or [] for images in table["images"].to_pylist()]
    shown = [[image for image in images if image and image["bytes"]] for images in every]
    asked = (question or "" for question in table["question"].to_pylist())
    added = {
        "set": pa.array([name] * len(table), pa.string()),
        "num_images": pa.array(map(len, every), pa.int64()),
        "num_empty_images": pa.array(
            [len(images) - len(seen) for images, seen in zip(every, shown, strict=True)], pa.int64()
        ),
        "question_key": pa.array(map(question_key, asked, shown), pa.string()),
        "has_solution": pc.greater(pc.binary_length(table["solution"]), 0).fill_null(False),
    }
    # Stored in single precision, in which 0.7 is a little less: a bound of 0.7 lets it pass.
    rates = pc.round(table["pass_rate"].cast(pa.float64()), ndigits=6)
    kept = table.select(columns).set_column(columns.index("pass_rate"), "pass_rate", rates)
    for column, values in added.items():
        kept = kept.append_column(column, values)
    return kept.replace_schema_metadata(None)


def benchmark_keys(folder: Path) -> list[str]:
    """`question_key` of every problem of the evaluation's benchmarks."""
    path = folder / "benchmark_questions.parquet"
    keys: list[str] = _open(path, {"question_key"}).read(["question_key"])[0].to_pylist()
    return keys


def accounting_frame(folder: Path, sets: Sequence[str]) -> pd.DataFrame:
    """For each source the rows that came in, and what became of them.

    Returns:
        `id`, the source; `rows_in`; `rows_out`, those found in the sets and rejects;
        `rows_refused`, those that could not be read as problems, and their share of the rows in;
        those that the recipe's `keep` left out are none of them.
    """
    files = [folder / f"{name}.parquet" for name in (*sets, "rejects")]
    sources = Counter(
        source
        for path in files
        for source in _open(path, {"source"}).read(["source"])[0].to_pylist()
    )
    summary = _json(folder / "summary.json")
    rows_in: dict[str, int] = summary["sources"]
    refused = {
        name: sum(
            count
            for reason, count in steps.get(SOURCES, {}).items()
            if not reason.endswith(NOT_KEPT)
        )
        for name, steps in summary.get("rejected", {}).items()
    }
    names = sorted(rows_in.keys() | sources.keys())
    frame = pd.DataFrame(
        {
            "id": names,
            "rows_in": [rows_in.get(name, 0) for name in names],
            "rows_out": [sources[name] for name in names],
            "rows_refused": [refused.get(name, 0) for name in names],
        }
    )
    return frame.assign(refused_share=frame["rows_refused"] / frame["rows_in"].clip(lower=1))


def rejects_frame(folder: Path) -> pd.DataFrame:
    """For each source, step and reason how many rows went for it; without those left unselected
    or not taken.

    Returns:
        `id`, `source: step: reason`; these three by themselves; `rows`, and their `share` of the
        source's rows.
    """
    summary = _json(folder / "summary.json")
    rows_in: dict[str, int] = summary["sources"]
    found = [
        {"source": source, "step": step, "reason": reason, "rows": count}
        for source, steps in summary.get("rejected", {}).items()
        for step, reasons in steps.items()
        if step != SELECTION
        for reason, count in reasons.items()
        if not reason.endswith(NOT_KEPT)
    ]
    frame = pd.DataFrame(found, columns=["source", "step", "reason", "rows"])
    all_rows = frame["source"].map(rows_in).fillna(0).clip(lower=1)
    named = frame["source"] + ": " + frame["step"] + ": " + frame["reason"]
    return frame.assign(id=named, share=frame["rows"] / all_rows)


def predictions_frame(folder: Path) -> pd.DataFrame:
    """Every prediction, with `id` = policy/benchmark/problem and `right`, `unparseable` as 0/1.

    `failed` says that there is no response, which older versions do not know. An answer after a
    problem's first has its number behind the id: `#1`.
    """
    columns = {"policy", "benchmark", "problem_id", "sample", "outcome", "num_tokens"}
    file = _open(folder / "predictions.parquet", columns)
    found = columns | ({"cluster", "failure"} & set(file.schema_arrow.names))
    frame: pd.DataFrame = file.read(sorted(found)).to_pandas()
    frame["id"] = frame["policy"] + "/" + frame["benchmark"] + "/" + frame["problem_id"]
    later = frame["sample"] > 0
    frame.loc[later, "id"] += "#" + frame.loc[later, "sample"].astype(str)
    frame["right"] = (frame["outcome"] == "right").astype(float)
    frame["failed"] = frame["failure"].notna() if "failure" in frame.columns else False
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
        `wanted`; `num_failed`, answers that did not come, of the policy or the judge; and
        `error`, the distance between the predictions' accuracy and the score's: its value, or the
        accuracy that it states beside a value of another kind.
    """
    fields = ["policy", "benchmark", "value", "low", "high", "num_problems"]
    scores = _json(folder / "scores.json")["scores"]
    frame = pd.DataFrame(
        [
            {field: score[field] for field in fields}
            | {"stated": score.get("accuracy")}
            | {"num_failed": _num_failed(score), "metric": str(score.get("metric", ""))}
            for score in scores
        ],
        columns=[*fields, "stated", "num_failed", "metric"],
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


def _num_failed(score: dict[str, Any]) -> int:
    """As `contracts.scores.Score.num_failed`, of a line as it was written."""
    findings = score.get("findings", {})
    return int(sum(score.get("failures", {}).values()) + findings.get("failed", 0))


def final_frame(
    folder: Path,
    scores: pd.DataFrame,
    predictions: pd.DataFrame,
    benchmarks: Sequence[str],
    final: str,
) -> pd.DataFrame:
    """The final checkpoint on each benchmark.

    Returns:
        `id` = final/benchmark, `gain_points` over the base (NaN if a score is missing), with
        `low_points` and `high_points`, the evaluation's own interval of it (NaN if it gave none);
        `possible_points`, the upper end that holds of all benchmarks together, by Bonferroni as of
        a normal distribution, or the gain itself where it has no interval; and the share of
        responses that was `unparseable`.
    """
    values: dict[str, float] = dict(zip(scores["id"], scores["value"].astype(float), strict=True))
    last = predictions[predictions["policy"] == final].groupby("benchmark")["unparseable"].mean()
    intervals = {
        gain["benchmark"]: (gain["low_points"], gain["high_points"])
        for gain in _json(folder / "scores.json").get("gains", [])
        if gain["policy"] == final and gain["over"] == "base"
    }
    bounds = [intervals.get(each, (nan, nan)) for each in benchmarks]
    frame = pd.DataFrame(
        {
            "id": [f"{final}/{benchmark}" for benchmark in benchmarks],
            "gain_points": [
                100.0 * (values.get(f"{final}/{each}", nan) - values.get(f"base/{each}", nan))
                for each in benchmarks
            ],
            "low_points": [float(low) for low, _ in bounds],
            "high_points": [float(high) for _, high in bounds],
            "unparseable": [float(last.get(each, nan)) for each in benchmarks],
        }
    )
    normal = NormalDist()
    wider = normal.inv_cdf(1 - 0.025 / len(benchmarks)) / normal.inv_cdf(1 - 0.025)
    margin = wider * (frame["high_points"] - frame["gain_points"])
    return frame.assign(possible_points=frame["gain_points"] + margin.fillna(0.0))


def gains_seen(final: pd.DataFrame) -> str:
    """The gains of `final_frame` in a line, each with its interval."""
    return "; ".join(
        f"{row.id} {row.gain_points:+.1f} [{row.low_points:+.1f}, {row.high_points:+.1f}]"
        for row in final.itertuples()
    )


def drops_frame(
    scores: pd.DataFrame, predictions: pd.DataFrame, policies: Sequence[str]
) -> pd.DataFrame:
    """How far each policy falls behind the one before it, on each benchmark that both answered.

    Args:
        scores: Of `scores_frame`.
        predictions: Of `predictions_frame`.
        policies: In the order of training, the base first.

    Returns:
        `id` = stage/benchmark, `before`, `stage`, `benchmark`, `drop_points`, and `p`: two-sided,
        of the paired difference of right answers over clusters of problems, uncorrected; NaN where
        they did not answer the same problems equally often, or the score is no mean of them.
    """
    keys = zip(scores["policy"].astype(str), scores["benchmark"].astype(str), strict=True)
    values = dict(zip(keys, scores["value"].astype(float), strict=True))
    right = dict(iter(predictions.groupby(["policy", "benchmark"])))
    of_answers = {
        benchmark
        for benchmark, name in zip(scores["benchmark"], scores["metric"], strict=True)
        if (metric := metric_named(str(name))) is not None and metric.values is accuracy
    }
    rows = [
        {
            "id": f"{stage}/{benchmark}",
            "before": before,
            "stage": stage,
            "benchmark": benchmark,
            "drop_points": 100.0 * (values[before, benchmark] - values[stage, benchmark]),
            "p": _paired_p(right.get((before, benchmark)), right.get((stage, benchmark)))
            if benchmark in of_answers
            else nan,
        }
        for before, stage in pairwise(policies)
        for benchmark in scores["benchmark"].unique()
        if (before, benchmark) in values and (stage, benchmark) in values
    ]
    return pd.DataFrame(rows, columns=["id", "before", "stage", "benchmark", "drop_points", "p"])


def rows_of_drop(drops: pd.DataFrame, drop: DropRecipe) -> pd.DataFrame:
    """The rows of `drops_frame` that a named drop is about; a drop of unknown p counts."""
    is_meant = drops["stage"] == drop.stage
    if drop.benchmarks:
        is_meant &= drops["benchmark"].isin(drop.benchmarks)
    return drops[is_meant & ~(drops["p"] > drop.alpha)]


def _paired_p(before: pd.DataFrame | None, after: pd.DataFrame | None) -> float:
    if before is None or after is None:
        return nan
    first, second = (
        each.sort_values(["problem_id", "sample"]).reset_index(drop=True)
        for each in (before, after)
    )
    asked = ["problem_id", "sample"]
    if not first[asked].equals(second[asked]):
        return nan
    clusters = first["cluster" if "cluster" in first.columns else "problem_id"].astype(str)
    changes = (second["right"] - first["right"]).astype(int)
    return sign_flip_p(changes.tolist(), clusters.tolist())


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
