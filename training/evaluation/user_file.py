"""A user's own benchmark: Parquet files, a mapping of their columns, and one of the metrics.

`metric` says how an answer is scored: `letter` (one choice), `letters` (a set of choices), `number`
(within `tolerance`), `math` (equal in mathematics) or `text` (the same words). Where a column is
mapped to `group`, the score is the share of groups whose items are all right.
"""

from pathlib import Path

from training.evaluation.choices import LETTERS, lettered, read_letter, read_letters
from training.evaluation.items import Item, Rule, first_clusters, make_item
from training.evaluation.rows import Row, read_rows
from training.recipe.evaluation import BenchmarkRecipe

NEEDED = ("question", "answer")
CHOOSING = ("letter", "letters")  # metrics by which an answer is one of the choices, or some


def metric_of(recipe: BenchmarkRecipe) -> str:
    """What its answers are summed up by."""
    return "all_right" if "group" in recipe.columns else "accuracy"


def load(recipe: BenchmarkRecipe, folder: Path) -> list[Item]:
    """One item a row.

    `question` and `answer` are columns of these names unless they are mapped to others; the other
    fields of `FILE_FIELDS` are read where they are mapped. `choices` is as `Row.texts` reads it.
    Without an `id`, an item is known by its row's number.

    Raises:
        DataError: A column is missing; or a row's answer is none of its choices, it has no choices
            to choose from, or it lacks an id or a group that is mapped.
    """
    columns = {field: field for field in NEEDED} | recipe.columns
    rows = read_rows(recipe.name, folder, list(dict.fromkeys(columns.values())))
    return first_clusters((_item(recipe, columns, row) for row in rows), recipe.num_problems)


def _item(recipe: BenchmarkRecipe, columns: dict[str, str], row: Row) -> Item:
    def text(field: str) -> str | None:
        return row.text(columns[field]) or None if field in columns else None

    question = text("question") or ""
    choices = _choices(recipe, columns, row)
    for field in ("id", "group"):
        if field in columns and text(field) is None:
            raise row.error(
                f"has nothing in the column {columns[field]}, which is mapped to `{field}`.",
                rule=f"every row has its {field}",
                fix=f"fill the column, or map no `{field}`",
            )
    return make_item(
        recipe.name,
        text("id") or str(row.number),
        question=question,
        prompt=lettered(question, choices) if choices else question,
        rule=_rule(recipe, row, text("answer") or "", choices),
        images=row.images(columns["image"]) if "image" in columns else (),
        family=text("family"),
        level=row.level(columns["level"]) if "level" in columns else None,
        cluster=text("group"),
        part=text("part"),
    )


def _choices(recipe: BenchmarkRecipe, columns: dict[str, str], row: Row) -> tuple[str, ...]:
    """The texts of a row's choices; empty where no column is mapped."""
    if "choices" not in columns:
        return ()
    choices = row.texts(columns["choices"])
    if len(choices) > len(LETTERS):
        raise row.error("has too many choices.", rule=f"at most {len(LETTERS)} choices")
    if not all(choices) or (not choices and recipe.metric in CHOOSING):
        raise row.error(
            f"lacks a choice in the column {columns['choices']}, which is mapped to `choices`.",
            rule=f"by the metric `{recipe.metric}` every choice has a text, and there are some",
            fix="fill the column, or map no `choices` and write them into the question",
        )
    return choices


def _rule(recipe: BenchmarkRecipe, row: Row, answer: str, choices: tuple[str, ...]) -> Rule:
    assert recipe.metric is not None  # the recipe's own rule for files
    if recipe.metric == "letter":
        return Rule("letter", read_letter(answer, choices) or answer, choices)
    if recipe.metric == "letters":
        letters = read_letters(answer)
        if letters and choices and not set(letters.split(", ")) <= set(LETTERS[: len(choices)]):
            raise row.error(
                f"has the answer {answer[:100]!r}, but {len(choices)} choices.",
                rule="the answer names letters of the row's choices",
            )
    if recipe.metric == "number":
        return Rule("number", answer, tolerance=recipe.tolerance or 0.0)
    return Rule(recipe.metric, answer)
