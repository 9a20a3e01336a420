"""Which rows of a file a source takes: by values of a column, such as a grade that came with it."""

from collections.abc import Mapping, Sequence

from training.curation.columns import Missing, value_at
from training.curation.lines import Row
from training.curation.refused import Refused
from training.recipe.curation import NOT_KEPT
from training.recipe.sources import KeptValue

MAX_SHOWN_CHARACTERS = 40  # of a value in a reason


def check_kept(row: Row, keep: Mapping[str, Sequence[KeptValue]]) -> None:
    """Checks that each column has one of its values: a text (without spaces around it), a truth
    value or a number, none of which is another kind's.

    Args:
        row: Values by column.
        keep: Column, or a path into one -> the values with which a row is taken.

    Raises:
        Refused: One has another value, or none; it names the column and what is there.
    """
    for path, named in keep.items():
        found = value_at(row, path)
        value = found.strip() if isinstance(found, str) else found
        if not any(_is_same(value, one) for one in named):
            raise Refused(f"`{path}` is {_shown(value)}{NOT_KEPT}")


def _is_same(value: object, named: KeptValue) -> bool:
    """Whether they are equal; Python takes `True` for 1."""
    return isinstance(value, bool) is isinstance(named, bool) and value == named


def _shown(value: object) -> str:
    """A value in a reason: as it is where it is short; a column of grades has few of these."""
    match value:
        case None | Missing():
            return "null"
        case bool():
            return str(value).lower()
        case str() if len(value) <= MAX_SHOWN_CHARACTERS and value.isprintable():
            return repr(value)
        case str():
            return "another text"
        case int() if abs(value) < 10**6:
            return str(value)
        case int() | float():
            return "another number"
        case list():
            return "a list"
        case dict():
            return "a struct"
    return "no text, number or truth value"
