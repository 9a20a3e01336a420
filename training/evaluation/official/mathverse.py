"""MathVerse: the same problem with more and more of its text moved into the picture.

Source: AI4Math/MathVerse (Zhang et al., arXiv 2403.14624), `testmini`: 788 problems in five
versions, 3,940 rows. The paper (v2) reports the accuracy on `Vision Only`; all five are reported
beside it. The versions of a problem are one cluster. The prompt is the row's own `query_cot`.
"""

import re
from pathlib import Path

from training.evaluation.benchmark import HubSet
from training.evaluation.choices import LETTERS
from training.evaluation.items import Item, Rule, first_clusters, make_item
from training.evaluation.rows import Row, read_rows

METRIC = "vision_only"
PLACE: HubSet | None = HubSet("AI4Math/MathVerse", "testmini", "testmini")
NEEDS_IMAGES = True
VERSIONS = ("Text Dominant", "Text Lite", "Vision Intensive", "Vision Dominant", "Vision Only")
COLUMNS = (
    *("sample_index", "problem_index", "problem_version", "image", "answer", "question_type"),
    *("metadata", "query_cot", "question_for_eval"),
)
_CHOICE = re.compile(r"^\s*\(?([A-Z])\s*[:.)]\s*(.*?)\s*$", re.MULTILINE)


def load(name: str, folder: Path, num_problems: int | None) -> list[Item]:
    """One item a row, the five versions of a problem a cluster; by subject and version."""
    return first_clusters(
        (_item(name, row) for row in read_rows(name, folder, COLUMNS)), num_problems
    )


def _item(name: str, row: Row) -> Item:
    question, version = row.text("question_for_eval"), row.text("problem_version")
    if version not in VERSIONS:
        raise row.error(f"has the version {version!r}.", rule=f"a version is one of {VERSIONS}")
    answer = row.text("answer")
    if row.text("question_type") == "multi-choice":
        rule = Rule("letter", answer, _choices(question))
    else:
        rule = Rule("math", answer)
    return make_item(
        name,
        row.text("sample_index"),
        question=question,
        prompt=row.text("query_cot"),
        rule=rule,
        images=row.images("image"),
        family=row.text("metadata.subject"),
        cluster=row.text("problem_index"),
        part=version,
    )


def _choices(question: str) -> tuple[str, ...]:
    """The texts of the choices that stand below a question; empty if they cannot be told apart."""
    _, heading, below = question.rpartition("Choices:")
    found = _CHOICE.findall(below) if heading else []
    in_order = [letter for letter, _ in found] == list(LETTERS[: len(found)])
    return tuple(text for _, text in found) if in_order else ()
