"""MLflow: one run a stage, found again by the tag that holds the stage's key.

`MLFLOW_TRACKING_URI` names the server, and its client's other variables the credentials.
"""

import time
from collections.abc import Mapping

from infra.sinks.sink import SinkRun

KEY_TAG = "revisual.stage_key"
# Every step has it, so its history tells which step was the last one.
_ALWAYS = "seconds"


class MlflowServer:
    """A run of an MLflow experiment, made if there is none.

    Args:
        run: Whose figures these are.
    """

    def __init__(self, run: SinkRun) -> None:
        from mlflow import MlflowClient

        self._client = MlflowClient()
        experiment = self._client.get_experiment_by_name(run.project)
        experiment_id = (
            experiment.experiment_id
            if experiment is not None
            else self._client.create_experiment(run.project)
        )
        wanted = f"tags.`{KEY_TAG}` = '{run.key}'"
        found = self._client.search_runs([experiment_id], wanted, max_results=1)
        if found:
            self._id = found[0].info.run_id
            self._client.update_run(self._id, status="RUNNING")
        else:
            tags = {
                KEY_TAG: run.key,
                "revisual.recipe": run.recipe,
                "revisual.stage": run.stage,
                "revisual.started_by": run.run,
            }
            made = self._client.create_run(
                experiment_id, tags=tags, run_name=f"{run.recipe}/{run.stage}"
            )
            self._id = made.info.run_id
        self.place = f"experiment {run.project}, run {self._id}"
        history = self._client.get_metric_history(self._id, _ALWAYS)
        self.last_step = max((metric.step for metric in history), default=0)

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Sends a step in one request."""
        from mlflow.entities import Metric

        now = round(time.time() * 1000)
        metrics = [Metric(name, value, now, step) for name, value in figures.items()]
        self._client.log_batch(self._id, metrics=metrics)

    def close(self, *, succeeded: bool) -> None:
        """Marks the run as finished or failed."""
        self._client.set_terminated(self._id, status="FINISHED" if succeeded else "FAILED")
