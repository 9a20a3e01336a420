"""LogicVista: logical reasoning about pictures; the set of letters has to be the key's.

Source: LogicVista (Xiao et al., arXiv 2407.04973), 448 rows; read from the mirror
lscpku/LogicVista, `test`, whose rows are known by `id` (`v1_20`), not by the official file's
`imagename`. A key is one letter or several (`B, D`). The keys of `v1_20` ("3") and `v1_382`
(nothing, and no question either) are no letters: they are asked, scored as never right, and left
out of the accuracy; the one with them in the denominator is reported beside it.
"""

from pathlib import Path

from training.evaluation.benchmark import HubSet
from training.evaluation.choices import read_letters
from training.evaluation.items import Item, Rule, make_item
from training.evaluation.rows import Row, read_rows

METRIC = "accuracy"
PLACE: HubSet | None = HubSet("lscpku/LogicVista", "test")
NEEDS_IMAGES = True
COLUMNS = ("id", "image", "question", "answer", "skill")
UNSCORABLE = frozenset({"v1_20", "v1_382"})


def load(name: str, folder: Path, num_problems: int | None) -> list[Item]:
    """One item a row; by skill."""
    return [_item(name, row) for row in read_rows(name, folder, COLUMNS)][:num_problems]


def _item(name: str, row: Row) -> Item:
    number, answer, question = row.text("id"), row.text("answer"), row.text("question")
    letters = read_letters(answer) if answer else None
    if letters is None and number not in UNSCORABLE:
        raise row.error(f"has the key {answer!r}.", rule="a key is one letter, or several")
    if number in UNSCORABLE and not question:
        question = f"(Item {number} was published without a question.)"
    return make_item(
        name,
        number,
        question=question,
        rule=Rule("none", answer) if letters is None else Rule("letters", letters),
        images=row.images("image"),
        family=row.text("skill"),
    )
