"""Evaluates any checkpoint, or any model behind an endpoint; stage 4 of `full` by itself."""

from prefect import flow

from contracts.artifact import Artifact
from tasks.candidates import prepare_evaluation, resolve_candidate
from tasks.gates import check_scores
from tasks.keys import Reuse
from tasks.report import report
from tasks.stages import evaluate as evaluate_policies


@flow(name="revisual", log_prints=True)
def evaluate(
    model: str,
    recipe: str | None = None,
    benchmarks: list[str] | None = None,
    seed: int | None = None,
    reuse: Reuse = "code",
    digest: str | None = None,
) -> Artifact:
    """Scores a model on a recipe's benchmarks, or on some of them.

    Args:
        model: A run (`RUN`, or `RUN/STAGE`), an artifact's URI, a folder, `s3://bucket/prefix`, a
            hub's id, or an endpoint with its model, `http://host:port/v1#MODEL`.
        recipe: Says which benchmarks, how answers are drawn, and who judges. None for the shipped
            one by which the run was made, or whose model it is.
        benchmarks: Those of them that are asked; shipped ones may be named that the recipe lacks.
        seed: Replaces the recipe's seed.
        reuse: As of the whole run: what was asked of the same model is not asked again.
        digest: Of the recipe that was checked; another one is refused.

    Returns:
        The run's record and report.
    """
    run = prepare_evaluation(model, recipe, benchmarks, seed, reuse, digest)
    name, inputs = resolve_candidate(run)
    scores = evaluate_policies(run, {name: inputs.base}, inputs)
    try:
        check_scores(run, scores, [name])
    finally:
        result = report(run)
    return result
