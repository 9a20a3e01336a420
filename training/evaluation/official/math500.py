"""MATH-500: competition mathematics; accuracy by mathematical equivalence.

Source: HuggingFaceH4/MATH-500, the 500 problems that Lightman et al. (arXiv 2305.20050) held out
of MATH. Published as JSON lines; the hub's conversion is read.
"""

from pathlib import Path

from training.evaluation.benchmark import CONVERTED, HubSet
from training.evaluation.items import Item, Rule, make_item
from training.evaluation.rows import read_rows

METRIC = "accuracy"
PLACE: HubSet | None = HubSet("HuggingFaceH4/MATH-500", "test", "default", CONVERTED)
NEEDS_IMAGES = False
COLUMNS = ("problem", "answer", "subject", "level", "unique_id")


def load(name: str, folder: Path, num_problems: int | None) -> list[Item]:
    """One item a row; by level 1 to 5 and by subject."""
    return [
        make_item(
            name,
            row.text("unique_id"),
            question=row.text("problem"),
            rule=Rule("math", row.text("answer")),
            family=row.text("subject"),
            level=row.level("level"),
        )
        for row in read_rows(name, folder, COLUMNS)
    ][:num_problems]
