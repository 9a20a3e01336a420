"""What a family of problems is made of, and how its wordings and layouts are split.

A template is one opening with one ask (and, for pictures, one palette with one arrangement).
Every part occurs in training, but the combinations of validation and test are kept from it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from training.records import Modality

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
NUM_LEVELS = 10
NAMES = "abcdefghijklmnopqrstuv"  # of the givens: a name tells a tiny model where it is in a list

_SPLIT_OF_CELL: tuple[Split, ...] = ("train", "train", "validation", "test")


def cells(split: Split, num_rows: int, num_columns: int) -> list[tuple[int, int]]:
    """The cells of a grid of combinations that belong to a split; the splits share no cell."""
    return [
        (row, column)
        for row in range(num_rows)
        for column in range(num_columns)
        if _SPLIT_OF_CELL[(row + 2 * column) % 4] == split
    ]


@dataclass(frozen=True)
class Facts:
    """One problem before it is worded or drawn.

    Attributes:
        reading: The givens in one line; those that many steps use are named a, b, c...
        values: What the names a, b, c... stand for, in order.
        steps: The reasoning after the givens.
        answer: The reference answer.
        slots: What fills the placeholders of the wordings.
        rule: Which group of asks the answer belongs to.
    """

    reading: str
    values: tuple[str, ...]
    steps: str
    answer: str
    slots: Mapping[str, str] = field(default_factory=dict)
    rule: str = "only"


@dataclass(frozen=True)
class Layout:
    """How a picture is drawn: colours and arrangement."""

    palette: int
    arrangement: int


@dataclass(frozen=True)
class Family:
    """One topic.

    Attributes:
        name: The topic.
        openings: Four ways to present the givens, with `{slot}` placeholders.
        asks: For each rule, four ways to ask.
        draw: Facts of a level from a generator.
        picture: The picture of facts as pixels [height, width, 3] uint8; None for text.
    """

    name: str
    openings: tuple[str, str, str, str]
    asks: Mapping[str, tuple[str, str, str, str]]
    draw: Callable[[np.random.Generator, int], Facts]
    picture: Callable[[Facts, Layout, Split, np.random.Generator], np.ndarray] | None = None

    @property
    def modality(self) -> Modality:
        """`text` without pictures, else `multimodal`."""
        return "text" if self.picture is None else "multimodal"
