"""What a gate saw of a stage that it stopped in another pool, for the run that asked for the stage.

A flow run tells others how it ended in a few words. The gate's tables and page go through the
store, under a key of the stage's own flow run, so that the run shows them as if it had trained
here.
"""

import tempfile
from pathlib import Path
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from contracts.artifact import Artifact
from contracts.errors import StoreError
from contracts.provenance import Provenance
from contracts.run_record import GateRecord
from data_checks.gate import GateError
from data_checks.validate import Checked
from infra.store import Store
from tasks.keys import name_key

KIND, FILE = "gate", "gate.json"


class _Seen(BaseModel):
    """A `GateError` as a file."""

    model_config = ConfigDict(frozen=True)
    record: GateRecord
    rows: tuple[dict[str, str], ...]
    docs: str
    where: str
    fix: str


def leave_stop(store: Store, stage_run: UUID, error: GateError, provenance: Provenance) -> Artifact:
    """Leaves what the gate saw in the store.

    Args:
        store: Of the run and of this machine.
        stage_run: The stage's own flow run.
        error: What stopped the stage.
        provenance: For the manifest.

    Raises:
        StoreError: The store cannot be written.
    """
    checked = error.checked
    seen = _Seen(
        record=checked.record,
        rows=checked.rows,
        docs=checked.docs,
        where=error.where,
        fix=error.fix,
    )
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / FILE).write_text(seen.model_dump_json(), encoding="utf-8")
        artifact = store.publish(Path(folder), KIND, provenance)
    store.append(_key(stage_run), artifact)
    return artifact


def find_stop(store: Store, stage_run: UUID) -> GateError | None:
    """The error that stopped the stage of a flow run; None if nobody left any.

    Raises:
        StoreError: The store cannot be read, or what lies there is no gate's.
    """
    artifact = store.find(_key(stage_run))
    if artifact is None:
        return None
    try:
        seen = _Seen.model_validate_json((store.fetch(artifact) / FILE).read_bytes())
    except (OSError, ValidationError) as error:
        raise StoreError(
            "What a gate has left cannot be read.",
            where=artifact.uri,
            rule=f"it is {FILE}, with the gate's record, rows and page",
            fix="bring both machines to one version of the project",
        ) from error
    return GateError(Checked(seen.record, seen.rows, seen.docs), where=seen.where, fix=seen.fix)


def _key(stage_run: UUID) -> str:
    return name_key("stopped", str(stage_run))
