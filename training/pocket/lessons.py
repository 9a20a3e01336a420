"""What the pocket base is taught: to read givens of every length, and to answer at once.

Short problems get a direct answer; long ones are only read (first, last, how many, largest), and
single sums are drilled. The base never sees steps that follow one another, so the cold start has
a format to teach and long problems to open.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from training.pocket.family import NAMES, NUM_LEVELS, Facts
from training.pocket.problems import FAMILIES, Sketch, response, sketch
from training.pocket.steps import LARGEST_TOTAL, apply_move
from training.records import EncodedImage, Modality

DIRECT_LEVELS = (1, 2, 3)  # problems the base answers at once
_DIRECT_SHARES = (0.45, 0.35, 0.20)

Kind = Literal["direct", "glance", "drill"]


@dataclass(frozen=True)
class Lesson:
    """One prompt with the response to imitate."""

    question: str
    response: str
    images: list[EncodedImage]


def draw_lessons(
    modality: Modality, kind: Kind, num_lessons: int, rng: np.random.Generator
) -> list[Lesson]:
    """Lessons from the training split.

    Args:
        modality: Where the givens are.
        kind: `direct` for short problems with their answer, `glance` for questions that one look
            at the givens of a problem of any level answers, `drill` for single sums (text only).
        num_lessons: How many.
        rng: Decides everything.
    """
    families = FAMILIES[modality]
    lessons: list[Lesson] = []
    while len(lessons) < num_lessons:
        if kind == "drill":
            lessons.append(_drill(rng))
            continue
        family = families[rng.integers(len(families))]
        if kind == "direct":
            level = int(rng.choice(DIRECT_LEVELS, p=_DIRECT_SHARES))
            drawn = sketch(family, level, "train", rng)
            lessons.append(_lesson(drawn, drawn.ask, drawn.facts.answer))
            continue
        drawn = sketch(family, int(rng.integers(1, NUM_LEVELS + 1)), "train", rng)
        glances = _glances(drawn.facts, rng)
        if glances:
            lessons.append(_lesson(drawn, *glances[rng.integers(len(glances))]))
    return lessons


def _drill(rng: np.random.Generator) -> Lesson:
    """Several sums of one step each: many facts in few tokens, which is what arithmetic needs."""
    on_a_clock = rng.random() < 0.25
    sums, equations = [], []
    for name in NAMES[: int(rng.integers(4, 9))]:
        if on_a_clock:
            start = int(rng.integers(1, 13))
            move = f"{rng.choice(['+', '-'])}{rng.integers(1, 4)}"
        else:
            start = int(rng.integers(0, LARGEST_TOTAL + 1))
            move = f"+{rng.integers(0, 10)}"
            if rng.random() < 0.5:
                move = f"-{rng.integers(0, start + 1)}"
        total = apply_move(start, move)
        sums.append(f"{start} {name}{move}")
        result = (total - 1) % 12 + 1 if on_a_clock else total
        equations.append(f"{sums[-1]}={result}")
    ask = "Find each hour:" if on_a_clock else "Find each result:"
    boxed = ", ".join(equations)
    return Lesson(f"{ask} {', '.join(sums)}.", f"<think></think>\\boxed{{{boxed}}}", [])


def _lesson(drawn: Sketch, ask: str, answer: str) -> Lesson:
    return Lesson(f"{drawn.opening} {ask}", response(drawn.facts.reading, "", answer), drawn.images)


def _glances(facts: Facts, rng: np.random.Generator) -> list[tuple[str, str]]:
    """Questions that one look at the givens answers, with their answers."""
    if not facts.values:
        return []
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
