"""Answers the question of a run that waits at a gate, without a browser."""

from typing import Literal
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import SetStateStatus

from contracts.errors import ServiceError
from infra.access import api_client
from infra.settings import Settings


def decide(
    settings: Settings, name: str, decision: Literal["release", "refuse"], reason: str
) -> FlowRun:
    """Releases or refuses the gate that a run waits at, as the form in the Prefect UI does.

    Args:
        settings: Where the server is.
        name: The run's name or id.
        decision: Whether the run goes on.
        reason: Why; kept in the run's report.

    Raises:
        ServiceError: There is no such run, it does not wait, or the answer is not accepted.
    """
    with api_client(settings) as client:
        run = _find(client, settings, name)
        if run.state is None or not run.state.is_paused():
            raise _refused(settings, f"The run {run.name} waits at no gate: it is {run.state_name}")
        answer = {"decision": decision, "reason": reason}
        response = client.resume_flow_run(run.id, run_input=answer)
    if response.status != SetStateStatus.ACCEPT:
        why = getattr(response.details, "reason", None) or response.status.value
        raise _refused(settings, f"The answer to the run {run.name} was not accepted: {why}")
    return run


def _find(client: SyncPrefectClient, settings: Settings, name: str) -> FlowRun:
    try:
        return client.read_flow_run(UUID(name))
    except ValueError:  # no id
        named = FlowRunFilter(name=FlowRunFilterName(any_=[name]))
        runs = client.read_flow_runs(flow_run_filter=named)
    waiting = [run for run in runs if run.state is not None and run.state.is_paused()]
    if not runs:
        raise _refused(settings, f"There is no run {name!r}")
    return (waiting or runs)[0]


def _refused(settings: Settings, what: str) -> ServiceError:
    return ServiceError(
        f"{what.rstrip('.')}.",
        where=settings.api_url,
        rule='a gate with on_failure = "pause" asks whether its run is released or refused, '
        "with a reason of at least 3 characters",
        fix="name a run that `prefect flow-run ls` shows as Suspended or Paused",
    )
