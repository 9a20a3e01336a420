"""What a run asks of a worker elsewhere: one stage, its inputs and its result by reference."""

from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, JsonValue

from contracts.artifact import Artifact, Record, Sha256, Text
from contracts.paths import FileName
from contracts.run_record import StageKind


class StageRequest(Record):
    """One stage to make; the result is found in the store, under the stage's key.

    Attributes:
        run_id: The run that asks; the stage ends when this run does.
        run: Its name.
        created: When it was created.
        family: The run whose id is part of the key if nothing is reused; None for `run_id`.
        reuse: What it takes from the store; with `none` an id is part of the key.
        recipe: The resolved recipe.
        stage: `curate`, the name of a training stage, or `evaluate`.
        kind: Which kind of stage that is.
        inputs: What it reads, by the names it knows it by; pairs, for their order counts.
        store: Address of the store, the same for both.
        key: The stage's key, as the run has worked it out with its own code.
    """

    run_id: UUID
    run: FileName
    created: AwareDatetime
    family: UUID | None = None
    reuse: Literal["code", "recipe", "none"]
    recipe: dict[str, JsonValue]
    stage: Text
    kind: StageKind
    inputs: tuple[tuple[Text, Artifact], ...]
    store: Text
    key: Sha256
