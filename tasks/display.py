"""What a running stage shows in the Prefect UI: its log, its progress and its figures."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import httpx
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.exceptions import PrefectException
from prefect.logging import get_run_logger

from contracts.artifact import Artifact
from infra.launcher import Metrics

PROGRESS_SECONDS = 2.0
LINES_PER_SECOND = 20
TABLE_ROWS = 25


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
        self._shown_at = 0.0
        self._metrics: list[Metrics] = []
        self._progress_id: UUID | None = None
        with unless_the_server_is_away():
            self._progress_id = _created(
                create_progress_artifact(
                    0.0, key=artifact_key(stage, "progress"), description=f"{stage}: starting"
                )
            )

    def show_line(self, line: str) -> None:
        """Logs a line, or counts it when there are too many a second: the log file has them all."""
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

    def show_metrics(self, metrics: Metrics) -> None:
        """Moves the progress bar."""
        self._metrics.append(metrics)
        now = time.monotonic()
        if now - self._shown_at >= PROGRESS_SECONDS:
            self._shown_at = now
            self._update(100.0 * metrics["step"] / metrics["num_steps"], describe(metrics))

    def finish(self, artifact: Artifact, inputs: dict[str, Artifact], *, reused: bool) -> None:
        """Fills the progress bar and leaves the stage's references and figures."""
        self._report_left_out()
        last = "found in the store" if reused else "done"
        self._update(100.0, f"{self._stage}: {last}")
        with unless_the_server_is_away():
            create_markdown_artifact(
                references(self._stage, artifact, inputs, reused=reused),
                key=artifact_key(self._stage, "references"),
            )
            if self._metrics:
                create_table_artifact(
                    thinned(self._metrics, TABLE_ROWS), key=artifact_key(self._stage, "metrics")
                )

    def _update(self, progress: float, description: str) -> None:
        if self._progress_id is not None:
            with unless_the_server_is_away():
                update_progress_artifact(self._progress_id, progress, description)

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


def artifact_key(*parts: str) -> str:
    """A Prefect artifact key: lower-case letters, digits and dashes."""
    return "-".join(parts).replace("_", "-")


def describe(metrics: Metrics) -> str:
    """One line for the progress bar: the step, and the figures a person looks at first."""
    shown = ("loss", "reward", "accuracy", "response_length_tokens", "entropy")
    figures = [f"{name} {metrics[name]:.3g}" for name in shown if metrics.get(name) is not None]
    return ", ".join([f"step {metrics['step']}/{metrics['num_steps']}", *figures])


def thinned(rows: Sequence[Metrics], limit: int) -> list[dict[str, Any]]:
    """At most `limit` rows, evenly spaced, the first and the last among them."""
    if len(rows) <= limit:
        return [dict(row) for row in rows]
    last = len(rows) - 1
    return [dict(rows[round(index * last / (limit - 1))]) for index in range(limit)]


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
