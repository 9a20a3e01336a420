"""DynaMath: 501 seed questions, each in ten variants made by a program; worst case and average.

Source: DynaMath/DynaMath_Sample (Zou et al., arXiv 2411.00836), splits `sample_variant1` to
`sample_variant10`. Worst case: the share of seeds of which all variants are right. Average: of all
answers. A float may be 0.001 away. A variant's number is in its split's name, which is in the name
of its file or folder, as they were published. The variants of a seed are one cluster.
"""

import re
from collections import defaultdict
from pathlib import Path

from training.evaluation.benchmark import HubSet
from training.evaluation.choices import read_letter
from training.evaluation.items import Item, Rule, first_clusters, make_item
from training.evaluation.rows import Row, read_rows

METRIC = "worst_case"
NUM_VARIANTS = 10
VARIANTS = tuple(str(number) for number in range(1, NUM_VARIANTS + 1))
SPLIT = "+".join(f"sample_variant{variant}" for variant in VARIANTS)
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
    """One item a row, the variants of a seed a cluster; by subject, level and variant.

    Raises:
        DataError: As ever; or a variant of a seed is missing, over which its worst case would be
            too high.
    """
    variants: dict[str, dict[str, Row]] = defaultdict(dict)
    items = []
    for row in read_rows(name, folder, COLUMNS):
        variant = _variant(row)
        variants[row.text("id")][variant] = row
        items.append(_item(name, row, variant))
    for seed, rows in variants.items():
        if missing := [variant for variant in VARIANTS if variant not in rows]:
            raise next(iter(rows.values())).error(
                f"belongs to the seed {seed[:100]}, of which the variants {', '.join(missing)} are"
                " missing.",
                rule=f"a seed question has {NUM_VARIANTS} variants, one in each split",
            )
    return first_clusters(items, num_problems)


def _variant(row: Row) -> str:
    variant = _VARIANT.search(row.file)
    if variant is None or variant[1] not in VARIANTS:
        raise row.error(
            "is of no known variant.",
            rule=f"a file's path holds its split, `sample_variant1` to `{NUM_VARIANTS}`",
        )
    return variant[1]


def _item(name: str, row: Row, variant: str) -> Item:
    return make_item(
        name,
        f"{row.text('id')}/{variant}",
        question=row.text("question"),
        rule=_rule(row),
        images=row.images("decoded_image"),
        family=row.text("subject"),
        level=LEVELS.get(row.text("knowledge_level").casefold()),
        cluster=row.text("id"),
        part=variant,
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
