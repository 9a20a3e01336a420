"""MathVista: mathematical reasoning about pictures; accuracy.

Source: AI4Math/MathVista (Lu et al., arXiv 2310.02255), `testmini`, 1,000 rows, of which 540 have
choices. With choices: the letter, else the choice at the smallest edit distance. A whole number is
truncated, a float rounded to the row's `precision`, a list compared number by number, a text as it
is. The prompt is the row's own `query`, which holds the hint, the question and the choices.
"""

from pathlib import Path

from training.evaluation.benchmark import HubSet
from training.evaluation.choices import letter_at
from training.evaluation.items import Item, Rule, make_item
from training.evaluation.rows import Row, read_rows

METRIC = "accuracy"
PLACE: HubSet | None = HubSet("AI4Math/MathVista", "testmini")
NEEDS_IMAGES = True
COLUMNS = (
    *("pid", "question", "decoded_image", "choices", "unit", "precision", "answer"),
    *("question_type", "answer_type", "metadata", "query"),
)


def load(name: str, folder: Path, num_problems: int | None) -> list[Item]:
    """One item a row; by task."""
    return [
        make_item(
            name,
            row.text("pid"),
            question=row.text("question"),
            prompt=row.text("query"),
            rule=rule_of(row),
            images=row.images("decoded_image"),
            family=row.text("metadata.task"),
        )
        for row in read_rows(name, folder, COLUMNS)
    ][:num_problems]


def rule_of(row: Row) -> Rule:
    """How a row's answers are scored.

    Raises:
        DataError: Its answer is none of its choices, or of a type that is not known.
    """
    answer, unit = row.text("answer"), row.text("unit")
    if (asked := row.text("question_type")) == "multi_choice":
        choices = row.texts("choices")
        if answer not in choices:
            raise row.error("has an answer that is none of its choices.", rule="it is one of them")
        return Rule("nearest", letter_at(choices.index(answer)), choices)
    if asked != "free_form":
        raise row.error(f"has the question type {asked!r}.", rule="multi_choice or free_form")
    kind = row.text("answer_type")
    if kind == "integer":
        return Rule("integer", answer, unit=unit)
    if kind == "float":
        return Rule("number", answer, decimals=row.whole("precision"), unit=unit)
    if kind == "list":
        return Rule("list", answer)
    if kind == "text":
        return Rule("text", answer)
    raise row.error(f"has the answer type {kind!r}.", rule="text, integer, float or list")
