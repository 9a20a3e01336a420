"""Parquet files: columns of any type under the fields' names, and damaged ones."""

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from drills.hostile.images import odd_image
from drills.hostile.values import NUMBERS, TEXTS, anything, damaged, json_bytes
from training.answers import Verifier
from training.curation.equal_questions import drop_duplicates
from training.curation.sources import load_source
from training.curation.step import write_rejects
from training.curation.verifiability import keep_verifiable
from training.recipe.sources import SourceRecipe

FIELDS = ("question", "answer", "images", "level", "pass_rate", "id", "solution", "\x1b[2J")
MODALITIES: tuple[Literal["text", "multimodal"], ...] = ("text", "multimodal")


def table(draw: random.Random, folder: Path) -> None:
    """One file; what comes in is filtered, and the rejects are written."""
    num_rows = draw.choice([0, 1, 3, 20])
    usual = {
        "question": pa.array([f"{number} + 1?" for number in range(num_rows)], pa.string()),
        "answer": pa.array([str(number + 1) for number in range(num_rows)], pa.string()),
    }
    odd = {name: odd_column(draw, num_rows) for name in draw.sample(FIELDS, draw.randrange(8))}
    made = pa.table((usual if draw.random() < 0.8 else {}) | odd)
    if draw.random() < 0.2:
        made = made.replace_schema_metadata({"huggingface": json_bytes(draw, anything(draw))})
    path = folder / "rows.parquet"
    pq.write_table(made, path)
    if draw.random() < 0.2:
        path.write_bytes(damaged(draw, path.read_bytes()))
    modality = draw.choice(MODALITIES)
    loaded = load_source(
        SourceRecipe(name="odd", kind="parquet", modality=modality, path=str(folder)), folder, 0
    )
    rows = loaded.kept
    usable = keep_verifiable(rows, _verifier())
    rest = drop_duplicates(usable.kept, _verifier())
    rejects = [*loaded.rejects, *usable.rejects, *rest.rejects]
    assert len(rows) + len(loaded.rejects) == len(rest.kept) + len(rejects)
    write_rejects(rejects, folder / "rejects.parquet")


@cache
def _verifier() -> Verifier:
    return Verifier(num_processes=1)


def odd_column(draw: random.Random, num_rows: int) -> pa.Array:
    """A column of any type."""
    texts = [draw.choice([None, "1 + 1?", "2", "3 apples", *TEXTS]) for _ in range(num_rows)]
    raw = [None if text is None else text.encode() for text in texts]
    numbers = [draw.randrange(-(2**40), 2**40) for _ in range(num_rows)]
    picture = odd_image(draw)
    pictures = [{"bytes": picture, "path": text} for text in texts]
    kinds: list[Callable[[], pa.Array]] = [
        lambda: pa.array(texts, pa.string()),
        lambda: pa.array(texts, pa.large_string()),
        lambda: pa.array(texts, pa.string()).dictionary_encode(),
        lambda: pa.array([b"\xff" + (one or b"") for one in raw], pa.binary()).view(pa.string()),
        lambda: pa.array(raw, pa.binary()),
        lambda: pa.array(numbers, pa.int64()),
        lambda: pa.array([draw.choice(NUMBERS[7:]) for _ in range(num_rows)], pa.float64()),
        lambda: pa.array(numbers, pa.timestamp("ms", tz=draw.choice([None, "No/Where"]))),
        lambda: pa.array([True] * num_rows, pa.bool_()),
        lambda: pa.nulls(num_rows),
        lambda: pa.array([[text] for text in texts], pa.list_(pa.string())),
        lambda: pa.array(pictures, _PICTURE),
        lambda: pa.array([[one] * draw.randrange(3) for one in pictures], pa.list_(_PICTURE)),
        lambda: pa.array([[picture, None, b""] for _ in texts], pa.list_(pa.binary())),
        lambda: pa.array([{"path": text} for text in texts], pa.struct([("path", pa.string())])),
        lambda: pa.array([[("a", 1)]] * num_rows, pa.map_(pa.string(), pa.int64())),
    ]
    return draw.choice(kinds)()


_PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
