"""What a run leaves behind for its report: stages, artifacts, gates and the resolved recipe."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, JsonValue

from contracts.artifact import Artifact, Count, Record, Sha256, Text
from contracts.paths import FileName

StageKind = Literal["curate", "sft", "rl", "evaluate"]
# Whether a broken expectation stops a run, or is only told.
Severity = Literal["error", "warning"]


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
    """One expectation of a gate, with what was seen and what was asked for.

    Fields:
        name: The table that it was asked of, and its own name.
        observed: What was seen.
        expected: What was asked for.
        passed: Whether they agree.
        severity: Whether breaking it stops the run; None, in older records, is the gate's.
        num_broken: How many rows break it; None where it is asked of a whole table.
        first_ids: The first of them.
    """

    name: Text
    observed: JsonValue
    expected: JsonValue
    passed: bool
    severity: Severity | None = None
    num_broken: Count | None = None
    first_ids: tuple[str, ...] = ()


class GateDecision(Record):
    """What a person decided about a gate that stopped a run.

    Fields:
        verdict: Whether the run went on.
        reason: In the person's words.
        decided: When it took effect.
        sha256: Digest of the artifact that it is about; older records do not say.
    """

    verdict: Literal["released", "refused"]
    reason: Text
    decided: AwareDatetime
    sha256: Sha256 | None = None


class GateRecord(Record):
    """One data-quality gate and all its checks.

    Fields:
        name: The gate's name; a training stage's has the stage's behind it.
        severity: Of the checks that have none of their own.
        passed: Whether every check passed.
        checks: In the order they were made.
        decision: What a person made of the checks that failed, if one was asked.
    """

    name: Text
    severity: Severity
    passed: bool
    checks: tuple[GateCheck, ...] = ()
    decision: GateDecision | None = None

    @property
    def failed(self) -> tuple[GateCheck, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if not check.passed)

    @property
    def stopping(self) -> tuple[GateCheck, ...]:
        """The failed checks that stop a run."""
        return tuple(check for check in self.failed if (check.severity or self.severity) == "error")

    @property
    def verdict(self) -> Literal["passed", "warned", "failed", "released", "refused"]:
        """How the gate ended."""
        if self.decision is not None:
            return self.decision.verdict
        if self.passed:
            return "passed"
        return "failed" if self.stopping else "warned"


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
