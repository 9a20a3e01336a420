"""We-Math: problems of two or three steps, each step asked by itself, too; a four-way score.

Source: We-Math/We-Math (Qiao et al., arXiv 2407.01284), `testmini`, 1,740 rows: 360 problems of two
steps and 165 of three. `key` says which step a row is (`2steps_1`, `2steps_multi`); the rows of one
problem share their `ID` and the number of steps.
"""

import re
from collections import defaultdict
from pathlib import Path

from training.evaluation.benchmark import HubSet
from training.evaluation.choices import LETTERS, lettered
from training.evaluation.items import MULTI, Item, Rule, first_clusters, make_item
from training.evaluation.rows import Row, read_rows

METRIC = "four_way"
PLACE: HubSet | None = HubSet("We-Math/We-Math", "testmini")
NEEDS_IMAGES = True
COLUMNS = ("ID", "key", "question", "option", "answer", "image_path", "knowledge concept")
_KEY = re.compile(rf"([23]steps)_([123]|{MULTI})")
_OPTION = re.compile(r"(?:^|;)\s*([A-Z])\s*[.:)]\s*")


def load(name: str, folder: Path, num_problems: int | None) -> list[Item]:
    """One item a row, a problem with its steps a cluster; by step and knowledge concept.

    Raises:
        DataError: As ever; or a step of a problem is missing.
    """
    steps: dict[str, dict[str, Row]] = defaultdict(dict)
    items = []
    for row in read_rows(name, folder, COLUMNS):
        key = _KEY.fullmatch(row.text("key"))
        if key is None:
            raise row.error("is of no known step.", rule="`key` is `2steps_1` or the like")
        cluster = f"{key[1]}/{row.text('ID')}"
        steps[cluster][key[2]] = row
        items.append(_item(name, row, cluster, key[2]))
    for cluster, rows in steps.items():
        wanted = {MULTI, *(str(step) for step in range(1, int(cluster[0]) + 1))}
        if set(rows) != wanted:
            raise next(iter(rows.values())).error(
                f"belongs to a problem with the steps {sorted(rows)}.",
                rule=f"a problem of {cluster[0]} steps has {sorted(wanted)}",
            )
    return first_clusters(items, num_problems)


def split_options(text: str) -> tuple[str, ...]:
    """The texts of the choices in `A. 2 cm; B. 3 cm`; empty if they are not A, B, ... in order."""
    parts = _OPTION.split(text)[1:]
    letters, texts = parts[::2], [part.strip().rstrip(";").strip() for part in parts[1::2]]
    return tuple(texts) if letters == list(LETTERS[: len(letters)]) else ()


def _item(name: str, row: Row, cluster: str, step: str) -> Item:
    choices = split_options(row.text("option"))
    question = row.text("question")
    shown = lettered(question, choices) if choices else f"{question}\n{row.text('option')}"
    return make_item(
        name,
        f"{cluster}/{step}",
        question=question,
        prompt=shown,
        rule=Rule("letter", row.text("answer"), choices),
        images=row.images("image_path"),
        family=row.text("knowledge concept"),
        cluster=cluster,
        part=step,
    )
