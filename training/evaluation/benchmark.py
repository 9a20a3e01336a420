"""What every benchmark is: a small module that says where it lies and reads its items.

How its items make one number stands apart (`training.evaluation.metrics`): curation, which has to
know the questions, then depends on no scoring.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from training.evaluation.items import Item


@dataclass(frozen=True)
class HubSet:
    """Where a benchmark was published; a recipe may name another place.

    Attributes:
        path: The hub's id.
        split: One split, or several with a plus sign between them.
        config: Configuration; None for the data set's default.
        revision: Branch, tag or commit.
    """

    path: str
    split: str
    config: str | None = None
    revision: str = "main"


# Where a hub keeps its conversion of a data set that was published as CSV or JSON lines.
CONVERTED = "refs/convert/parquet"


class Benchmark(Protocol):
    """A module of training.evaluation satisfies it.

    Attributes:
        METRIC: Name of what its items are summed up by, one of `training.evaluation.metrics`.
        PLACE: Where it was published; None for a benchmark that is generated.
        NEEDS_IMAGES: Whether every item has to have an image.
    """

    METRIC: str
    PLACE: HubSet | None
    NEEDS_IMAGES: bool

    def load(self, name: str, folder: Path, num_problems: int | None) -> list[Item]:
        """Its items; the same in every run.

        Args:
            name: By what name the recipe knows it.
            folder: Its Parquet files; a generated benchmark reads none.
            num_problems: The first so many clusters of items, or all.

        Raises:
            DataError: The files are not what was published.
        """
        ...
