"""Faulty rows among the pocket's problems: each of a fault that curation must find, and count.

A pocket run passes through all steps of curation that way, and its counts of rejects can be checked
to the last row. No planted row may get into a set, and none costs a sound row its place.
"""

import io
from collections.abc import Callable, Mapping, Sequence

from PIL import Image

from contracts.errors import DataError
from training.evaluation import pocket_multimodal, pocket_text
from training.pocket.problems import generate
from training.recipe.sources import PLANTABLE
from training.records import EncodedImage, Modality, Problem

MIN_LEVEL = 7  # of the rows that are copied: easy problems come twice by chance
BENCHMARKS = {"text": pocket_text, "multimodal": pocket_multimodal}
# Fault -> what curation says of it. A conflict is between two planted rows.
REASONS: Mapping[Modality, Mapping[str, str]] = {
    "text": {
        "equal": "duplicate question",
        "near": "near duplicate question",
        "conflict": "duplicates with conflicting answers",
        "leak": "question of a benchmark",
        "proof": "asks for a proof",
        "contradiction": "solution contradicts the answer",
    },
    "multimodal": {
        "equal": "duplicate question",
        "near": "near duplicate question",
        "leak": "question of a benchmark",
        "broken": "image that cannot be decoded",
    },
}
ROWS_OF = {"conflict": 2}  # for each fault that is asked for; one of any other


def plant(problems: Sequence[Problem], modality: Modality, count: int) -> list[Problem]:
    """Faulty rows, made of sound ones.

    Args:
        problems: Generated, all of one modality.
        modality: Theirs.
        count: How many of each fault in `REASONS`.

    Returns:
        The faulty rows, to be put behind the sound ones; their ids begin with `planted/`, the
        modality and the fault.

    Raises:
        DataError: There are too few hard problems to make them of.
    """
    benchmark = generate(modality, "test", PLANTABLE, BENCHMARKS[modality].SEED)
    sound, leakable = _hard(problems), _hard(benchmark)
    planted: list[Problem] = []
    for fault in REASONS[modality]:
        made_of = (leakable if fault == "leak" else sound)[:count]
        if len(made_of) < count:
            raise DataError(
                f"There are too few hard problems to plant {count} rows of each fault.",
                where="recipe, sources.num_planted",
                rule=f"planted rows are made of problems of level {MIN_LEVEL} and more "
                "whose answer is a number",
                fix="lower `num_planted`, or raise `num_problems`",
            )
        for number, problem in enumerate(made_of):
            planted += [
                {**row, "id": f"planted/{modality}/{fault}/{number}-{part}"}
                for part, row in enumerate(_FAULTS[fault](problem))
            ]
    return planted


def _hard(problems: Sequence[Problem]) -> list[Problem]:
    """Problems whose answer is a number, so that another one is another answer."""
    return [
        problem
        for problem in problems
        if (problem["level"] or 0) >= MIN_LEVEL and problem["answer"].isdecimal()
    ]


def _equal(problem: Problem) -> list[Problem]:
    return [{**problem, "question": problem["question"].upper()}]


def _near(problem: Problem) -> list[Problem]:
    """The same in other dressing: of a picture, other bytes of the same pixels."""
    images = problem["images"]
    recoded: list[EncodedImage] = [
        {"bytes": _recoded(image["bytes"]), "path": None} for image in images
    ]
    question = problem["question"] if images else f"Problem 3. {problem['question']}"
    return [{**problem, "question": question, "images": recoded}]


def _recoded(encoded: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(encoded)).save(buffer, format="WEBP", lossless=True)
    return buffer.getvalue()


def _conflict(problem: Problem) -> list[Problem]:
    asked: Problem = {**problem, "question": f"In short: {problem['question']}", "solution": None}
    return [asked, {**asked, "answer": _other(problem["answer"])}]


def _leak(problem: Problem) -> list[Problem]:
    return [{**problem, "question": problem["question"].upper()}]


def _proof(problem: Problem) -> list[Problem]:
    return [{**problem, "question": f"Prove this: {problem['question']}"}]


def _contradiction(problem: Problem) -> list[Problem]:
    return [{**problem, "answer": _other(problem["answer"])}]


def _broken(problem: Problem) -> list[Problem]:
    cut: list[EncodedImage] = [
        {"bytes": image["bytes"][:90], "path": None} for image in problem["images"]
    ]
    return [{**problem, "images": cut}]


def _other(answer: str) -> str:
    return str(int(answer) + 1)


_FAULTS: Mapping[str, Callable[[Problem], list[Problem]]] = {
    "equal": _equal,
    "near": _near,
    "conflict": _conflict,
    "leak": _leak,
    "proof": _proof,
    "contradiction": _contradiction,
    "broken": _broken,
}
