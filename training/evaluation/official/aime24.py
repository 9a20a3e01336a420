"""AIME 2024: 30 problems whose answers are whole numbers from 0 to 999; mean@k, pass@k, maj@k.

Source: HuggingFaceH4/aime_2024. The paper's first version says pass@32 in its text, eight runs in
its table, and average@32 in the second version: k is the recipe's `samples_per_problem`.
"""

from pathlib import Path

from training.evaluation.benchmark import HubSet
from training.evaluation.items import Item, Rule, make_item
from training.evaluation.rows import read_rows

METRIC = "accuracy"
PLACE: HubSet | None = HubSet("HuggingFaceH4/aime_2024", "train")
NEEDS_IMAGES = False
COLUMNS = ("id", "problem", "answer")


def load(name: str, folder: Path, num_problems: int | None) -> list[Item]:
    """One item a row."""
    return [
        make_item(
            name,
            row.text("id"),
            question=row.text("problem"),
            rule=Rule("math", row.text("answer")),
        )
        for row in read_rows(name, folder, COLUMNS)
    ][:num_problems]
