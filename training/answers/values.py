"""The kinds of values that an answer may be, beside numbers."""

from dataclasses import dataclass, field

from training.answers.numbers import Number
from training.answers.tree import Node
from training.answers.units import Unit


@dataclass(frozen=True)
class Words:
    """The letter of a choice, a sign of comparison, a time of day or a few words, lower case."""

    text: str


@dataclass(frozen=True)
class Expression:
    """An exact value, or one with variables; perhaps with a unit."""

    tree: Node
    unit: Unit | None = None


@dataclass(frozen=True)
class Relation:
    """An equation, or an inequality that is no interval: `difference` is 0, > 0 or >= 0."""

    sign: str
    difference: Node


@dataclass(frozen=True)
class Items:
    """Several values.

    Attributes:
        kind: `set` (braces or no bracket: the order is free), `matrix` (of rows), `row`, or the
            two brackets of a tuple or interval.
        items: The values.
        name: The variable of an interval that is written as an inequality, or of a list.
    """

    kind: str
    items: "tuple[Value, ...]"
    name: str = field(default="", compare=False)


Value = Number | Words | Items | Expression | Relation


def labels(items: Items) -> dict[str, Value]:
    """The values of `x = 5, y = 7` by their names; empty for other lists."""
    named = [part for part in items.items if isinstance(part, Items) and part.kind.endswith(" =")]
    return {part.kind.removesuffix(" ="): part.items[0] for part in named}


def is_labelled(items: Items) -> bool:
    """Whether each value of a list has a name of its own."""
    return len(labels(items)) == len(items.items) > 1
