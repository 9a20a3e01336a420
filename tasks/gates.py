"""The gates as tasks: they take a reference and return it, or raise."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from contracts.artifact import Artifact
from contracts.run_record import GateRecord
from contracts.secrets import masks_secrets
from data_checks import gate
from tasks.display import artifact_key
from tasks.run import Run
from training.recipe.recipe import Recipe


@task(cache_policy=NO_CACHE, task_run_name="check-curation")
@masks_secrets
def check_curation(run: Run, data: Artifact) -> Artifact:
    """Between curation and training: enough rows, well formed, varied, and none of the test's."""
    return pass_gate(run, data, gate.check_curation)


@task(cache_policy=NO_CACHE, task_run_name="check-evaluation")
@masks_secrets
def check_evaluation(run: Run, scores: Artifact) -> Artifact:
    """After the evaluation: scores in range, answers that parse, and the gain that is asked for."""
    return pass_gate(run, scores, gate.check_evaluation)


@task(cache_policy=NO_CACHE, task_run_name="check-scores")
@masks_secrets
def check_scores(run: Run, scores: Artifact, policies: Sequence[str]) -> Artifact:
    """After an evaluation by itself: as `check_evaluation`, and no gain is asked for."""
    return pass_gate(run, scores, partial(gate.check_evaluation, policies=policies))


def pass_gate(
    run: Run, artifact: Artifact, check: Callable[[Recipe, Path], GateRecord]
) -> Artifact:
    """Checks an artifact, shows what was seen, and returns the artifact.

    Raises:
        GateError: A check failed and the recipe's severity is `error`.
    """
    try:
        record = check(run.recipe, run.store().fetch(artifact))
    except gate.GateError as error:
        _show(run, error.record)
        raise
    _show(run, record)
    return artifact


def _show(run: Run, record: GateRecord) -> None:
    """A table in the UI, and an entry in the run's diary."""
    run.note_gate(record)
    failed = ", ".join(check.name for check in record.checks if not check.passed)
    create_table_artifact(
        [{name: str(value) for name, value in check} for check in record.checks],
        key=artifact_key("gate", record.name),
        description=f"Gate {record.name}: {f'failed {failed}' if failed else 'passed'}",
    )
    if failed:
        get_run_logger().warning("Gate %s failed: %s", record.name, failed)
