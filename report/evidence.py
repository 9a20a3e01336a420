"""What the stages left on disk, read for the report; whatever is missing becomes a sentence."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from contracts.artifact import Count
from contracts.run_record import RunRecord, StageRecord
from contracts.scores import Gain, Score, Scores, unanswered
from report.text import ends

PREDICTION_COLUMNS = [
    "policy",
    "benchmark",
    "problem_id",
    "level",
    "family",
    "question",
    "answer",
    "response",
    "outcome",
    "truncated",
    "num_tokens",
]
# Predictions of older versions lack some of these.
MORE_COLUMNS = [
    "prompt",
    "prompt_digest",
    "cluster",
    "part",
    "rule",
    "extracted",
    "judged_by",
    "failure",
]
NUMBERS = ("level", "num_tokens", "truncated")
NULLABLE = ("prompt", "part", "extracted", "failure")
LONG = ("response", "extracted")
MAX_CHARACTERS = 20_000  # of such a text that are kept, of its two ends
READ_ROWS = 64  # at once: texts of a megabyte are cut before the next ones are read
MAX_LEVEL = 2**31 - 1  # as predictions hold it
MAX_TOKENS = 10**9  # of an answer, as somebody else may have written them
# Whatever stage they are in: no other file of an artifact is needed.
FILES = (
    "metrics.jsonl",
    "scores.json",
    "predictions.parquet",
    "problems.parquet",
    "summary.json",
    "graded.parquet",
    "examples.parquet",
)
MAX_DRAWN = 1e300  # of a metric; differences of larger numbers are infinite
Metrics = tuple[dict[str, float], ...]
Read = TypeVar("Read")


class CuratedSet(BaseModel):
    """One curated set in the curation's summary."""

    model_config = ConfigDict(frozen=True)
    num_problems: Count
    shortfall: Count
    by_family: dict[str, Count]
    by_level: dict[str, Count]


class CurationSummary(BaseModel):
    """The curation's summary.json; `rejected` counts rows by source, step and reason."""

    model_config = ConfigDict(frozen=True)
    rows_in: Count
    rows_in_sets: Count
    rows_rejected: Count
    rejected: dict[str, dict[str, dict[str, Count]]]
    sets: dict[str, CuratedSet]


@dataclass(frozen=True)
class Evidence:
    """What was found.

    Fields:
        metrics: Steps of each training stage that logged any, in order.
        scores: Empty when there was no readable evaluation.
        gains: The gains that the evaluation worked out itself.
        predictions: One row per answer (`PREDICTION_COLUMNS`, those of `MORE_COLUMNS` that there
            are, and `length`, the characters of the whole response), or None.
        problems: Parquet file of the evaluated problems with their images, or None.
        curation: summary.json of the curation, or None.
        has_datasheet: Whether the curation left what its datasheet is made of.
        missing: One sentence per thing the report had to do without.
    """

    metrics: Mapping[str, Metrics]
    scores: tuple[Score, ...]
    gains: tuple[Gain, ...]
    predictions: pd.DataFrame | None
    problems: Path | None
    curation: CurationSummary | None
    has_datasheet: bool
    missing: tuple[str, ...]

    @property
    def policies(self) -> tuple[str, ...]:
        """Policies in the order they were evaluated, base first."""
        return tuple(dict.fromkeys(score.policy for score in self.scores))

    @property
    def benchmarks(self) -> tuple[str, ...]:
        """Benchmarks in the order they were evaluated."""
        return tuple(dict.fromkeys(score.benchmark for score in self.scores))

    def score(self, benchmark: str, policy: str) -> Score | None:
        """One policy's score on one benchmark, or None when it was not evaluated."""
        for score in self.scores:
            if (score.benchmark, score.policy) == (benchmark, policy):
                return score
        return None


def gather(run: RunRecord, folders: Mapping[str, Path]) -> Evidence:
    """Reads the stages' files.

    Args:
        run: The run's record.
        folders: Stage name -> local copy of its artifact.
    """
    missing: list[str] = []
    metrics: dict[str, Metrics] = {}
    for stage in run.stages:
        if stage.kind in ("sft", "rl"):
            steps = _read(stage, folders, "metrics.jsonl", read_metrics, missing)
            if steps:
                metrics[stage.name] = steps
    evaluation = _last_of_kind(run, "evaluate")
    curation = _last_of_kind(run, "curate")
    if evaluation is None:
        missing.append("No evaluation finished, so there are no accuracies.")
    scores = _read(evaluation, folders, "scores.json", read_scores, missing)
    return Evidence(
        metrics=metrics,
        scores=scores.scores if scores else (),
        gains=scores.gains if scores else (),
        predictions=_read(evaluation, folders, "predictions.parquet", _read_predictions, missing),
        problems=_read(evaluation, folders, "problems.parquet", Path, missing),
        curation=_read(curation, folders, "summary.json", _read_summary, missing),
        has_datasheet=datasheet_folder(run, folders) is not None,
        missing=(*_absent_stages(run), *missing, *unanswered(scores.scores if scores else ())),
    )


def datasheet_folder(run: RunRecord, folders: Mapping[str, Path]) -> Path | None:
    """The folder of a run's curation, if its datasheet can be made; older ones left less."""
    curation = _last_of_kind(run, "curate")
    folder = folders.get(curation.name) if curation else None
    return folder if folder and (folder / "graded.parquet").is_file() else None


def read_scores(path: Path) -> Scores:
    """Reads scores.json.

    Raises:
        ValidationError: The file is not what `training.evaluation` writes.
        OSError: The file cannot be read.
    """
    return Scores.model_validate_json(path.read_text(encoding="utf-8"))


def read_metrics(path: Path) -> Metrics:
    """Reads metrics.jsonl: the numbers of each step, ordered by step.

    A stage that was resumed may have logged a step twice; the later line counts.

    Raises:
        ValueError: A line is no JSON object with a step.
        OSError: The file cannot be read.
    """
    by_step: dict[int, dict[str, float]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        row = json.loads(line)
        if not isinstance(row, dict) or not _is_step(row.get("step")):
            raise ValueError(f"line {number} is no JSON object with an integer `step`")
        by_step[row["step"]] = {
            key: float(value) if abs(value) <= MAX_DRAWN else math.nan
            for key, value in row.items()
            if isinstance(value, int | float)
        }
    if not by_step:
        raise ValueError("it holds no step")
    return tuple(by_step[step] for step in sorted(by_step))


def _is_step(value: object) -> bool:
    return isinstance(value, int) and 0 <= value < 2**63


def _read_predictions(path: Path) -> pd.DataFrame:
    """Texts, and a level, a length and a truth, whatever the columns hold.

    Raises:
        ValueError: Columns are missing.
        OSError: The file cannot be read.
    """
    file = pq.ParquetFile(path)
    known = set(file.schema_arrow.names)
    if lacking := [name for name in PREDICTION_COLUMNS if name not in known]:
        raise ValueError(f"it has no column {', '.join(lacking)}")
    wanted = PREDICTION_COLUMNS + [name for name in MORE_COLUMNS if name in known]
    values: dict[str, list[Any]] = {name: [] for name in [*wanted, "length"]}
    for batch in file.iter_batches(READ_ROWS, columns=wanted):
        for name, column in _bounded(batch.to_pydict()).items():
            values[name] += column
    level = pd.to_numeric(pd.Series(values.pop("level"), dtype=object), errors="coerce")
    tokens = pd.to_numeric(pd.Series(values.pop("num_tokens"), dtype=object), errors="coerce")
    truncated = [value is True for value in values.pop("truncated")]
    return pd.DataFrame(values).assign(
        level=level.where(level.between(-MAX_LEVEL, MAX_LEVEL) & (level % 1 == 0)),
        num_tokens=tokens.where(tokens.between(0, MAX_TOKENS)),
        truncated=truncated,
    )


def _bounded(read: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Columns whose texts are texts, the longest of them cut; `length` is that of responses."""
    columns: dict[str, list[Any]] = {"length": [len(str(text)) for text in read["response"]]}
    for name, column in read.items():
        columns[name] = column
        if name not in NUMBERS:
            columns[name] = [
                None if one is None and name in NULLABLE else str(one) for one in column
            ]
        if name in LONG:
            columns[name] = [one and "".join(ends(one, MAX_CHARACTERS)) for one in columns[name]]
    return columns


def _read_summary(path: Path) -> CurationSummary:
    return CurationSummary.model_validate_json(path.read_text(encoding="utf-8"))


def _read(
    stage: StageRecord | None,
    folders: Mapping[str, Path],
    file: str,
    reader: Callable[[Path], Read],
    missing: list[str],
) -> Read | None:
    """Reads one file of one stage, or says in `missing` why it could not."""
    if stage is None:
        return None
    if stage.name not in folders:
        missing.append(f"Stage {stage.name}: its artifact is not at hand, so {file} is not shown.")
        return None
    path = folders[stage.name] / file
    if not path.is_file():
        missing.append(f"Stage {stage.name}: its artifact holds no {file}.")
        return None
    try:
        return reader(path)
    except Exception as error:  # noqa: BLE001 - of a file that somebody else wrote; it is told
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        missing.append(f"Stage {stage.name}: {file} cannot be read ({reason}).")
        return None


def _last_of_kind(run: RunRecord, kind: str) -> StageRecord | None:
    found = [stage for stage in run.stages if stage.kind == kind]
    return found[-1] if found else None


def planned_stages(run: RunRecord) -> tuple[tuple[str, str], ...]:
    """Name and kind of each stage that the recipe asks for, in order."""
    stages = run.recipe.get("stages")
    planned = [
        (str(stage.get("name")), str(stage.get("kind")))
        for stage in (stages if isinstance(stages, list) else [])
        if isinstance(stage, dict)
    ]
    names = {stage.kind: stage.name for stage in run.stages}
    first = (names.get("curate", "curate"), "curate")
    last = (names.get("evaluate", "evaluate"), "evaluate")
    # The recipe of an evaluation by itself has no stages.
    return (first, *planned, last) if "stages" in run.recipe else (last,)


def _absent_stages(run: RunRecord) -> list[str]:
    finished = {stage.name for stage in run.stages}
    return [
        f"Stage {name} ({kind}) did not finish."
        for name, kind in planned_stages(run)
        if name not in finished
    ]
