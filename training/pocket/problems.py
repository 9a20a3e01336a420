"""Generated problems in the record schema: nine text and six image families, ten levels."""

from dataclasses import dataclass

import numpy as np

from training.pocket.drawing import encode_png
from training.pocket.family import NUM_LEVELS, SPLITS, Facts, Family, Layout, Split, cells
from training.pocket.image_families import IMAGE_FAMILIES
from training.pocket.text_families import TEXT_FAMILIES
from training.records import EncodedImage, Modality, Problem

FAMILIES: dict[Modality, tuple[Family, ...]] = {
    "text": TEXT_FAMILIES,
    "multimodal": IMAGE_FAMILIES,
}


@dataclass(frozen=True)
class Sketch:
    """A drawn problem, its wording still in two parts.

    Attributes:
        opening: The sentences that present the givens.
        ask: The sentence that asks.
    """

    family: Family
    level: int
    template: str
    facts: Facts
    opening: str
    ask: str
    images: list[EncodedImage]


def sketch(family: Family, level: int, split: Split, rng: np.random.Generator) -> Sketch:
    """Draws one problem of a family and a level with a split's templates and digit images."""
    facts = family.draw(rng, level)
    wordings = cells(split, 4, 4)
    opening, ask = wordings[rng.integers(len(wordings))]
    template = f"{facts.rule}-{opening}{ask}"
    images: list[EncodedImage] = []
    if family.picture is not None:
        layouts = cells(split, 4, 2)
        layout = Layout(*layouts[rng.integers(len(layouts))])
        template += f"-{layout.palette}{layout.arrangement}"
        pixels = family.picture(facts, layout, split, rng)
        images.append(EncodedImage(bytes=encode_png(pixels), path=None))
    return Sketch(
        family,
        level,
        template,
        facts,
        family.openings[opening].format(**facts.slots),
        family.asks[facts.rule][ask].format(**facts.slots),
        images,
    )


def response(reading: str, steps: str, answer: str) -> str:
    """A whole response: the givens, the steps if any, the answer."""
    thought = f"Given: {reading}. {steps}." if steps else f"Given: {reading}."
    return f"<think>{thought}</think>\\boxed{{{answer}}}"


def generate(modality: Modality, split: Split, num_problems: int, seed: int) -> list[Problem]:
    """Generates problems, families and levels drawn uniformly.

    Args:
        modality: `text` or `multimodal`.
        split: Which templates and digit images may be used; the splits share none.
        num_problems: How many.
        seed: Same arguments, same bytes.
    """
    key = (seed, SPLITS.index(split), list(FAMILIES).index(modality))
    rng = np.random.default_rng(np.random.SeedSequence(key))
    families = FAMILIES[modality]
    problems = []
    for number in range(num_problems):
        family = families[rng.integers(len(families))]
        drawn = sketch(family, int(rng.integers(1, NUM_LEVELS + 1)), split, rng)
        problems.append(as_problem(drawn, f"pocket/{split}/{seed}/{family.name}/{number:06d}"))
    return problems


def as_problem(drawn: Sketch, identity: str) -> Problem:
    """A sketch in the record schema, under an id."""
    facts = drawn.facts
    return Problem(
        id=identity,
        source="pocket",
        modality=drawn.family.modality,
        family=drawn.family.name,
        template=f"{drawn.family.name}-{drawn.template}",
        level=drawn.level,
        question=f"{drawn.opening} {drawn.ask}",
        images=drawn.images,
        answer=facts.answer,
        solution=response(facts.reading, facts.steps, facts.answer),
        reading=facts.reading,
        pass_rate=None,
    )
