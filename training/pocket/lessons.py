"""What the pocket base is taught: to read givens of every length, and to answer at once.

Short problems get a direct answer; long ones are only read (first, last, how many, largest). The
base never sees a written step, so the cold start has a format to teach and long problems to open.
"""

from dataclasses import dataclass

import numpy as np

from training.pocket.family import NAMES, NUM_LEVELS, Facts
from training.pocket.problems import FAMILIES, Sketch, response, sketch
from training.records import EncodedImage, Modality

DIRECT_LEVELS = (1, 2, 3)  # problems the base answers at once
_DIRECT_SHARES = (0.40, 0.35, 0.25)


@dataclass(frozen=True)
class Lesson:
    """One prompt with the response to imitate."""

    question: str
    response: str
    images: list[EncodedImage]


def _glances(facts: Facts, rng: np.random.Generator) -> list[tuple[str, str]]:
    """Questions that one look at the givens answers, with their answers."""
    place = int(rng.integers(len(facts.values)))
    glances = [
        (f"What is {NAMES[place]}?", facts.values[place]),
        ("Which is the first?", facts.values[0]),
        ("Which is the last?", facts.values[-1]),
        ("How many are there?", str(len(facts.values))),
    ]
    if all(value.isdigit() for value in facts.values):
        glances.append(("Which is the largest?", max(facts.values, key=int)))
    return glances


def _lessons_of(drawn: Sketch, rng: np.random.Generator) -> list[Lesson]:
    facts = drawn.facts
    lessons = []
    if drawn.level in DIRECT_LEVELS:
        direct = response(facts.reading, "", facts.answer)
        lessons.append(Lesson(f"{drawn.opening} {drawn.ask}", direct, drawn.images))
    if facts.values and (drawn.level not in DIRECT_LEVELS or rng.random() < 0.5):
        glances = _glances(facts, rng)
        ask, answer = glances[rng.integers(len(glances))]
        glance = response(facts.reading, "", answer)
        lessons.append(Lesson(f"{drawn.opening} {ask}", glance, drawn.images))
    return lessons


def draw_lessons(modality: Modality, num_lessons: int, rng: np.random.Generator) -> list[Lesson]:
    """Lessons from the training templates: half the pictures short, half of any level."""
    families = FAMILIES[modality]
    lessons: list[Lesson] = []
    while len(lessons) < num_lessons:
        family = families[rng.integers(len(families))]
        short = rng.random() < 0.5
        level = (
            int(rng.choice(DIRECT_LEVELS, p=_DIRECT_SHARES))
            if short
            else int(rng.integers(1, NUM_LEVELS + 1))
        )
        lessons += _lessons_of(sketch(family, level, "train", rng), rng)
    return lessons[:num_lessons]
