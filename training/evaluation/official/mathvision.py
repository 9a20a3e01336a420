"""MATH-Vision: competition problems with a picture; accuracy.

Source: MathLLMs/MathVision (Wang et al., arXiv 2402.14804), `test`, 3,040 rows, of which 1,532 have
choices. An answer is right if it is the right choice's letter or text; without choices, if both are
numbers that are equal at 2 decimals, or, where the reference is no number, equal in mathematics.
"""

import re
from pathlib import Path

from training.evaluation.benchmark import HubSet
from training.evaluation.choices import LETTERS, lettered, read_letter
from training.evaluation.items import Item, Rule, make_item
from training.evaluation.quantities import read_number
from training.evaluation.rows import Row, read_rows

METRIC = "accuracy"
PLACE: HubSet | None = HubSet("MathLLMs/MathVision", "test")
NEEDS_IMAGES = True
COLUMNS = ("id", "question", "options", "decoded_image", "answer", "level", "subject")
DECIMALS = 2
_PLACEHOLDER = re.compile(r"<image\d*>")


def load(name: str, folder: Path, num_problems: int | None) -> list[Item]:
    """One item a row; by level 1 to 5 and by subject."""
    return [_item(name, row) for row in read_rows(name, folder, COLUMNS)][:num_problems]


def _item(name: str, row: Row) -> Item:
    question = _PLACEHOLDER.sub("", row.text("question")).strip()
    choices = row.texts("options")
    # Where the choices are drawn in the picture, the options are bare letters: these say nothing.
    texts = () if choices == tuple(LETTERS[: len(choices)]) else choices
    return make_item(
        name,
        row.text("id"),
        question=question,
        prompt=lettered(question, texts) if texts else question,
        rule=_rule(row.text("answer"), choices),
        images=row.images("decoded_image"),
        family=row.text("subject"),
        level=row.level("level"),
    )


def _rule(answer: str, choices: tuple[str, ...]) -> Rule:
    if choices:
        return Rule("letter", read_letter(answer, choices) or answer, choices)
    if read_number(answer) is None:
        return Rule("math", answer)
    return Rule("number", answer, decimals=DECIMALS)
