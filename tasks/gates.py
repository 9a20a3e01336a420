"""The gates as tasks: they take a reference and return it, or raise."""

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from data_checks import gate
from infra.store import Artifact
from tasks.display import artifact_key
from tasks.run import Run
from training.report.record import GateRecord


@task(cache_policy=NO_CACHE)
def check_curation(run: Run, data: Artifact) -> Artifact:
    """Between curation and training: enough rows, well formed, varied, and none of the test's."""
    pass_gate(run, gate.check_curation(run.recipe, run.store().fetch(data)))
    return data


@task(cache_policy=NO_CACHE)
def check_evaluation(run: Run, scores: Artifact) -> Artifact:
    """After the evaluation: scores in range, answers that parse, and the gain that is asked for."""
    pass_gate(run, gate.check_evaluation(run.recipe, run.store().fetch(scores)))
    return scores


def pass_gate(run: Run, record: GateRecord) -> None:
    """Shows a gate's checks and enters them in the run's diary."""
    run.note_gate(record)
    rows = [check.model_dump(mode="json") for check in record.checks]
    create_table_artifact(
        [{name: str(value) for name, value in row.items()} for row in rows],
        key=artifact_key("gate", record.name),
        description=f"Gate {record.name}: {'passed' if record.passed else 'not passed'}",
    )
    if not record.passed:
        failed = ", ".join(check.name for check in record.checks if not check.passed)
        get_run_logger().warning("Gate %s: %s; severity warning, going on", record.name, failed)
