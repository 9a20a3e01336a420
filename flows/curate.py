"""Curates a recipe's data, stage 0 of `full` by itself: a whole run finds what it has made."""

from prefect import flow

from contracts.artifact import Artifact
from data_checks.gate import GateError
from tasks.gates import check_curation
from tasks.inputs import resolve_inputs
from tasks.keys import Reuse
from tasks.prepare import prepare_curation
from tasks.report import report
from tasks.stages import curate as curate_sets


@flow(name="revisual", log_prints=True)
def curate(
    recipe: str = "pocket",
    seed: int | None = None,
    reuse: Reuse = "code",
    digest: str | None = None,
) -> Artifact:
    """Makes a recipe's curated sets, and their datasheet.

    Args:
        recipe: A shipped recipe's name, or the path of a recipe file.
        seed: Replaces the recipe's seed.
        reuse: As of the whole run.
        digest: Of the recipe that was checked; another one is refused.

    Returns:
        The run's record and report.
    """
    run = prepare_curation(recipe, seed, reuse, digest)
    inputs = resolve_inputs(run)
    try:
        check_curation(run, curate_sets(run, inputs))
    except GateError:  # a run that a gate stops has a report, too
        report(run)
        raise
    return report(run)
