"""The method on one page: curate, check, train stage by stage, evaluate, check, report."""

from prefect import flow

from contracts.artifact import Artifact
from data_checks.gate import GateError
from tasks.gates import check_curation, check_evaluation, check_stage
from tasks.inputs import resolve_inputs
from tasks.keys import Reuse
from tasks.prepare import prepare
from tasks.report import report
from tasks.run import Run
from tasks.stages import curate, evaluate, train


@flow(name="revisual", log_prints=True)
def full(
    recipe: str = "pocket",
    seed: int | None = None,
    reuse: Reuse = "code",
    digest: str | None = None,
) -> Artifact:
    """Runs the whole recipe.

    Args:
        recipe: A shipped recipe's name, or the path of a recipe file.
        seed: Replaces the recipe's seed.
        reuse: What it takes from the store: `code`, what the same recipe, inputs and code made;
            `recipe`, what the same recipe and inputs made with whatever code; `none`, nothing.
        digest: Of the recipe that was checked; another one is refused.

    Returns:
        The run's record and report.
    """
    run = prepare(recipe, seed, reuse, digest)
    try:
        method(run)
    except GateError:  # a run that a gate stops has a report, too
        report(run)
        raise
    return report(run)


def method(run: Run) -> None:
    """The stages in the paper's order, with a gate after each.

    Raises:
        GateError: What a stage made broke an expectation that stops the run.
    """
    # Every source, benchmark and model at a known digest; the network is used here alone.
    inputs = resolve_inputs(run)

    # Stage 0, GRAMMAR: verifiable problems, hard for the base, balanced (paper, section 3.1).
    data = check_curation(run, curate(run, inputs))

    # Cold start on text, then multimodal RL, then text RL: the order is the recipe's (section 4).
    policy = inputs.base
    policies = {"base": policy}
    for stage in run.recipe.stages:
        policy = check_stage(run, stage, policy, train(run, stage, policy, data))
        policies[stage.name] = policy

    # Base and every stage's checkpoint on the held-out benchmarks (section 5).
    check_evaluation(run, evaluate(run, policies, inputs))
