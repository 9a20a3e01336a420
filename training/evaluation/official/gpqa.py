"""GPQA diamond: graduate questions with four choices; letter accuracy.

Source: Idavidrein/gpqa (Rein et al., arXiv 2311.12022), configuration `gpqa_diamond`, 198 rows;
gated, published as CSV: the hub's conversion is read. The four answers stand in their own columns,
the right one first: they are shuffled by a generator seeded with the record's id, the same in every
run and for every model.
"""

import hashlib
from pathlib import Path

import numpy as np

from training.evaluation.benchmark import CONVERTED, HubSet
from training.evaluation.choices import letter_at, lettered
from training.evaluation.items import Item, Rule, make_item
from training.evaluation.rows import Row, read_rows

METRIC = "accuracy"
PLACE: HubSet | None = HubSet("Idavidrein/gpqa", "train", "gpqa_diamond", CONVERTED)
NEEDS_IMAGES = False
RIGHT = "Correct Answer"
ANSWERS = (RIGHT, "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")
COLUMNS = ("Record ID", "Question", *ANSWERS, "High-level domain", "Subdomain")


def load(name: str, folder: Path, num_problems: int | None) -> list[Item]:
    """One item a row; by domain."""
    return [_item(name, row) for row in read_rows(name, folder, COLUMNS)][:num_problems]


def shuffled(record_id: str) -> list[int]:
    """In which order a record's four answers are shown; 0 is the right one."""
    seed = int.from_bytes(hashlib.sha256(record_id.encode()).digest()[:8], "big")
    return [int(index) for index in np.random.default_rng(seed).permutation(len(ANSWERS))]


def _item(name: str, row: Row) -> Item:
    order = shuffled(row.text("Record ID"))
    choices = tuple(row.text(ANSWERS[index]) for index in order)
    question = row.text("Question")
    return make_item(
        name,
        row.text("Record ID"),
        question=question,
        prompt=lettered(question, choices),
        rule=Rule("letter", letter_at(order.index(0)), choices),
        family=row.text("High-level domain"),
    )
