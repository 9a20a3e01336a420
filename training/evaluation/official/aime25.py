"""AIME 2025: 30 problems, scored as those of 2024.

Source: yentinglin/aime_2025. Its rows have no id that is used: an item is known by its number.
"""

from pathlib import Path

from training.evaluation.benchmark import HubSet
from training.evaluation.items import Item, Rule, make_item
from training.evaluation.rows import read_rows

METRIC = "accuracy"
PLACE: HubSet | None = HubSet("yentinglin/aime_2025", "train")
NEEDS_IMAGES = False
COLUMNS = ("problem", "answer")


def load(name: str, folder: Path, num_problems: int | None) -> list[Item]:
    """One item a row."""
    return [
        make_item(
            name,
            str(row.number),
            question=row.text("problem"),
            rule=Rule("math", row.text("answer")),
        )
        for row in read_rows(name, folder, COLUMNS)
    ][:num_problems]
