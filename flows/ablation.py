"""The paper's ablations: every arm of a grid with every seed, through the tasks of `revisual/full`.

Arms share what they have in common by their stages' keys: a curation, a cold start and an
evaluation are made once for each seed, whichever arm asks first, and found after any kill.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from threading import Event
from typing import Annotated, Any

from prefect import State, flow
from prefect.runtime import flow_run
from prefect.states import Cancelled, Failed
from pydantic import Field

from contracts.artifact import Artifact
from contracts.errors import StagePreempted
from infra.stopping import hear_no_more, is_told, stopped_by
from tasks.ablation import label, prepare_ablation, record_arm, report_ablation
from tasks.gates import check_curation
from tasks.grids import ArmRun
from tasks.inputs import resolve_inputs
from tasks.keys import Reuse
from tasks.prepare import prepare_arm
from tasks.run import Run
from tasks.stages import curate, evaluate, train
from training.recipe.grid import Asked

POLICY = "policy"  # one name for all: an arm that ends with another's policy is not asked again


@flow(name="revisual-arm", flow_run_name="{ablation}-{arm}-seed-{seed}", log_prints=True)
def arm(
    ablation: str, grid: str, arm: str, seed: int, asked: Asked, reuse: Reuse, family: str
) -> Artifact | State[Any]:
    """Trains one arm of a grid with one seed, and evaluates the policy it ends with.

    Args:
        ablation: The name of the ablation's run.
        grid: As of the ablation; so are `asked` and `reuse`.
        arm: The arm's name.
        seed: The seed.
        asked: What is changed in all arms.
        reuse: What it takes from the store.
        family: The id of the ablation's run, whose arms share their stages.

    Returns:
        Its record; or that it was cancelled together with the ablation.
    """
    run, one = prepare_arm(grid, arm, seed, asked, reuse, family)
    try:
        return _trained(run, one)
    except StagePreempted as notice:
        if not is_told():
            raise
        return Cancelled(message=f"The ablation was told to stop: {notice}")


def _trained(run: Run, one: ArmRun) -> Artifact:
    inputs = resolve_inputs(run)
    policy = inputs.base
    if one.stages:
        data = check_curation(run, curate(run, inputs))
        for stage in one.stages:
            policy = train(run, stage, policy, data)
    evaluate(run, {POLICY: policy}, inputs)
    return record_arm(run, one)


@flow(name="revisual", log_prints=True)
def ablation(
    grid: str = "pocket",
    asked: Asked = Asked(),  # noqa: B008 - frozen
    concurrency: Annotated[int, Field(ge=1, le=64)] = 1,
    reuse: Reuse = "code",
    digest: str | None = None,
) -> Artifact | State[Any]:
    """Runs every arm of a grid with every seed, and writes one table.

    An arm that fails is named in the table; the others go on, and the ablation fails at its end.

    Args:
        grid: A shipped grid's name, or the path of a grid's file.
        asked: Which arms and seeds, and what is changed in all of them.
        concurrency: How many arms are at work at once.
        reuse: What it takes from the store; see `revisual/full`.
        digest: Of the arms that were checked; others are refused.

    Returns:
        The table.
    """
    runs = prepare_ablation(grid, asked, reuse, digest)
    name, family = str(flow_run.name), str(flow_run.id)

    def run(one: ArmRun) -> State[Any]:
        own = one.arm.name, one.recipe.seed
        return arm(name, grid, *own, asked, reuse, family, return_state=True)

    states = run_arms(runs, run, concurrency)
    done = [label(one) for one, state in states if state.is_completed()]
    failures = {label(one): str(state.message) for one, state in states if not state.is_completed()}
    result = report_ablation(grid, runs, done, failures)
    if failures:
        return Failed(message=f"{len(failures)} of {len(runs)} did not finish: {failures}")
    return result


def run_arms(
    runs: Sequence[ArmRun], run: Callable[[ArmRun], State[Any]], concurrency: int
) -> list[tuple[ArmRun, State[Any]]]:
    """How each arm ended; one after the other in this thread, or several at once in others.

    What ends this thread, such as a cancellation, reaches no other one. So they are told, and end
    their stages; what has not begun never does. A second signal must not cut their saves short.
    """
    if concurrency == 1:
        return [(one, run(one)) for one in runs]
    told = Event()
    with ThreadPoolExecutor(concurrency) as pool, stopped_by(told):
        waiting = [pool.submit(copy_context().run, run, one) for one in runs]
        try:
            return [(one, future.result()) for one, future in zip(runs, waiting, strict=True)]
        except BaseException:
            hear_no_more()
            told.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
