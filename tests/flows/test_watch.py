"""What a person who watches a run is told."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.states import AwaitingConcurrencySlot, Pending, Running, Scheduled, Suspended

from contracts.scores import Score, unanswered
from flows.watch import accuracy_table, waits_for
from infra.settings import Settings

NOW = datetime.now(UTC)
A_MINUTE_AGO, IN_AN_HOUR = NOW - timedelta(minutes=1), NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (Scheduled(scheduled_time=IN_AN_HOUR), ""),
        (Scheduled(scheduled_time=A_MINUTE_AGO), "waits for its turn"),
        (Scheduled(name="Resuming", scheduled_time=A_MINUTE_AGO), "waits for its turn"),
        (AwaitingConcurrencySlot(), "waits for its turn"),
        (Pending(), ""),
        (Running(), ""),
        (Suspended(), "waits for a person: release or refuse its gate at http://127.0.0.1:7/runs"),
    ],
)
def test_what_a_run_waits_for(state, told, tmp_path):
    settings = Settings(home=tmp_path, store_uri=str(tmp_path), port=7)
    said = waits_for(settings, FlowRun(flow_id=uuid4(), name="quiet-owl", state=state))
    assert said.startswith("quiet-owl waits") == bool(told)
    assert told in said


def test_a_score_that_is_not_of_the_whole_benchmark_is_marked():
    fields = {"value": 0.5, "low": 0.4, "high": 0.6, "num_problems": 9}
    whole = Score(policy="base", benchmark="a", metric="accuracy", **fields)
    lacking = whole.model_copy(
        update={
            "benchmark": "b",
            "metric": "mean@4",
            "failures": {"time-out": 2},
            "findings": {"found": 1, "failed": 3},
        }
    )
    table = accuracy_table([whole, lacking])
    assert [column.header for column in table.columns] == ["policy", "a", "b (mean@4)"]
    cells = [next(column.cells) for column in table.columns]
    assert cells == ["base", "50.0% [40.0%, 60.0%]", "50.0% [40.0%, 60.0%] *"]
    (said,) = unanswered([whole, lacking])
    assert said.startswith("base on b: 5 answer(s) did not come (time-out: 2, the judge: 3).")
