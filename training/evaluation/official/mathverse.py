"""MathVerse: the same problem with more and more of its text moved into the picture.

Source: AI4Math/MathVerse (Zhang et al., arXiv 2403.14624), `testmini`: 788 problems in five
versions, 3,940 rows. The paper (v2) reports the accuracy on `Vision Only`; all five are reported
beside it. The versions of a problem are one cluster. The prompt is the row's own `query_cot`.
"""

import re
from pathlib import Path

from training.evaluation.benchmark import HubSet
from training.evaluation.choices import LETTERS, read_letter, read_letters
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
# As it is published: `Choices:` or `Choice:`, then mostly one a line, `A:30°`, `B. 60°` or `(C)`.
_HEADING = re.compile(r".*\bChoices?:", re.DOTALL)
_LINE = re.compile(r"^[ \t]*\(?([A-Z])[ \t]*[:.)][ \t]*(.*?)[ \t]*$", re.MULTILINE)
_INLINE = re.compile(
    r"(?:^|(?<=\s))\(?([A-Z])[ \t]*[:.)]\s*(.*?)\s*(?=\s\(?[A-Z][ \t]*[:.)]|$)", re.S
)
# `Surface Area $=9.86 \mathrm{~m}^{2}$`: of a quantity that is asked for the name says nothing;
# nor does a sign alone, `$=(4,0)$`.
_QUANTITY = re.compile(
    r"\$?(?:(?:[A-Za-z][A-Za-z.]{2,}(?: [A-Za-z.]+)*|\\mathrm\{SA\})\s*\$?)?\s*="
)
_MISREAD_DEGREE = "掳"  # a degree's sign in UTF-8, read as GBK


def load(name: str, folder: Path, num_problems: int | None) -> list[Item]:
    """One item a row, the five versions of a problem a cluster; by subject and version."""
    return first_clusters(
        (_item(name, row) for row in read_rows(name, folder, COLUMNS)), num_problems
    )


def _item(name: str, row: Row) -> Item:
    question, version = row.text("question_for_eval"), row.text("problem_version")
    if version not in VERSIONS:
        raise row.error(f"has the version {version!r}.", rule=f"a version is one of {VERSIONS}")
    return make_item(
        name,
        row.text("sample_index"),
        question=question,
        prompt=row.text("query_cot"),
        rule=rule_of(row, question),
        images=row.images("image"),
        family=row.text("metadata.subject"),
        cluster=row.text("problem_index"),
        part=version,
    )


def rule_of(row: Row, question: str) -> Rule:
    """How a row's answers are scored.

    A free answer is published as its value, or with the name of its quantity; the key of a question
    with choices as a letter, in brackets or not, as letters one a line where two are asked for, or
    as the choice's text. The texts of the choices are needed for that last form alone.

    Raises:
        DataError: The key is none of these, or the type of question is not known.
    """
    answer, kind = row.text("answer").replace(_MISREAD_DEGREE, "°"), row.text("question_type")
    if kind == "free-form":
        first, *more = answer.splitlines() or [""]
        answer = first if set(more) <= {first} else answer  # one was written twice
        name = _QUANTITY.match(answer)
        return Rule("math", answer[name.end() :].replace("$", "").strip() if name else answer)
    if kind != "multi-choice":
        raise row.error(f"has the question type {kind!r}.", rule="multi-choice or free-form")
    choices = _choices(question)
    if letter := read_letter(answer, choices):
        return Rule("letter", letter, choices)
    letters = read_letters(answer)
    if letters is None:
        raise row.error(f"has the key {answer!r}.", rule="a choice's letter or text, or letters")
    # One letter is beyond the choices that could be told apart.
    return Rule("letter" if len(letters) == 1 else "letters", letters)


def _choices(question: str) -> tuple[str, ...]:
    """The texts of the choices that stand below a question; empty if they cannot be told apart."""
    heading = _HEADING.match(question)
    if heading is None:
        return ()
    for form in (_LINE, _INLINE):
        found = form.findall(question, heading.end())
        if len(found) > 1 and [letter for letter, _ in found] == list(LETTERS[: len(found)]):
            return tuple(text for _, text in found)
    return ()
