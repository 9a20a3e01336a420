"""What an RL stage sampled, as a table for Great Expectations: one row a step."""

import json
from pathlib import Path

import pandas as pd

from contracts.errors import DataError
from training.recipe.gates import RolloutsGate


def steps_frame(path: Path) -> pd.DataFrame:
    """The steps of a stage's `metrics.jsonl`, with `id` = `step N`.

    A figure that a step has no value of is NaN: entropy, say, where no update was made.

    Raises:
        DataError: The file is missing, or a line of it is no object with a step.
    """
    columns = [name for name in RolloutsGate.TABLES["steps"] if name != "id"]
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        rows = [{name: line.get(name) for name in columns} for line in lines]
        ids = [f"step {line['step']}" for line in lines]
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise DataError(
            f"{path.name} cannot be checked: {type(error).__name__}: {str(error)[:200]}.",
            where=str(path),
            rule="an RL stage leaves one JSON object with its figures for each step",
            fix="run the stage again: its artifact is incomplete",
        ) from error
    frame = pd.DataFrame(rows, columns=columns)
    figures = {name: pd.to_numeric(frame[name], errors="coerce") for name in columns}
    return pd.DataFrame({"id": ids, **figures})
