"""What a run leaves behind for its report: stages, artifacts, gates and the resolved recipe."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, JsonValue

from contracts.artifact import Artifact, Count, Record, Text
from contracts.paths import FileName

StageKind = Literal["curate", "sft", "rl", "evaluate"]


class StageRecord(Record):
    """One stage of the run.

    Fields:
        name: The stage's name; a training stage has its name from the recipe.
        kind: Which of the four kinds of stage it is.
        seconds: Wall time the stage took in this run (near 0 when reused).
        reused: True when an earlier run had already made this very artifact.
        artifact: What the stage produced.
        inputs: What the stage read, in the order it was given.
        remarks: What a reader should know of a reused artifact, in words.
    """

    name: Text
    kind: StageKind
    seconds: Annotated[float, Field(ge=0.0, le=1e12)]
    reused: bool
    artifact: Artifact
    inputs: tuple[Artifact, ...] = ()
    remarks: tuple[Text, ...] = ()


class GateCheck(Record):
    """One expectation of a gate, with what was seen and what was asked for."""

    name: Text
    observed: JsonValue
    expected: JsonValue
    passed: bool


class GateRecord(Record):
    """One data-quality gate and all its checks."""

    name: Text
    severity: Literal["error", "warning"]
    passed: bool
    checks: tuple[GateCheck, ...] = ()


class RunRecord(Record):
    """Everything the report says about a run beside the files its stages wrote.

    Fields:
        name: The run's name, as the orchestrator, the report's title and its folder show it.
        seed: The seed of the run.
        recipe: The resolved recipe, every default filled in, no secrets.
        code_version: Version of this project, with the commit where it is known.
        created: When the run started, with its time zone.
        stages: In the order they ran; a stage that did not finish is absent.
        gates: In the order they were passed.
    """

    name: FileName
    seed: Count
    recipe: dict[str, JsonValue]
    code_version: Text
    created: AwareDatetime
    stages: tuple[StageRecord, ...] = ()
    gates: tuple[GateRecord, ...] = ()


def recipe_digest(recipe: Mapping[str, JsonValue]) -> str:
    """SHA-256, in hex, of a resolved recipe as JSON with sorted keys and no spaces."""
    text = json.dumps(recipe, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
