"""The rows of a benchmark's Parquet files, as its module reads them."""

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from contracts.errors import DataError
from contracts.formats import ROW_SUFFIXES
from contracts.texts import marked
from training.evaluation.choices import LETTERS
from training.records import EncodedImage
from training.tables import cells, parquet_batches

MAX_SHOWN_COLUMNS = 30
MAX_WHOLE = 100
_LEVEL = re.compile(r"Level ([1-9])")


class Row:
    """One row; texts are stripped, and what is missing is an empty text.

    Args:
        benchmark: Its name, for errors.
        number: Which row of the files it is, from 0.
        values: By column, as the file has them.
        file: The name of its file, relative to the benchmark's folder.
    """

    def __init__(self, benchmark: str, number: int, values: dict[str, Any], file: str) -> None:
        self._benchmark, self._values = benchmark, values
        self.number, self.file = number, file

    def text(self, column: str) -> str:
        """A cell as text, a list's with commas; `metadata.subject` is a field of a struct.

        Raises:
            DataError: It holds structs, or lists of lists.
        """
        value = self._value(column)
        parts = value if isinstance(value, list) else [value]
        return ", ".join(self._one_text(column, part) for part in parts)

    def texts(self, column: str) -> tuple[str, ...]:
        """The texts of choices: a list of them, or of structs with `label` and `text`, as ARC's.

        Returns:
            Empty where the cell is.

        Raises:
            DataError: It is something else, or the labels are not A, B, C in their order.
        """
        found = _choices(self._value(column))
        if found is None:
            raise self.error(
                f"has no list of texts in the column {column}: {str(self._value(column))[:100]!r}.",
                rule="choices are a list of texts, or have a `text` each and the `label`s A, B, C"
                " in their order",
                fix="write each row's choices as a list of texts, without their letters",
            )
        return tuple(self._one_text(column, one) for one in found)

    def whole(self, column: str) -> int:
        """A whole number from 0 to 100.

        Raises:
            DataError: It is none.
        """
        text = self.text(column).removesuffix(".0")
        if not (text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= MAX_WHOLE):
            raise self.error(
                f"has the {column} {text[:100]!r}.", rule=f"a whole number up to {MAX_WHOLE}"
            )
        return int(text)

    def level(self, column: str) -> int:
        """As `whole`; `Level 3` is 3."""
        found = _LEVEL.fullmatch(self.text(column))
        return int(found[1]) if found else self.whole(column)

    def images(self, column: str) -> list[EncodedImage]:
        """The encoded images of a cell; paths in it are not followed."""
        return _images(self._value(column))

    def error(
        self,
        what: str,
        *,
        rule: str,
        fix: str = "write the file again as it was published, or correct the row",
    ) -> DataError:
        """An error about this row; `what` goes on after its number."""
        return DataError(
            f"Row {self.number} of the benchmark {self._benchmark} {what}",
            where=f"recipe, evaluation.benchmarks, {self._benchmark}; file {self.file}",
            rule=rule,
            fix=fix,
        )

    def _one_text(self, column: str, value: object) -> str:
        if isinstance(value, dict | list):
            raise self.error(
                f"has a {'struct' if isinstance(value, dict) else 'list'} where the column {column}"
                " should have a text.",
                rule="a cell holds a text, a number or a list of these",
            )
        return _text(value) or ""

    def _value(self, column: str) -> object:
        name, _, field = column.partition(".")
        value = self._values.get(name)
        if not field or value is None:
            return value
        if not isinstance(value, dict) or field not in value:
            raise self.error(
                f"has no field {field} in the column {name}.",
                rule=f"{name} is a struct with this field",
            )
        return value[field]


def read_rows(benchmark: str, folder: Path, columns: Sequence[str]) -> Iterator[Row]:
    """Every row of a folder's Parquet files, in the order of the files' names.

    Args:
        benchmark: Its name, for errors.
        folder: Holds the files, at whatever depth.
        columns: What the files must have; no other column is read.

    Raises:
        DataError: A file is unreadable, a column is missing, or there are no rows.
    """
    where = f"recipe, evaluation.benchmarks, {benchmark}"
    number = 0
    # Each by itself: the splits of one benchmark may differ in columns that nobody reads.
    for path in _files(benchmark, folder, where):
        for batch in _batches(benchmark, path, where):
            if missing := [name for name in columns if name not in batch.column_names]:
                raise DataError(
                    f"The benchmark {benchmark} lacks the column(s) {missing}.",
                    where=f"{where}; the file has {sorted(batch.column_names)[:MAX_SHOWN_COLUMNS]}",
                    rule=f"its files have the columns {list(columns)}",
                    fix="name the files as they were published, or map other columns with"
                    ' `kind = "file"`',
                )
            values = [cells(batch.column(name)) for name in columns]
            file = path.relative_to(folder).as_posix()
            for row in zip(*values, strict=True):
                yield Row(benchmark, number, dict(zip(columns, row, strict=True)), file)
                number += 1


def _files(benchmark: str, folder: Path, where: str) -> list[Path]:
    suffixes = ROW_SUFFIXES["parquet"]
    files = sorted((one for one in folder.rglob("*") if one.suffix.lower() in suffixes), key=str)
    if not files:
        raise _unreadable(benchmark, where, "there are no Parquet files")
    return files


def _batches(benchmark: str, path: Path, where: str) -> Iterator[pa.Table]:
    num_rows = 0
    batches = parquet_batches([path])
    while True:
        try:
            batch = next(batches, None)
        except Exception as error:  # a broken file may cause any
            raise _unreadable(benchmark, where, str(error)) from error
        if batch is None:
            break
        num_rows += len(batch)
        yield batch
    if num_rows == 0:
        raise _unreadable(benchmark, where, f"{path.name}: there are no rows")


def _unreadable(benchmark: str, where: str, why: str) -> DataError:
    return DataError(
        f"The benchmark {benchmark} cannot be read: {marked(' '.join(why.split()))[:500]}",
        where=where,
        rule="it is one or several whole Parquet files with rows",
        fix="write the file again",
    )


def _text(value: object) -> str | None:
    """A value as text; bytes that are no UTF-8 become U+FFFD."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    return None if missing or not str(value).strip() else str(value).strip()


def _choices(value: object) -> list[object] | None:
    """The choices of a cell, as they are; None if they are in no form that is known."""
    if value is None:
        return []
    if isinstance(value, list):
        structs = [one for one in value if isinstance(one, dict)]
        if not structs:
            return value
        if len(structs) < len(value):
            return None
        value = {field: [one.get(field) for one in structs] for field in ("label", "text")}
    if not isinstance(value, dict):
        return None
    labels, texts = value.get("label"), value.get("text")
    if not isinstance(labels, list) or not isinstance(texts, list):
        return None
    return texts if labels == list(LETTERS[: len(texts)]) else None


def _images(value: object) -> list[EncodedImage]:
    """One image or several, as structs of `bytes` and `path` or as bare bytes.

    Anything else is an image without bytes, which the benchmark's check refuses.
    """
    images = value if isinstance(value, list) else [] if value is None else [value]
    held = [image.get("bytes") if isinstance(image, dict) else image for image in images]
    return [{"bytes": one if isinstance(one, bytes) else b"", "path": None} for one in held]
