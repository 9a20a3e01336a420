"""DynaMath: 501 seed questions, each in ten variants made by a program; worst case and average.

Source: DynaMath/DynaMath_Sample (Zou et al., arXiv 2411.00836), splits `sample_variant1` to
`sample_variant10`. Worst case: the share of seeds of which all variants are right. Average: of all
answers. A float may be 0.001 away. A variant's number is in its split's name, which is in the name
of its file or folder, as they were published. The variants of a seed are one cluster.
"""

import re
from pathlib import Path

from training.evaluation.benchmark import HubSet
from training.evaluation.choices import read_letter
from training.evaluation.items import Item, Rule, first_clusters, make_item
from training.evaluation.rows import Row, read_rows

METRIC = "worst_case"
NUM_VARIANTS = 10
SPLIT = "+".join(f"sample_variant{number}" for number in range(1, NUM_VARIANTS + 1))
PLACE: HubSet | None = HubSet("DynaMath/DynaMath_Sample", SPLIT)
NEEDS_IMAGES = True
TOLERANCE = 0.001
COLUMNS = (
    *("id", "question", "decoded_image", "ground_truth", "answer_type", "subject"),
    "knowledge_level",
)
LEVELS = {"elementary school": 1, "high school": 2, "undergraduate": 3}
_VARIANT = re.compile(r"sample_variant(\d+)(?!\d)")


def load(name: str, folder: Path, num_problems: int | None) -> list[Item]:
    """One item a row, the variants of a seed a cluster; by subject, level and variant."""
    return first_clusters(
        (_item(name, row) for row in read_rows(name, folder, COLUMNS)), num_problems
    )


def _item(name: str, row: Row) -> Item:
    variant = _VARIANT.search(row.file)
    if variant is None:
        raise row.error(
            "is of no known variant.", rule="a file's path holds its split, `sample_variant<n>`"
        )
    return make_item(
        name,
        f"{row.text('id')}/{variant[1]}",
        question=row.text("question"),
        rule=_rule(row),
        images=row.images("decoded_image"),
        family=row.text("subject"),
        level=LEVELS.get(row.text("knowledge_level").casefold()),
        cluster=row.text("id"),
        part=variant[1],
    )


def _rule(row: Row) -> Rule:
    kind, answer = row.text("answer_type"), row.text("ground_truth")
    if kind == "float":
        return Rule("number", answer, tolerance=TOLERANCE)
    if kind == "multiple choice":
        return Rule("letter", read_letter(answer, ()) or answer)
    if kind == "text":
        return Rule("text", answer)
    raise row.error(f"has the answer type {kind!r}.", rule="float, multiple choice or text")
