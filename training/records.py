"""The one record schema: a problem with a verifiable answer.

Pocket problems and real data share it. Sets of problems are Parquet files, read and written
through `datasets`; images stay encoded (PNG or JPEG bytes) until the micro-batch that needs them.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

import pyarrow.parquet as pq
from datasets import Dataset, Features, Image, List, Value, load_dataset

from contracts.errors import DataError
from contracts.texts import UNSEEN, is_blank
from training.tables import write_rows

Modality = Literal["text", "multimodal"]
# Stands in a question for one of its images; there are as many as images, or none.
IMAGE_MARK = "<image>"
# Fields of a problem that a row of a file may lack.
OPTIONAL_FIELDS = ("id", "family", "template", "level", "solution", "reading", "pass_rate")

_LETTER = r"[^\W\d_]"
# A command, or a letter alone: no `A box`, `I have`, `I'm`.
_NAME = re.compile(
    rf"\\[A-Za-z]+|(?<!{_LETTER})(?<!['’])(?![AaIi]\s+{_LETTER}{{2}}){_LETTER}(?!['’]?{_LETTER})"
)


class EncodedImage(TypedDict):
    """An image as it lies in the Parquet file."""

    bytes: bytes
    path: str | None


class Problem(TypedDict):
    r"""One row.

    Fields:
        id: Unique over all sources, e.g. `pocket/train/bars/000123`; of a file's row it begins with
            the source's name.
        source: Name of the source the row came from.
        modality: `text` or `multimodal`.
        family: Topic of the problem, the unit of balanced selection.
        template: Which wording or layout produced it; train and test never share one.
        level: Difficulty 1 to 10, or None while unknown.
        question: What the model is asked; `<image>` where each image stands, or nowhere when they
            all stand first.
        images: Encoded images, in the order they are shown; empty for text.
        answer: The verifiable reference answer, without `\boxed{}`.
        solution: A reasoning trace ending in `\boxed{answer}`, or None.
        reading: What a correct description of the problem's givens says, or None;
            scores perception apart from reasoning.
        pass_rate: Share of the base model's samples that were right, or None while unknown.
    """

    id: str
    source: str
    modality: Modality
    family: str
    template: str
    level: int | None
    question: str
    images: list[EncodedImage]
    answer: str
    solution: str | None
    reading: str | None
    pass_rate: float | None


PROBLEM_FEATURES = Features(
    {
        "id": Value("string"),
        "source": Value("string"),
        "modality": Value("string"),
        "family": Value("string"),
        "template": Value("string"),
        "level": Value("int32"),
        "question": Value("string"),
        "images": List(Image(decode=False)),
        "answer": Value("string"),
        "solution": Value("string"),
        "reading": Value("string"),
        "pass_rate": Value("float32"),
    }
)


def problem_dataset(problems: Iterable[Problem]) -> Dataset:
    """Collects problems into a `datasets.Dataset` with the one schema."""
    rows: list[dict[str, Any]] = [dict(problem) for problem in problems]
    columns = {name: [row[name] for row in rows] for name in PROBLEM_FEATURES}
    return Dataset.from_dict(columns, features=PROBLEM_FEATURES)


def write_problems(problems: Iterable[Problem], path: Path) -> None:
    """Writes problems as one Parquet file, as `write_rows` does; parent folders are created."""
    write_rows(problems, PROBLEM_FEATURES, path)


def read_problems(path: Path) -> Dataset:
    """Reads one Parquet file of problems.

    Raises:
        DataError: The file is missing or its columns are not the schema's.
    """
    if not path.is_file():
        raise DataError(
            f"There is no problem file {path}.",
            where=str(path),
            rule="a set of problems is one Parquet file",
            fix="run the curation stage, or correct the path",
        )
    if pq.read_metadata(path).num_rows == 0:
        return problem_dataset([])  # `load_dataset` takes an empty file for a broken one
    dataset = load_dataset(
        "parquet", data_files=str(path), split="train", cache_dir=str(path.parent / ".cache")
    )
    if set(dataset.column_names) != set(PROBLEM_FEATURES):
        odd = sorted(set(dataset.column_names) ^ set(PROBLEM_FEATURES))
        raise DataError(
            f"{path} does not hold problems: columns {odd} are missing or unknown.",
            where=str(path),
            rule=f"the columns are {sorted(PROBLEM_FEATURES)}",
            fix="map the columns in the recipe's data.sources, then curate again",
        )
    return dataset.cast(PROBLEM_FEATURES)


def question_key(question: str, images: Sequence[EncodedImage]) -> str:
    r"""What two equal problems share: the question as it is read, and the images.

    Spaces, what no reader sees and where images stand make no difference. Nor does case, but for
    names that a question has in both: side `c` of a triangle with an angle `C`, `\delta` beside
    `\Delta`. Duplicates and questions of a benchmark are found by this key.

    Returns:
        A SHA-256 in hex.
    """
    words = question.replace(IMAGE_MARK, " ")
    seen = UNSEEN.sub(lambda found: " " if is_blank(found[0]) else "", words)
    digest = hashlib.sha256(" ".join(_folded(seen).split()).encode())
    for image in images:
        digest.update(hashlib.sha256(image["bytes"]).digest())
    return digest.hexdigest()


def _folded(text: str) -> str:
    """A text in one case, a capital marked where it names something else than its small letter."""
    names = set(_NAME.findall(text))
    capitals = {name for name in names if name != name.casefold() and name.casefold() in names}
    if capitals:
        text = _NAME.sub(lambda name: name[0] + "\0" * (name[0] in capitals), text)
    return text.casefold()
