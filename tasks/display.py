"""What a running stage shows in the Prefect UI: its log, its progress and its figures."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from prefect import runtime
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.client.schemas.objects import State
from prefect.exceptions import PrefectException
from prefect.logging import get_run_logger

from contracts.artifact import Artifact
from contracts.scores import Scores
from contracts.steps import parse_step
from infra.launcher import Metrics
from infra.pages import page_address
from infra.settings import Settings
from infra.store import Store
from report.score_page import score_page
from tasks import live
from tasks.steps import StepTasks, end_left_behind
from training.runtime.metrics import headline

PROGRESS_SECONDS = 2.0
FIGURES_SECONDS = 10.0
LINES_PER_SECOND = 20
SCORES = "scores.json"


class StageDisplay:
    """Relays a stage to the Prefect API, never faster than a person reads.

    Prefect's client asks a server that is away again for a minute. What could not be shown then is
    left out, with a warning: a training is worth more than its progress bar.

    Args:
        stage: The stage's name.
    """

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._logger = get_run_logger()
        self._window_start = 0.0
        self._lines_in_window = 0
        self._lines_left_out = 0
        self._progress_at = 0.0
        self._figures_at = 0.0
        self._metrics: list[Metrics] = []
        self._bar = (0.0, "")
        self._progress_id: UUID | None = None
        self._figures_id: UUID | None = None
        self._steps = StepTasks(stage)
        if runtime.flow_run.run_count > 1:
            with unless_the_server_is_away():
                end_left_behind(stage, UUID(str(runtime.flow_run.id)))
        with unless_the_server_is_away():
            self._progress_id = _created(
                create_progress_artifact(
                    0.0, key=artifact_key(stage, "progress"), description=f"{stage}: starting"
                )
            )

    def show_line(self, line: str) -> None:
        """Logs a line, or counts it when there are too many a second: the log file has them all.

        A line about a step of the stage begins or ends that step's task.
        """
        if (step := parse_step(line)) is not None:
            with unless_the_server_is_away():
                self._steps.show(step)
        now = time.monotonic()
        if now - self._window_start >= 1.0:
            self._report_left_out()
            self._window_start, self._lines_in_window = now, 0
        # A progress bar rewrites its line: what counts is what it says last.
        text = line.rstrip().rpartition("\r")[2]
        if not text:
            return
        if self._lines_in_window < LINES_PER_SECOND:
            self._lines_in_window += 1
            self._logger.info(text)
        else:
            self._lines_left_out += 1

    def say(self, text: str) -> None:
        """Logs what the task itself has to say about the stage."""
        self._logger.info(text)

    def show_retry(self, title: str, why: str) -> None:
        """Warns in the log, and leaves an artifact: the run's page shows what it went through."""
        self._logger.warning("%s: %s", title, why)
        with unless_the_server_is_away():
            create_markdown_artifact(
                f"**{title}**, from its newest checkpoint, because:\n\n```\n{why}\n```",
                key=artifact_key(self._stage, "retry"),
            )

    def show_warning(self, text: str) -> None:
        """Warns in the log, and leaves an artifact: the run's page shows what was seen."""
        self._logger.warning("%s: %s", self._stage, text)
        with unless_the_server_is_away():
            create_markdown_artifact(
                f"**{self._stage}** goes on, but:\n\n```\n{text}\n```",
                key=artifact_key(self._stage, "warning"),
            )

    def show_metrics(self, metrics: Metrics) -> None:
        """Moves the progress bar, and now and then draws the figures' curves anew."""
        self._metrics.append(metrics)
        now = time.monotonic()
        if now - self._progress_at >= PROGRESS_SECONDS:
            self._progress_at = now
            self._update(100.0 * metrics["step"] / metrics["num_steps"], headline(metrics))
        if now - self._figures_at >= FIGURES_SECONDS:
            self._figures_at = now
            self._show_figures()

    @contextmanager
    def following(self) -> Iterator[None]:
        """Until the end of a `with`, shows steps; those that run then end as that does."""
        try:
            yield
        except BaseException as error:
            with unless_the_server_is_away():
                self._steps.end_all(error)
            raise
        with unless_the_server_is_away():
            self._steps.end_all()

    def show_steps(self, states: Mapping[str, State[Any]]) -> None:
        """Shows the steps of the same stage on another machine, by their states there."""
        with unless_the_server_is_away():
            self._steps.mirror(states)

    def show_progress(self, progress: float, description: str) -> None:
        """Moves the progress bar to where that of the same stage on another machine is."""
        if (progress, description) != self._bar:
            self._bar = (progress, description)
            self._update(progress, description)

    def finish(self, artifact: Artifact, inputs: dict[str, Artifact], *, reused: bool) -> None:
        """Fills the progress bar and leaves the stage's references and figures."""
        self._report_left_out()
        if reused:
            with unless_the_server_is_away():
                self._steps.show_reused(f"no step ran: {artifact.uri} was found in the store")
        last = "found in the store" if reused else "done"
        self._update(100.0, f"{self._stage}: {last}")
        self.say(f"{last.capitalize()}: {artifact.kind} {artifact.uri}")
        with unless_the_server_is_away():
            create_markdown_artifact(
                references(self._stage, artifact, inputs, reused=reused),
                key=artifact_key(self._stage, "references"),
            )
        if self._metrics:
            self._show_figures()

    def _update(self, progress: float, description: str) -> None:
        if self._progress_id is not None:
            with unless_the_server_is_away():
                update_progress_artifact(self._progress_id, progress, description)

    def _show_figures(self) -> None:
        """One artifact for the whole stage: every version of it would stay in the server's list."""
        page = live.page(self._stage, self._metrics)
        with unless_the_server_is_away():
            if self._figures_id is None:
                key = artifact_key(self._stage, "metrics")
                self._figures_id = _created(create_markdown_artifact(page, key=key))
            else:
                with get_client(sync_client=True) as client:
                    client.update_artifact(self._figures_id, ArtifactUpdate(data=page))

    def _report_left_out(self) -> None:
        if self._lines_left_out:
            self._logger.info("... %d more lines in the stage's log", self._lines_left_out)
            self._lines_left_out = 0


@contextmanager
def unless_the_server_is_away() -> Iterator[None]:
    """Leaves out, with a warning, what the Prefect server does not take."""
    try:
        yield
    except (httpx.HTTPError, PrefectException) as error:
        get_run_logger().warning("Not shown in the Prefect UI: %s: %s", type(error).__name__, error)


def show_scores(store: Store, evaluation: Artifact) -> None:
    """Leaves an evaluation's scores as a table and a plot among the run's artifacts."""
    text = (store.fetch(evaluation, only=[SCORES]) / SCORES).read_text(encoding="utf-8")
    scores = Scores.model_validate_json(text).scores
    with unless_the_server_is_away():
        create_markdown_artifact(
            score_page(scores), key="scores", description="every policy on every benchmark"
        )


def show_page(settings: Settings, page: Path, *key: str, description: str | None = None) -> None:
    """Leaves a link to a page of the reports' folder among the run's artifacts."""
    create_link_artifact(
        page_address(settings, page),
        link_text=str(page),
        key=artifact_key(*key),
        description=description,
    )


def artifact_key(*parts: str) -> str:
    """A Prefect artifact key: lower-case letters, digits and dashes."""
    return "-".join(parts).replace("_", "-")


def references(stage: str, artifact: Artifact, inputs: dict[str, Artifact], *, reused: bool) -> str:
    """What went in and what came out, as a Markdown table."""
    rows = [("output", artifact), *inputs.items()]
    lines = [f"| {name} | {a.kind} | `{a.uri}` | `{a.sha256[:12]}` |" for name, a in rows]
    how = "found in the store, made by an earlier run" if reused else "made by this run"
    head = [f"**{stage}**, {how}", "", "| | kind | URI | sha256 |", "|---|---|---|---|"]
    return "\n".join([*head, *lines])


def _created(artifact_id: object) -> UUID:
    assert isinstance(artifact_id, UUID)  # the sync API returns the id itself
    return artifact_id
