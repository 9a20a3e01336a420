"""MLflow: one run a stage, found again by the tag that holds the stage's key.

`MLFLOW_TRACKING_URI` names the server, and its client's other variables the credentials.
"""

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
        experiment_id = self._experiment(run.project)
        self._id = self._oldest(experiment_id, run.key)
        if self._id is None:
            tags = {
                KEY_TAG: run.key,
                "revisual.recipe": run.recipe,
                "revisual.stage": run.stage,
                "revisual.started_by": run.run,
            }
            made = self._client.create_run(
                experiment_id, tags=tags, run_name=f"{run.recipe}/{run.stage}"
            ).info.run_id
            # A server that does not list it yet knows of no other.
            self._id = self._oldest(experiment_id, run.key) or made
            if self._id != made:  # another machine has made it since we looked
                self._client.delete_run(made)
        self._client.update_run(self._id, status="RUNNING")
        self._start_milliseconds = self._client.get_run(self._id).info.start_time
        self.place = f"experiment {run.project}, run {self._id}"
        history = self._client.get_metric_history(self._id, _ALWAYS)
        self.last_step = max((metric.step for metric in history), default=0)

    def _experiment(self, name: str) -> str:
        """The id of the experiment of that name, made if there is none."""
        from mlflow.exceptions import MlflowException

        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self._client.create_experiment(name))
            except MlflowException:
                # An arm or a run beside this one may have made it since we looked.
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise
        return str(found.experiment_id)

    def _oldest(self, experiment_id: str, key: str) -> str | None:
        """The run of a stage that was made first, the same for all who ask."""
        wanted = f"tags.`{KEY_TAG}` = '{key}'"
        runs = self._client.search_runs([experiment_id], wanted)
        found = sorted((one.info.start_time, one.info.run_id) for one in runs)
        return found[0][1] if found else None

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Sends a step in one request.

        MLflow's database knows a point by its value and its time, too: with a time made of the step
        one that is sent again is the same row.
        """
        from mlflow.entities import Metric

        at = self._start_milliseconds + 1000 * step
        metrics = [Metric(name, value, at, step) for name, value in figures.items()]
        self._client.log_batch(self._id, metrics=metrics)

    def drop(self) -> None:
        """Nothing is held, and the run stays as it is: a status would say that the stage ended."""

    def close(self, *, succeeded: bool) -> None:
        """Marks the run as finished or failed."""
        self._client.set_terminated(self._id, status="FINISHED" if succeeded else "FAILED")
