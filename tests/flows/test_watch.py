"""What a person who watches a run is told."""

import io
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.states import AwaitingConcurrencySlot, Pending, Running, Scheduled, Suspended
from rich.console import Console

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
    assert [column.header for column in table.columns] == ["benchmark", "base"]
    assert [list(column.cells) for column in table.columns] == [
        ["a", "b (mean@4)"],
        ["50.0 [40.0,60.0]", "50.0* [40.0,60.0]"],
    ]
    (said,) = unanswered([whole, lacking])
    assert said.startswith("base on b: 5 answer(s) did not come (time-out: 2, the judge: 3).")


def test_the_table_of_ten_benchmarks_is_whole_in_80_columns():
    benchmarks = ("aime24", "math-500", "gpqa-diamond", "mathverse", "mathvision", "mathvista")
    benchmarks += ("aime25", "we-math", "dynamath", "logicvista")
    policies = ("base", "cold_start", "multimodal_rl", "text_rl")
    scores = [
        Score(
            policy=policy,
            benchmark=benchmark,
            metric="mean@32",
            value=row / 100 + column / 1000,
            low=row / 100,
            high=1.0,
            num_problems=9,
        )
        for row, benchmark in enumerate(benchmarks, start=11)
        for column, policy in enumerate(policies, start=1)
    ]
    console = Console(file=io.StringIO(), width=80)
    console.print(accuracy_table(scores))
    lines = console.file.getvalue().splitlines()
    shown = " ".join(lines).split()
    assert max(map(len, lines)) <= 80 and "…" not in "".join(lines)
    assert {*benchmarks, *policies} <= set(shown)
    for row in range(11, 21):
        assert {f"{row}.{column}" for column in range(1, 5)} <= set(shown)
        assert shown.count(f"[{row}.0,100.0]") == 4
