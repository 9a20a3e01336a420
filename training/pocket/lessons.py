"""What the pocket base is taught: to read givens of every length, and to do short problems.

Problems of one or two steps are solved; long ones are only read (first, last, how many, largest),
and single sums are drilled. The base never sees a third step, so long problems are the cold
start's to open. Texts and pictures are taught alike: what a text-only cold start then teaches
reaches pictures, which it did not while the base answered at once (docs/pocket.md).
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from training.pocket.family import NAMES, NUM_LEVELS, Facts, Split
from training.pocket.problems import FAMILIES, Sketch, as_problem, response, sketch
from training.pocket.steps import LARGEST_TOTAL, apply_move
from training.records import EncodedImage, Modality, Problem

SHORT_LEVELS = (1, 2)  # a level is a number of steps

Kind = Literal["short", "glance", "drill"]


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
        kind: `short` for problems of one or two steps with their solution, `glance` for questions
            that one look at the givens of a problem of any level answers, `drill` for single sums
            (text only).
        num_lessons: How many.
        rng: Decides everything.
    """
    families = FAMILIES[modality]
    lessons: list[Lesson] = []
    while len(lessons) < num_lessons:
        if kind == "drill":
            lessons.append(_drill(rng))
            continue
        if kind == "glance":
            lessons.append(_lesson(_draw_glance(modality, "train", rng)))
            continue
        family = families[rng.integers(len(families))]
        lessons.append(_lesson(sketch(family, int(rng.choice(SHORT_LEVELS)), "train", rng)))
    return lessons


def reading_problems(
    modality: Modality, split: Split, num_problems: int, rng: np.random.Generator
) -> list[Problem]:
    """Problems of any level whose question one look at the givens answers."""
    drawn = (_draw_glance(modality, split, rng) for _ in range(num_problems))
    return [as_problem(glance, f"glance/{place:06d}") for place, glance in enumerate(drawn)]


def _draw_glance(modality: Modality, split: Split, rng: np.random.Generator) -> Sketch:
    """A problem that asks for one look instead of its steps."""
    families = FAMILIES[modality]
    while True:
        family = families[rng.integers(len(families))]
        drawn = sketch(family, int(rng.integers(1, NUM_LEVELS + 1)), split, rng)
        glances = _glances(drawn.facts, rng)
        if glances:
            ask, answer = glances[rng.integers(len(glances))]
            return replace(drawn, ask=ask, facts=replace(drawn.facts, steps="", answer=answer))


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


def _lesson(drawn: Sketch) -> Lesson:
    facts = drawn.facts
    solution = response(facts.reading, facts.steps, facts.answer)
    return Lesson(f"{drawn.opening} {drawn.ask}", solution, drawn.images)


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
