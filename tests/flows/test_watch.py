"""What a person who watches a run is told."""

from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.states import AwaitingConcurrencySlot, Late, Pending, Running, Scheduled, Suspended

from flows.watch import waits_for
from infra.settings import Settings


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (Scheduled(), ""),
        (Pending(), ""),
        (Running(), ""),
        (Late(), "waits for its turn"),
        (AwaitingConcurrencySlot(), "waits for its turn"),
        (Suspended(), "waits for a person: release or refuse its gate at http://127.0.0.1:7/runs"),
    ],
)
def test_what_a_run_waits_for(state, told, tmp_path):
    settings = Settings(home=tmp_path, store_uri=str(tmp_path), port=7)
    said = waits_for(settings, FlowRun(flow_id=uuid4(), name="quiet-owl", state=state))
    assert said.startswith("quiet-owl waits") == bool(told)
    assert told in said
