"""The method on one page: curate, check, train stage by stage, evaluate, check, report."""

from prefect import flow

from contracts.artifact import Artifact
from tasks.gates import check_curation, check_evaluation
from tasks.prepare import prepare, store_base
from tasks.report import report
from tasks.stages import curate, evaluate, train


@flow(name="revisual", log_prints=True)
def full(
    recipe: str = "pocket",
    seed: int | None = None,
    fresh: bool = False,
    digest: str | None = None,
) -> Artifact:
    """Runs the whole recipe.

    Args:
        recipe: A shipped recipe's name, or the path of a recipe file.
        seed: Replaces the recipe's seed.
        fresh: Runs every stage, also those that an earlier run finished.
        digest: Of the recipe that was checked; another one is refused.

    Returns:
        The run's record and report.
    """
    run = prepare(recipe, seed, fresh, digest)
    base = store_base(run)

    # Stage 0, GRAMMAR: verifiable problems, hard for the base, balanced (paper, section 3.1).
    data = check_curation(run, curate(run, base))

    # Cold start on text, then multimodal RL, then text RL: the order is the recipe's (section 4).
    policies = {"base": base}
    policy = base
    for stage in run.recipe.stages:
        policy = train(run, stage, policy, data)
        policies[stage.name] = policy

    # Base and every stage's checkpoint on the held-out benchmarks (section 5).
    scores = evaluate(run, policies)
    try:
        check_evaluation(run, scores)
    finally:
        result = report(run)  # a run that the gate stops has a report, too
    return result
