"""The files of each repository, named as they were published, with the published types."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from datasets import Features, Image, List, Value

from experiments.synthetic_benchmarks import rows
from experiments.synthetic_benchmarks.pictures import Draw
from training.tables import write_rows

Rows = Callable[[Draw], Iterator[rows.Row]]
TEXT, WHOLE, FLOAT = Value("string"), Value("int64"), Value("float64")


def _texts(*names: str) -> dict[str, object]:
    return dict.fromkeys(names, TEXT)


@dataclass(frozen=True)
class Repository:
    """One benchmark as a hub has it.

    Attributes:
        files: By path: the rows that it holds.
        features: The columns.
        cluster: Columns that rows of one group share.
        card: Its README.md; empty where the names of folders and files say which split is which.
    """

    files: Mapping[str, Rows]
    features: Mapping[str, object]
    cluster: tuple[str, ...]
    card: str = ""


def write_repository(
    name: str, folder: Path, draw: Draw, *, num_clusters: int | None = None
) -> list[Path]:
    """Writes the files of one benchmark.

    Args:
        name: By what name recipes know it.
        folder: Where to; created.
        draw: Makes the pictures.
        num_clusters: The first so many groups of every file, or all that were published.

    Returns:
        The files.
    """
    made, repository = [], REPOSITORIES[name]
    for path, generate in repository.files.items():
        wanted = rows.limited(generate(draw), repository.cluster, num_clusters)
        write_rows(wanted, Features(repository.features), folder / path)
        made.append(folder / path)
    if repository.card:
        (folder / "README.md").write_text(repository.card, encoding="utf-8")
        made.append(folder / "README.md")
    return made


def _without_pictures(generate: Callable[[], Iterator[rows.Row]]) -> Rows:
    return lambda _: generate()


MATHVERSE_CARD = """\
---
configs:
- config_name: testmini
  data_files:
  - split: testmini
    path: testmini.parquet
---
"""
DYNAMATH_CARD = "\n".join(
    (
        "---\nconfigs:\n- config_name: default\n  data_files:",
        *(f"  - split: sample_variant{n}\n    path: data/sample{n}-*" for n in range(1, 11)),
        "---\n",
    )
)
REPOSITORIES: Mapping[str, Repository] = {
    "mathverse": Repository(
        files={"testmini.parquet": rows.mathverse},
        features={
            **_texts("sample_index", "problem_index", "problem_version", "question"),
            "image": Image(),
            **_texts("answer", "question_type"),
            "metadata": _texts("split", "source", "subject", "subfield"),
            **_texts("query_wo", "query_cot", "question_for_eval"),
        },
        cluster=("problem_index",),
        card=MATHVERSE_CARD,
    ),
    "mathvision": Repository(
        files={
            "data/test-00000-of-00001.parquet": rows.mathvision,
            # A part of the other split: whoever reads both has 304 problems twice.
            "data/testmini-00000-of-00001.parquet": partial(
                rows.mathvision, num_rows=304, num_with_choices=304
            ),
        },
        features={
            **_texts("id", "question"),
            "options": List(TEXT),
            "image": TEXT,
            "decoded_image": Image(),
            **_texts("answer", "solution"),
            "level": WHOLE,
            "subject": TEXT,
        },
        cluster=("id",),
    ),
    "mathvista": Repository(
        files={"data/testmini-00000-of-00001.parquet": rows.mathvista},
        features={
            **_texts("pid", "question", "image"),
            "decoded_image": Image(),
            "choices": List(TEXT),
            "unit": TEXT,
            "precision": FLOAT,
            **_texts("answer", "question_type", "answer_type"),
            "metadata": {
                **_texts("category", "context", "grade"),
                "img_height": WHOLE,
                "img_width": WHOLE,
                "language": TEXT,
                "skills": List(TEXT),
                **_texts("source", "split", "task"),
            },
            "query": TEXT,
        },
        cluster=("pid",),
    ),
    "dynamath": Repository(
        files={
            f"data/sample{variant}-00000-of-{variant:05}.parquet": partial(
                rows.dynamath, variant=variant
            )
            for variant in range(1, 11)
        },
        features={
            **_texts("id", "question", "image"),
            "decoded_image": Image(),
            **_texts("ground_truth", "answer_type", "subject", "knowledge_level"),
        },
        cluster=("id",),
        card=DYNAMATH_CARD,
    ),
    "we-math": Repository(
        files={"data/testmini-00000-of-00001.parquet": rows.wemath},
        features={
            **_texts("ID", "split", "knowledge concept", "question", "option", "answer"),
            "image_path": Image(),
            "key": TEXT,
            "question number": WHOLE,
            "knowledge concept description": TEXT,
        },
        cluster=("key", "ID"),
    ),
    "logicvista": Repository(
        files={"data/test-00000-of-00001.parquet": rows.logicvista},
        features={
            "id": TEXT,
            "image": Image(),
            **_texts("question", "answer", "reasoning", "imagesource", "sourcelink", "liscenced"),
            "skill": List(TEXT),
            "broad_capability": List(TEXT),
            "specific_capability": List(TEXT),
        },
        cluster=("id",),
    ),
    "aime24": Repository(
        files={"data/train-00000-of-00001.parquet": _without_pictures(rows.aime24)},
        features={"id": WHOLE, **_texts("problem", "solution", "answer", "url", "year")},
        cluster=("id",),
    ),
    "aime25": Repository(
        files={"data/train-00000-of-00001.parquet": _without_pictures(rows.aime25)},
        features=_texts("problem", "answer"),
        cluster=("problem",),
    ),
    # Of the last two the hub's conversion, whose folders are called by configuration and split.
    "gpqa-diamond": Repository(
        files={"gpqa_diamond/train/0000.parquet": _without_pictures(rows.gpqa)},
        features=_texts(
            *("Record ID", "Question", "Correct Answer", "Incorrect Answer 1"),
            *("Incorrect Answer 2", "Incorrect Answer 3", "Subdomain", "High-level domain"),
        ),
        cluster=("Record ID",),
    ),
    "math-500": Repository(
        files={"default/test/0000.parquet": _without_pictures(rows.math500)},
        features={
            **_texts("problem", "solution", "answer", "subject"),
            "level": WHOLE,
            "unique_id": TEXT,
        },
        cluster=("unique_id",),
    ),
}
