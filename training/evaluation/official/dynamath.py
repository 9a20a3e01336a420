"""DynaMath: 501 seed questions, each in ten variants made by a program; worst case and average.

Source: DynaMath/DynaMath_Sample (Zou et al., arXiv 2411.00836), splits `sample_variant1` to
`sample_variant10`. Worst case: the share of seeds of which all variants are right. Average: of all
answers. A float may be 0.001 away. A variant's number is in the name of its file
(`sample1-00000-of-00001.parquet`), of its split or of a folder. The variants of a seed are one
cluster. The choices stand in the question. The prompt asks for the form that the released one asks
for: a choice's letter, numbers with three decimals; for a JSON object it does not ask.
"""

import re
from collections import defaultdict
from pathlib import Path

from training.answers.options import read_options
from training.evaluation.benchmark import HubSet
from training.evaluation.choices import read_letter
from training.evaluation.items import Item, Rule, first_clusters, make_item
from training.evaluation.rows import Row, read_rows

METRIC = "worst_case"
NUM_VARIANTS = 10
VARIANTS = tuple(str(number) for number in range(1, NUM_VARIANTS + 1))
SPLIT = "+".join(f"sample_variant{variant}" for variant in VARIANTS)
PLACE: HubSet | None = HubSet("DynaMath/DynaMath_Sample", SPLIT)
NEEDS_IMAGES = True
TOLERANCE = 0.001
COLUMNS = (
    *("id", "question", "decoded_image", "ground_truth", "answer_type", "subject"),
    "knowledge_level",
)
# By type of answer: what the prompt says above the question, whose last sentence tells what is
# asked for. Four seeds' programs call their number otherwise; the released prompt then asks for no
# form, and the released rule takes a text that holds it.
_WITH_DECIMALS = "Give numbers in the answer, if they are not whole, with three decimals."
INSTRUCTIONS = {
    "float": "Give the answer as a floating-point number with three decimals.",
    "multiple choice": "Give the letter of the correct choice alone, such as A, B, C or D.",
    "text": _WITH_DECIMALS,
    "int": _WITH_DECIMALS,
    "single answer": _WITH_DECIMALS,
}
_NUMBERS = ("float", "int", "single answer")
LEVELS = {"elementary school": 1, "high school": 2, "undergraduate": 3}
_VARIANT = re.compile(r"sample(?:_variant)?(\d+)")


def load(name: str, folder: Path, num_problems: int | None) -> list[Item]:
    """One item a row, the variants of a seed a cluster; by subject, level and variant.

    Raises:
        DataError: As ever; or a variant of a seed is missing, over which its worst case would be
            too high.
    """
    variants: dict[str, dict[str, Row]] = defaultdict(dict)
    items = []
    for row in read_rows(name, folder, COLUMNS):
        variant = _variant(row)
        variants[row.text("id")][variant] = row
        items.append(_item(name, row, variant))
    for seed, rows in variants.items():
        if missing := [variant for variant in VARIANTS if variant not in rows]:
            raise next(iter(rows.values())).error(
                f"belongs to the seed {seed[:100]}, of which the variants {', '.join(missing)} are"
                " missing.",
                rule=f"a seed question has {NUM_VARIANTS} variants, one in each split",
            )
    return first_clusters(items, num_problems)


def _variant(row: Row) -> str:
    variant = _VARIANT.search(row.file)
    if variant is None or variant[1] not in VARIANTS:
        raise row.error(
            "is of no known variant.",
            rule=f"a file is called `sample1` to `{NUM_VARIANTS}`, or lies in such a folder; or"
            " `sample_variant1`",
        )
    return variant[1]


def _item(name: str, row: Row, variant: str) -> Item:
    question, kind = row.text("question"), row.text("answer_type")
    if kind not in INSTRUCTIONS:
        raise row.error(f"has the answer type {kind!r}.", rule=f"it is one of {list(INSTRUCTIONS)}")
    return make_item(
        name,
        f"{row.text('id')}/{variant}",
        question=question,
        prompt=f"{INSTRUCTIONS[kind]}\n{question}",
        rule=rule_of(kind, row.text("ground_truth"), question),
        images=row.images("decoded_image"),
        family=row.text("subject"),
        level=LEVELS.get(row.text("knowledge_level").casefold()),
        cluster=row.text("id"),
        part=variant,
    )


def rule_of(kind: str, answer: str, question: str) -> Rule:
    """How an answer is scored: by the row's type of answer, and the choices in its question."""
    if kind in _NUMBERS:
        return Rule("number", answer, tolerance=TOLERANCE)
    if kind == "text":
        return Rule("text", answer)
    choices = tuple(read_options(question).values())
    # Where the picture shows them, the choices have no texts: `(A) (B) (C) (D)`.
    known = choices if all(choices) else ()
    return Rule("letter", read_letter(answer, ()) or answer, known)
