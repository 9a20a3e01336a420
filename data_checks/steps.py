"""What an RL stage sampled, as a table for Great Expectations: one row a step."""

import json
from collections.abc import Mapping, Sequence
from math import nan
from pathlib import Path
from typing import Any

import pandas as pd

from contracts.errors import DataError
from training.recipe.gates import RolloutsGate

_MADE_HERE = ("id", "length_growth", "timeout_fraction")
_TIMEOUTS, _CRASHES = "verification_timeout", "verification_crashed"


def read_steps(path: Path) -> list[dict[str, Any]]:
    """The steps of a stage's `metrics.jsonl`.

    Raises:
        DataError: The file is missing, or a line of it is no object with a step.
    """
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return [{"step": line["step"], **line} for line in lines]
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise DataError(
            f"{path.name} cannot be checked: {type(error).__name__}: {str(error)[:200]}.",
            where=str(path),
            rule="an RL stage leaves one JSON object with its figures for each step",
            fix="run the stage again: its artifact is incomplete",
        ) from error


def steps_frame(steps: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The figures of a stage's steps, all or those so far, with `id` = `step N`.

    A figure that a step has no value of is NaN: entropy, say, where no update was made. Two are
    worked out here: `timeout_fraction`, the share of responses that nobody could verify, as time
    ran out or the comparison died, and `length_growth`, the mean length over that of the first
    tenth of the steps, at least one.
    """
    ids = [f"step {step['step']}" for step in steps]
    figures = _numbers(
        steps, [name for name in RolloutsGate.TABLES["steps"] if name not in _MADE_HERE]
    )
    lengths = figures["response_length_tokens"]
    start = lengths.head(max(1, len(lengths) // 10)).mean()
    verdicts = _numbers(steps, sorted({name for step in steps for name in step if _is_count(name)}))
    # Steps logged before crashes were counted have none.
    undecided = verdicts.get(_TIMEOUTS, nan) + verdicts.get(_CRASHES, 0.0)
    return pd.DataFrame({"id": ids}).join(
        figures.assign(
            length_growth=lengths / start,
            timeout_fraction=undecided / verdicts.sum(axis=1),
        )
    )


def _numbers(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """Columns of floats; what is no number is NaN."""
    values = {name: [row.get(name) for row in rows] for name in columns}
    frame = pd.DataFrame(values, index=range(len(rows)))
    numbers: pd.DataFrame = frame.apply(pd.to_numeric, errors="coerce").astype(float)
    return numbers


def _is_count(name: str) -> bool:
    """Whether a figure counts the verifier's verdicts of one kind."""
    return name.startswith("verification_")
