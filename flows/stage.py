"""One stage on another machine: what the workers of other pools run.

It ends in a state that has the name of the kind of error: `StageError`, `StageLost`,
`StagePreempted` or `GateError`. The run that asked for the stage raises the same kind
(`tasks.pools`).
"""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from contracts.errors import RevisualError, StageError
from contracts.request import StageRequest
from contracts.secrets import without_secrets
from data_checks.gate import GateError
from tasks.requested import make_requested


@flow(name="revisual-stage", log_prints=True)
def stage(request: StageRequest) -> State[Any]:
    """Makes one stage's artifact, and leaves it in the store.

    Args:
        request: The stage, by references.

    Returns:
        How it ended.
    """
    try:
        artifact = make_requested(request)
    except StageError as error:
        return Failed(name=type(error).__name__, message=without_secrets(str(error)))
    except RevisualError as error:
        kind = GateError if isinstance(error, GateError) else StageError
        return Failed(name=kind.__name__, message=f"{type(error).__name__}: {error}")
    return Completed(message=f"Made {artifact.uri}")
