"""What the Prefect server does by itself about a run whose processes died without a word.

A flow's process sends heartbeats (`infra.services.HEARTBEAT_SECONDS`). When none comes for
`MISSED_SECONDS`, nor word of the run's end, the run is marked as crashed: nobody is left to say so.
A second automation starts crashed runs again; it is switched off until a person wants it.
"""

from datetime import timedelta

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

from infra.settings import DEPLOYMENT

MISSED_SECONDS = 90
# The worker may report a crash twice within ten seconds: after this, nobody reports it any more.
SETTLED_SECONDS = 30
# Names of states, as events are named after them, of a run that has not stayed crashed.
OTHER_STATES = (
    *("Scheduled", "Late", "AwaitingRetry", "AwaitingConcurrencySlot", "Pending", "Submitting"),
    *("InfrastructurePending", "Running", "Retrying", "Paused", "Suspended", "Resuming"),
    *("Cancelling", "Cancelled", "Completed", "Failed", "TimedOut"),
)
# What the server says of an event's run: the name of its flow, which all whole runs share.
_WHOLE_RUNS = ResourceSpecification(
    {"prefect.resource.role": "flow", "prefect.resource.name": DEPLOYMENT.partition("/")[0]}
)
_ANY = ResourceSpecification({})
CRASH_SILENT_RUNS = "revisual: mark runs without heartbeats as crashed"
RESTART_CRASHED_RUNS = "revisual: start crashed runs again"


def create_automations(client: SyncPrefectClient) -> None:
    """Creates those that are missing; what a person changed or switched off stays as it is."""
    for automation in (crash_silent_runs(), restart_crashed_runs()):
        if not client.read_automations_by_name(automation.name):
            client.create_automation(automation)


def crash_silent_runs(missed_seconds: float = MISSED_SECONDS) -> AutomationCore:
    """Marks a run as crashed whose heartbeats have stopped."""
    # A run that waits for a person at a gate is suspended: it has no process meanwhile.
    ended = ("Completed", "Failed", "Cancelled", "Crashed", "Suspended")
    ends = {f"prefect.flow-run.{end}" for end in ended}
    heartbeat = "prefect.flow-run.heartbeat"
    return AutomationCore(
        name=CRASH_SILENT_RUNS,
        description="The run's process, and whoever could have told of its end, died.",
        trigger=_silence({heartbeat}, {heartbeat, *ends}, missed_seconds),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                name="Crashed",
                message=f"No heartbeat for {missed_seconds:.0f} s: the run's process is dead.",
                force=False,
            )
        ],
    )


def restart_crashed_runs(settled_seconds: float = SETTLED_SECONDS) -> AutomationCore:
    """Schedules a run again that has crashed and stayed so; switched off.

    Whole runs alone. A stage in another pool (`flows.stage`) is a flow run, too, and the run that
    asked for it tries it again itself: both would be once too often. An arm (`flows.ablation`)
    comes again with its ablation.
    """
    # Not whatever a run's events are called: its worker sends more after the crash.
    others = {f"prefect.flow-run.{name}" for name in OTHER_STATES}
    return AutomationCore(
        name=RESTART_CRASHED_RUNS,
        description="The run goes on after its newest step checkpoint. It is started again as "
        "often as it crashes.",
        enabled=False,
        trigger=_silence({"prefect.flow-run.Crashed"}, others, settled_seconds, of=_WHOLE_RUNS),
        actions=[
            ChangeFlowRunState(
                state=StateType.SCHEDULED,
                name="AwaitingRetry",
                message="Started again.",
                force=False,
            )
        ],
    )


def _silence(
    after: set[str], expect: set[str], seconds: float, *, of: ResourceSpecification = _ANY
) -> EventTrigger:
    """Fires for a flow run of which nothing expected is heard so long after something else."""
    return EventTrigger(
        match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
        match_related=of,
        for_each={"prefect.resource.id"},
        after=after,
        expect=expect,
        posture=Posture.Proactive,
        threshold=1,
        within=timedelta(seconds=seconds),
    )
