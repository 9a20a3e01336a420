"""What a metrics sink is, and which run in it belongs to a stage."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from infra.launcher import Metrics

# Where a stage is, which is no measurement.
_POSITION = ("step", "num_steps")


@dataclass(frozen=True)
class SinkRun:
    """One stage, as a sink knows it.

    Attributes:
        project: W&B's project and MLflow's experiment.
        recipe: The recipe's name.
        stage: The stage's name.
        key: The stage's key. Whichever run goes on with a stage, here or on another machine, has
            the same one, and so goes on in the same run of the sink.
        run: The name of the run that makes the stage now.
        settings: The fields of the recipe that decide the stage's result; they name no place.
    """

    project: str
    recipe: str
    stage: str
    key: str
    run: str
    settings: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Short enough for every sink, and no other stage's."""
        return self.key[:32]


class Sink(Protocol):
    """Holds the figures of one stage, by step.

    Attributes:
        place: Where a person finds them.
        last_step: The last step that it holds already; 0 if it holds none.
    """

    place: str
    last_step: int

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Adds a step's figures; steps ascend."""
        ...

    def drop(self) -> None:
        """Lets go of what it holds after an error, and says of no end: the stage may go on."""
        ...

    def close(self, *, succeeded: bool) -> None:
        """Sends what was not sent yet, and says how the stage ended."""
        ...


def figures_of(metrics: Metrics) -> dict[str, float]:
    """A step's measurements: whatever has a value, as numbers."""
    return {
        name: float(value)
        for name, value in metrics.items()
        if name not in _POSITION and value is not None
    }
