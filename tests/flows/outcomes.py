"""What a finished run leaves: assets and tasks in Prefect, a record and a report."""

import json
import re
import time
from uuid import UUID

from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterId,
)
from prefect.client.schemas.objects import State

from contracts.artifact import Artifact
from infra.access import api_client

ROLE = "prefect.resource.role"
# Of a whole run that trains with pictures.
GATES = [
    *("curation", "checkpoint-cold_start", "checkpoint-multimodal_rl"),
    *("rollouts-multimodal_rl", "evaluation"),
]


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


def run_record(services) -> dict:
    records = (services.settings.reports).glob("*/run.json")
    return json.loads(max(records, key=lambda path: path.stat().st_mtime).read_text())


def num_prompts(services, evaluation: dict) -> int:
    """How many prompts an evaluation asked that no other had asked before, by its log."""
    artifact = Artifact.model_validate(evaluation["artifact"])
    log = services.settings.store().fetch(artifact, only=["log.txt"]) / "log.txt"
    (found,) = re.findall(r"(\d+) requests, \d+ responses to draw", log.read_text())
    return int(found)


def of_run(run_id: UUID) -> ArtifactFilter:
    return ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))


def ended_steps(services, run_id: UUID, num_steps: int) -> dict[str, State]:
    """How the steps of a run's curation ended, in order; the server hears of it a little later.

    So it does of a task that is being made, which has no state at first.
    """
    of_run, deadline = FlowRunFilter(id=FlowRunFilterId(any_=[run_id])), time.monotonic() + 120
    while time.monotonic() < deadline:
        with api_client(services.settings) as client:
            found = client.read_task_runs(flow_run_filter=of_run)
        steps = [one for one in found if one.name.startswith("curate: ")]
        tasks = [one for one in found if one.name == "curate"]  # the graph has them in it
        have_ended = all(one.state and one.state.is_final() for one in found)
        if len(steps) == num_steps and tasks and have_ended and all(s.start_time for s in steps):
            steps.sort(key=lambda one: one.start_time)
            (task,) = tasks
            assert all(one.task_inputs["__parents__"][0].id == task.id for one in steps)
            return {one.name.removeprefix("curate: "): one.state for one in steps}
        time.sleep(0.5)
    raise AssertionError(found)
