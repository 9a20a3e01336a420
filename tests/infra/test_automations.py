"""Which flow runs the server starts again by itself, as its own trigger reads an event."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from prefect.server.events.schemas.automations import EventTrigger
from prefect.server.events.schemas.events import ReceivedEvent

from flows.ablation import ablation, arm
from flows.curate import curate
from flows.evaluate import evaluate
from flows.full import full
from flows.stage import stage
from infra.automations import crash_silent_runs, restart_crashed_runs


def covers(automation, flow, event):
    """Whether an automation hears of an event of a flow's run, with what the server adds to it."""
    trigger = EventTrigger.model_validate(automation.trigger.model_dump(mode="json"))
    roles = {"flow": flow.name, "deployment": "full", "work-pool": "revisual"}
    related = [
        {
            "prefect.resource.id": f"prefect.{role}.{uuid4()}",
            "prefect.resource.role": role,
            "prefect.resource.name": name,
        }
        for role, name in roles.items()
    ]
    return trigger.covers(
        ReceivedEvent(
            id=uuid4(),
            occurred=datetime.now(UTC),
            received=datetime.now(UTC),
            event=event,
            resource={"prefect.resource.id": f"prefect.flow-run.{uuid4()}"},
            related=related,
        )
    )


@pytest.mark.parametrize("flow", [full, curate, ablation, evaluate], ids=lambda flow: flow.name)
def test_whole_runs_that_crashed_are_started_again(flow):
    for event in ("Crashed", "Running", "Cancelled"):
        assert covers(restart_crashed_runs(), flow, f"prefect.flow-run.{event}")
    assert not covers(restart_crashed_runs(), flow, "prefect.flow-run.heartbeat")


@pytest.mark.parametrize("flow", [stage, arm], ids=lambda flow: flow.name)
def test_what_a_run_tries_again_itself_is_left_to_it(flow):
    assert not covers(restart_crashed_runs(), flow, "prefect.flow-run.Crashed")
    # That it is dead must be seen all the same: the run that asked for it waits for its end.
    for event in ("heartbeat", "Crashed"):
        assert covers(crash_silent_runs(), flow, f"prefect.flow-run.{event}")
