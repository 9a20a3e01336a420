"""How a run ends, and what it leaves: assets in Prefect, and a report."""

import re
import time
from collections.abc import Callable
from uuid import UUID

from prefect.client.schemas.objects import FlowRun, State

from infra.access import api_client

ROLE = "prefect.resource.role"


def upstream(event: dict) -> list[str]:
    related = event["related"]
    return [one["prefect.resource.id"] for one in related if one.get(ROLE) == "asset"]


def require_assets(services, event: str, record: dict) -> None:
    """Every stage of the run is an asset with its inputs upstream, and with its digests."""
    stages = record["stages"]
    found = services.assets(event, [stage["artifact"]["uri"] for stage in stages])
    for stage in stages:
        one = found[stage["artifact"]["uri"]]
        assert upstream(one) == [given["uri"] for given in stage["inputs"]]
        assert one["payload"]["kind"] == stage["artifact"]["kind"]
        assert one["payload"]["sha256"] == stage["artifact"]["sha256"]
        assert re.fullmatch("[0-9a-f]{64}", one["payload"]["recipe_digest"])
        assert any(related.get(ROLE) == "flow-run" for related in one["related"])


def require_whole_report(page, record):
    """What was made, from what, and the pictures of the problems that were answered."""
    assert "<html" in page and "What is missing" in page and "every file was found" in page
    for stage in record["stages"]:
        assert stage["artifact"]["sha256"] in page
    assert page.count('src="data:image/png;base64,') == 4  # of the benchmark's four problems
    assert page.count("pocket_multimodal") >= 3  # the accuracies of three policies


def wait_for_run(services, run_id: UUID, condition: Callable[[FlowRun], bool]) -> State:
    deadline = time.monotonic() + 900
    with api_client(services.settings) as client:
        while time.monotonic() < deadline:
            run = client.read_flow_run(run_id)
            if condition(run):
                return run.state
            time.sleep(0.5)
    raise AssertionError(f"the run is still {run.state.name}")


def ended(services, run_id: UUID) -> State:
    return wait_for_run(services, run_id, lambda run: run.state.is_final())


def is_paused(run: FlowRun) -> bool:
    assert not run.state.is_final(), run.state.message
    return run.state.is_paused()
