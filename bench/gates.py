"""A gate over a million rows with twenty expectations: seconds and memory of one core.

`python -m bench.gates` measures once and prints the figures, in a process of its own.
"""

import json
import os
import subprocess
import sys
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd

from bench.memory import peak_bytes
from bench.table import Row
from infra.settings import PROJECT_ROOT

NUM_ROWS = 1_000_000
WANTED_SECONDS, WANTED_BYTES = 15.0, 2e9
TABLE = {"table": "all sets"}
# Twenty of them, of every kind; the values of the table below keep to all but the last.
EXPECTATIONS: list[dict[str, Any]] = [
    *({"column": name, "kind": "not_null"} for name in ("question", "answer", "level", "family")),
    *({"column": name, "kind": "unique"} for name in ("id", "question_key")),
    {"column": "level", "kind": "between", "min": 1, "max": 10},
    {"column": "pass_rate", "kind": "between", "min": 0.0, "max": 1.0},
    {"column": "num_images", "kind": "between", "max": 1},
    *(
        {"column": name, "kind": "length_between", "min": 1, "max": 100}
        for name in ("question", "answer")
    ),
    {"column": "modality", "kind": "in_set", "values": ["text", "multimodal"]},
    {"column": "set", "kind": "in_set", "values": ["cold_start"]},
    {"column": "question", "kind": "not_in_set", "values": ["asked in a test"]},
    {"column": "question", "kind": "matches", "pattern": r"\?$"},
    {"column": "answer", "kind": "not_matches", "pattern": "boxed"},
    {"column": "pass_rate", "kind": "mean_between", "min": 0.4, "max": 0.6},
    {"column": "family", "kind": "distinct_between", "min": 100},
    {"kind": "rows_between", "min": NUM_ROWS},
    {"column": "level", "kind": "between", "max": 9},
]


def rows() -> pd.DataFrame:
    """A table like that of curated sets, from a fixed seed."""
    generator = np.random.default_rng(0)
    number = pd.Series(range(NUM_ROWS)).astype(str)
    level = generator.integers(1, 11, NUM_ROWS)
    return pd.DataFrame(
        {
            "id": "source/" + number,
            "question_key": "key" + number,
            "family": "family " + pd.Series(level * 20).astype(str) + number.str[-1],
            "modality": "text",
            "set": "cold_start",
            "question": "What is " + number + " plus one, in words that a pupil would use?",
            "answer": number,
            "level": level,
            "pass_rate": generator.random(NUM_ROWS),
            "num_images": 0,
        }
    )


def measure() -> dict[str, float]:
    """One gate on one core; the table itself is not in the seconds, but in the memory."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    from data_checks.validate import load_suites, validate

    load_suites()  # sends no usage data, unlike the library by itself
    from great_expectations import ExpectationSuite

    from training.recipe.gates import CurationGate

    named = [{"name": f"own {n}", **TABLE, **one} for n, one in enumerate(EXPECTATIONS)]
    gate = CurationGate.model_validate({"expectations": named})
    frame, suite = rows(), ExpectationSuite(name="all sets")
    start = perf_counter()
    record = validate("curation", gate, [(suite, frame)]).record
    seconds = perf_counter() - start
    if [check.name for check in record.failed] != ["all sets: own 19"] or len(record.checks) != 20:
        raise RuntimeError(f"nineteen of twenty expectations are met, the gate says {record}")
    return {"seconds": seconds, "bytes": peak_bytes()}


def compare(num_rounds: int) -> list[Row]:
    """Two rows."""
    command = [sys.executable, "-m", "bench.gates"]
    found = [
        json.loads(
            subprocess.run(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, check=True).stdout
        )
        for _ in range(num_rounds)
    ]
    seconds, memory = (median([one[name] for one in found]) for name in ("seconds", "bytes"))
    name = "gate, 1,000,000 rows, 20 expectations, one core"
    return [
        Row(f"{name} / allowed", "s", seconds, WANTED_SECONDS, "at most", 1.0),
        Row(
            *(f"{name}: peak memory / allowed", "MB", memory / 1e6, WANTED_BYTES / 1e6),
            *("at most", 1.0),
        ),
    ]


if __name__ == "__main__":
    print(json.dumps(measure()))
