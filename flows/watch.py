"""Starts a deployed run and shows it in the terminal until it ends."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    ArtifactFilterType,
    FlowRunFilter,
    FlowRunFilterId,
)
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelling
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.table import Table

from contracts.errors import ServiceError
from contracts.run_record import RunRecord
from contracts.scores import Score, Scores, unanswered
from contracts.secrets import without_secrets
from contracts.texts import marked
from infra import services
from infra.access import api_client
from infra.settings import Settings

POLL_SECONDS = 1.0
LINE_SECONDS = 15.0  # between two lines that only tell of progress
QUEUED_AFTER = timedelta(seconds=15)  # nobody has started it at its time: it waits for others


@dataclass(frozen=True)
class Step:
    """One task of the run, as the terminal shows it."""

    name: str
    state: str
    seconds: float
    progress: str


def start_run(settings: Settings, name: str, parameters: dict[str, Any]) -> UUID:
    """What `prefect deployment run NAME` does; returns the flow run's id."""
    with api_client(settings) as client:
        deployment = client.read_deployment_by_name(name)
        given = {name: value for name, value in parameters.items() if value is not None}
        return client.create_flow_run_from_deployment(deployment.id, parameters=given).id


def watch(settings: Settings, run_id: UUID) -> int:
    """Shows a run until it ends.

    Returns:
        0 if it completed, else 1.

    Raises:
        ServiceError: The server or the worker died meanwhile.
    """
    console = Console()
    run, is_completed = _until_end(settings, run_id, console)
    if not is_completed:
        return 1
    folder = settings.reports / run.name
    console.print(f"Report: {folder / 'report.html'}", soft_wrap=True)
    scores = _scores(settings, folder)
    console.print(accuracy_table(scores))
    for sentence in unanswered(scores):
        console.print(f"* {marked(without_secrets(sentence))}", markup=False, soft_wrap=True)
    return 0


def watch_ablation(settings: Settings, run_id: UUID, page: Path | None) -> int:
    """Shows an ablation until it ends, and copies its table; see `watch`.

    Args:
        settings: Where things lie on this machine.
        run_id: Its flow run's.
        page: Where the Markdown table goes besides; None for nowhere.
    """
    from tasks.ablation import PAGE, TABLE  # and scipy's statistics, of which no other run has need

    console = Console()
    run, is_completed = _until_end(settings, run_id, console)
    table = settings.reports / run.name / TABLE
    if table.is_file():  # of one some of whose arms failed, too
        text = table.read_text(encoding="utf-8")
        console.print(text, markup=False, highlight=False, soft_wrap=True)
        console.print(f"Table: {table.with_name(PAGE)}", soft_wrap=True)
        if page is not None:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(text, encoding="utf-8")
    return 0 if is_completed else 1


def _until_end(settings: Settings, run_id: UUID, console: Console) -> tuple[FlowRun, bool]:
    """Shows a run until it ends, and how; returns it, and whether it completed."""
    with api_client(settings) as client:
        try:
            run = _follow(settings, client, run_id, console)
        except KeyboardInterrupt:
            client.set_flow_run_state(run_id, Cancelling())
            console.print("Cancelling the run.")
            return client.read_flow_run(run_id), False
    assert run.state is not None  # a run that ended has one
    console.print(f"Run:    {settings.ui_url}/runs/flow-run/{run.id}", soft_wrap=True)
    if not run.state.is_completed():
        console.print(f"{run.name} ended {run.state.name}.", style="bold red")
        message = marked(without_secrets(run.state.message or "no message"))
        console.print(message, markup=False, soft_wrap=True)
    return run, run.state.is_completed()


def _follow(
    settings: Settings, client: SyncPrefectClient, run_id: UUID, console: Console
) -> FlowRun:
    """Polls the run: a live table on a terminal, a line for every change elsewhere."""
    printed, told = Lines(console), ""
    with Live(console=console, auto_refresh=False, transient=False) as live:
        while True:
            run = client.read_flow_run(run_id)
            steps = _steps(client, run_id)
            if console.is_terminal:
                live.update(_step_table(run, steps), refresh=True)
            else:
                printed.show(steps)
            if run.state is not None and run.state.is_final():
                return run
            waits = waits_for(settings, run)
            if waits and waits != told:
                console.print(waits, soft_wrap=True)
            told = waits
            _refuse_dead_services(settings)
            time.sleep(POLL_SECONDS)


def waits_for(settings: Settings, run: FlowRun) -> str:
    """What a run that is not at work waits for; empty for one that is, or will be at once."""
    if run.state is not None and run.state.is_paused():
        return (
            f"{run.name} waits for a person: release or refuse its gate at "
            f"{settings.ui_url}/runs/flow-run/{run.id}, or by `revisual decide {run.name}`"
        )
    if run.state is not None and run.state.is_scheduled():
        due = run.state.state_details.scheduled_time
        is_overdue = due is not None and datetime.now(UTC) - due > QUEUED_AFTER
        if is_overdue or run.state.name == "AwaitingConcurrencySlot":
            return f"{run.name} waits for its turn: one run at a time"
    return ""


def _steps(client: SyncPrefectClient, run_id: UUID) -> list[Step]:
    of_run = FlowRunFilter(id=FlowRunFilterId(any_=[run_id]))
    artifacts = client.read_artifacts(
        artifact_filter=ArtifactFilter(
            flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]),
            type=ArtifactFilterType(any_=["progress"]),
        )
    )
    progress = {artifact.task_run_id: artifact for artifact in artifacts}
    tasks = client.read_task_runs(flow_run_filter=of_run)
    started = sorted((task for task in tasks if task.start_time), key=lambda t: str(t.start_time))
    # Of a step that was tried again, the newest.
    newest = {task.name: task for task in started}
    return [
        Step(
            name=task.name,
            state=task.state_name or "",
            seconds=task.estimated_run_time.total_seconds(),
            progress=str(progress[task.id].description or "") if task.id in progress else "",
        )
        for task in newest.values()
    ]


def _step_table(run: FlowRun, steps: Sequence[Step]) -> Table:
    table = Table(title=f"{run.name}: {run.state_name}", title_justify="left", expand=True)
    table.add_column("task", no_wrap=True)
    table.add_column("state")
    table.add_column("seconds", justify="right")
    table.add_column("progress", ratio=1)
    for step in steps:
        table.add_row(step.name, step.state, f"{step.seconds:.0f}", step.progress)
    return table


class Lines:
    """The run as plain lines: one for every change of state, and now and then the progress.

    Args:
        console: Where they go.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._states: dict[str, str] = {}
        self._quiet_until = 0.0

    def show(self, steps: Sequence[Step]) -> None:
        """Prints what is new."""
        for step in steps:
            now = time.monotonic()
            changed = self._states.get(step.name) != step.state
            if changed or (step.state == "Running" and now >= self._quiet_until):
                self._states[step.name] = step.state
                self._quiet_until = now + LINE_SECONDS
                line = f"{step.seconds:5.0f} s  {step.name}: {step.state}  {step.progress}"
                self._console.print(line.rstrip(), markup=False, highlight=False, soft_wrap=True)


def _refuse_dead_services(settings: Settings) -> None:
    for name in ("server", "worker"):
        if not services.is_running(settings, name):
            raise ServiceError(
                f"The Prefect {name} died during the run.",
                where=str(services.log_path(settings, name)),
                rule="a run needs the server and the worker",
                fix="read the log, then: make up; finished stages are not run again",
            )


def _scores(settings: Settings, folder: Path) -> tuple[Score, ...]:
    record = RunRecord.model_validate_json((folder / "run.json").read_text(encoding="utf-8"))
    evaluation = next(stage for stage in record.stages if stage.kind == "evaluate")
    store = settings.store()
    path = store.fetch(evaluation.artifact, only=["scores.json"]) / "scores.json"
    return Scores.model_validate_json(path.read_text(encoding="utf-8")).scores


def accuracy_table(scores: Sequence[Score]) -> Table:
    """Score of every policy on every benchmark, in percent, with the 95 % interval.

    A row is a benchmark. Where a terminal is too narrow, cells take more lines: none is cut. A star
    marks a score of which answers did not come; another metric than the plain accuracy is named.
    """
    metrics = {score.benchmark: score.metric for score in scores}
    cells = {(score.policy, score.benchmark): score for score in scores}
    policies = list(dict.fromkeys(score.policy for score in scores))
    table = Table(
        title="Accuracy in %, 95 % interval", title_justify="left", box=SIMPLE_HEAD, pad_edge=False
    )
    gap = " " if len(policies) < 3 else "\n"  # so that four fit into 80 columns
    table.add_column("benchmark", overflow="fold")
    for policy in policies:
        table.add_column(policy, justify="right", overflow="fold")
    for benchmark, metric in metrics.items():
        named = benchmark if metric == "accuracy" else f"{benchmark} ({metric})"
        row = [cells.get((policy, benchmark)) for policy in policies]
        table.add_row(named, *(gap.join(_percent(score)) if score else "-" for score in row))
    return table


def _percent(score: Score) -> list[str]:
    value = f"{100 * score.value:.1f}{'*' if score.num_failed else ''}"
    if score.low is None or score.high is None:
        return [value]
    return [value, f"[{100 * score.low:.1f},{100 * score.high:.1f}]"]
