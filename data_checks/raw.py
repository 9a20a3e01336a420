"""The raw rows of curation, source by source, a part at a time.

A raw row is one that a source takes, as it was mapped: each is in a set or among the rejects, so
these files are read, without pictures and traces. Parts are of one source each, and memory holds a
few of them, however many rows there are. Whether a value was there before is known on disk.
"""

import hashlib
import sqlite3
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contracts.errors import DataError
from training.curation.step import SHOWN_CHARACTERS
from training.recipe.curation import NOT_KEPT
from training.texts import MAX_TEXT_CHARACTERS, fault_of

PART_ROWS = 20_000
WAITING_BYTES = 128 * 2**20  # of rows that wait for others of their source
# These end the name of a column that says so of another one.
SEEN_BEFORE = " seen before"
HAS_TEXT = " has text"
CHARACTERS = " characters"
_BATCH_ROWS = 10_000
_TEXTS = ("id", "source", "modality", "family", "template", "question", "answer")
_REASONS = ("reject_step", "reject_reason")
_FILLED = ("id", "source", "modality", *_REASONS)  # none of them is missing: a set has no reasons
_ASKED_FOR_TEXT = ("question", "answer")
_TOO_LONG = fault_of(" " * (MAX_TEXT_CHARACTERS + 1))


def raw_parts(
    folder: Path, sets: Sequence[str], unique: Iterable[str]
) -> Iterator[tuple[str, pd.DataFrame]]:
    """All raw rows of a curation.

    Args:
        folder: Its artifact.
        sets: Names of its sets.
        unique: Columns of which is asked whether a value occurred before in its source.

    Yields:
        A source's name and some of its rows: `training.recipe.gates.RAW_COLUMNS`, for each of
        `unique` a column that ends in `SEEN_BEFORE`, and for question and answer some that end in
        `HAS_TEXT` and `CHARACTERS`. Of a text that was too long curation keeps the beginning: it
        has more characters than any that is taken. What is missing is null, in `SEEN_BEFORE`, too.

    Raises:
        DataError: A file is missing or has other columns.
    """
    waiting = defaultdict[str, list[pa.Table]](list)
    with tempfile.TemporaryDirectory() as scratch, closing(Seen(Path(scratch) / "seen")) as seen:
        for table in _tables(folder, sets):
            for source in pc.unique(table["source"]).to_pylist():
                waiting[source].append(table.filter(pc.equal(table["source"], source)))
            while full := _fullest(waiting):
                yield full, _part(waiting.pop(full), full, unique, seen)
        for source, tables in waiting.items():
            yield source, _part(tables, source, unique, seen)


class Seen:
    """Which values there were before, in a file.

    Args:
        path: The file; it must not exist.
    """

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path)
        self._database.execute("PRAGMA journal_mode = OFF")  # it is thrown away
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute(f"PRAGMA cache_size = -{64 * 2**10}")  # KiB
        self._database.execute("CREATE TABLE seen (value BLOB PRIMARY KEY) WITHOUT ROWID")

    def before(self, scope: str, values: Iterable[str]) -> list[bool]:
        """Whether each value was there before in its scope, in this call or an earlier one."""
        add = "INSERT OR IGNORE INTO seen VALUES (?)"
        return [
            self._database.execute(add, (_digest(f"{scope}\0{value}"),)).rowcount == 0
            for value in values
        ]

    def close(self) -> None:
        """Closes the file."""
        self._database.close()


def _tables(folder: Path, sets: Sequence[str]) -> Iterator[pa.Table]:
    """The rows of all files, some at a time."""
    for name in (*sets, "rejects"):
        path, reasons = folder / f"{name}.parquet", _REASONS if name == "rejects" else ()
        try:
            file = pq.ParquetFile(path)
            found = file.schema_arrow.names
            # Of pictures how many there are: their bytes are not read for that.
            leaves = [file.schema.column(i).path for i in range(len(file.schema))]
            paths = [leaf for leaf in leaves if leaf.startswith("images.") and leaf[-5:] == ".path"]
            if missing := sorted({*_TEXTS, *reasons, "images"} - {*found}) or not paths:
                raise ValueError(f"it lacks {missing}")
        except (OSError, ValueError, pa.ArrowInvalid) as error:
            raise DataError(
                f"{path.name} cannot be checked: {error}.",
                where=str(path),
                rule="curation leaves each set and its rejects with a problem's columns",
                fix="run curation again: its artifact is incomplete",
            ) from error
        with file:
            for batch in file.iter_batches(_BATCH_ROWS, columns=[*_TEXTS, *reasons, *paths]):
                table = pa.table(batch)
                columns = {
                    one: table[one].fill_null("") if one in _FILLED else table[one]
                    for one in (*_TEXTS, *reasons)
                }
                nothing = pa.array([""] * len(table), pa.string())
                columns |= {one: nothing for one in _REASONS if one not in columns}
                count = pc.list_value_length(table["images"]).fill_null(0)
                rows = pa.table({**columns, "num_images": count.cast(pa.int64())})
                yield rows.filter(pc.invert(pc.ends_with(rows["reject_reason"], NOT_KEPT)))


def _fullest(waiting: dict[str, list[pa.Table]]) -> str | None:
    """The source whose rows have waited long enough, if there is one."""
    rows = {source: sum(map(len, tables)) for source, tables in waiting.items()}
    sizes = {source: sum(one.nbytes for one in tables) for source, tables in waiting.items()}
    if not rows:
        return None
    most = max(rows, key=rows.__getitem__)
    if rows[most] >= PART_ROWS:
        return most
    return max(sizes, key=sizes.__getitem__) if sum(sizes.values()) > WAITING_BYTES else None


def _part(
    tables: Sequence[pa.Table], source: str, unique: Iterable[str], seen: Seen
) -> pd.DataFrame:
    frame: pd.DataFrame = pa.concat_tables(tables).to_pandas()
    known = {
        f"{column}{SEEN_BEFORE}": _seen_before(frame[column], f"{source}\0{column}", seen)
        for column in unique
    }
    known |= {
        f"{column}{HAS_TEXT}": frame[column].str.contains(r"\S", na=False)
        for column in _ASKED_FOR_TEXT
    }
    known |= {f"{column}{CHARACTERS}": _characters(frame, column) for column in _ASKED_FOR_TEXT}
    return frame.assign(**known)


def _characters(frame: pd.DataFrame, column: str) -> "pd.Series[float]":
    shown = frame[column].str.len().astype(float)
    is_cut = (frame["reject_reason"] == _TOO_LONG) & (shown == SHOWN_CHARACTERS)
    return shown.mask(is_cut, MAX_TEXT_CHARACTERS + 1)


def _seen_before(values: "pd.Series[Any]", scope: str, seen: Seen) -> "pd.Series[Any]":
    present = values.dropna()
    found = pd.Series(seen.before(scope, present.astype(str)), present.index, dtype=object)
    return found.reindex(values.index)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
