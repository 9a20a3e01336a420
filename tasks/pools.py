"""A stage in another work pool: asked for, followed and ended by the run that needs it.

The worker of that pool gets a `StageRequest`: references into the store that both share, and no
files. It runs the stage as a flow run of its own (`flows.stage`), which is linked to ours, and
publishes the result under the stage's key, where it is found here.
"""

import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from operator import itemgetter
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    ArtifactFilterType,
    FlowRunFilter,
    FlowRunFilterId,
)
from prefect.client.schemas.objects import FlowRun, State, WorkPoolStatus
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling
from prefect.utilities.urls import url_for

from contracts.artifact import Artifact
from contracts.errors import (
    PreflightError,
    StageError,
    StageLost,
    StagePreempted,
    StoreError,
)
from contracts.provenance import Ingredients
from contracts.request import StageRequest
from contracts.run_record import StageKind
from data_checks.gate import GateError
from infra.settings import Settings, stage_deployment
from infra.stopping import stop_if_told
from infra.store import Store
from tasks.display import StageDisplay, unless_the_server_is_away
from tasks.keys import name_key, stage_key
from tasks.make import Display, num_saved, with_retries
from tasks.run import Run
from tasks.steps import end_left_behind
from tasks.stopped import find_stop
from training.recipe.hardware import LOCAL
from training.recipe.recipe import Recipe, resolved_toml_values

POLL_SECONDS = 2.0
KINDS = {kind.__name__: kind for kind in (StageError, StageLost, StagePreempted)}


def pools_of(recipe: Recipe, stages: Collection[str] | None = None) -> dict[str, str]:
    """Pool by stage, of the stages that run elsewhere.

    Args:
        recipe: The recipe.
        stages: Those that the run makes; all by default, here and below.
    """
    asked = recipe.stage_names if stages is None else stages
    pools = {stage: recipe.hardware.of(stage).pool for stage in asked}
    return {stage: pool for stage, pool in pools.items() if pool != LOCAL}


def check_store_is_shared(
    recipe: Recipe, settings: Settings, stages: Collection[str] | None = None
) -> None:
    """Refuses stages elsewhere where the other machine could not reach the store.

    Raises:
        PreflightError: The store is a folder, and nobody said that other machines mount it.
    """
    if (pools := pools_of(recipe, stages)) and not settings.is_store_shared:
        stage, pool = next(iter(pools.items()))
        raise PreflightError(
            f"Stage {stage} runs in the pool {pool}, whose machines cannot reach the store.",
            where=f"hardware: pool = {pool!r}; store {settings.store_uri}",
            rule="a stage elsewhere gets references into a store that both machines reach",
            fix="set REVISUAL_STORE to a bucket (s3://...); or, if the folder is mounted at the "
            "same path on both machines, set REVISUAL_STORE_SHARED=1 on both",
        )


def check_pools(recipe: Recipe, stages: Collection[str] | None = None) -> list[str]:
    """Checks that the server knows every pool that the recipe names.

    Returns:
        What a person should know: pools that have no worker at the moment.

    Raises:
        PreflightError: A pool is not registered for stages.
    """
    remarks = []
    with get_client(sync_client=True) as client:
        for pool in sorted(set(pools_of(recipe, stages).values())):
            try:
                client.read_deployment_by_name(stage_deployment(pool))
                status = client.read_work_pool(pool).status
            except ObjectNotFound as error:
                raise PreflightError(
                    f"There is no pool {pool} for stages.",
                    where=f"hardware: pool = {pool!r}",
                    rule="a pool is registered at the run's Prefect server before a run names it",
                    fix=f"on the machine that is to run them: revisual worker {pool}",
                ) from error
            if status is not WorkPoolStatus.READY:
                remarks.append(f"The pool {pool} has no worker now; its stages wait for one")
    return remarks


def make_elsewhere(
    run: Run,
    store: Store,
    kind: StageKind,
    made_of: Ingredients,
    inputs: Mapping[str, Artifact],
    display: StageDisplay,
) -> Artifact:
    """Has another pool's worker make a stage's artifact; again, when that machine has killed it.

    Whatever ends this call ends the stage over there, too.

    Args:
        run: The run that asks.
        store: Where the inputs are, and where the artifact goes.
        kind: Which kind of stage it is.
        made_of: The stage's ingredients; their key is the artifact's.
        inputs: Its inputs, by the names it knows them by.
        display: Where a person follows it.

    Raises:
        StageError: It failed there; the message is that of the other side.
        GateError: What it samples breaks an expectation, and the recipe stops it for that.
        StageLost: Its machine died or killed it, once more than it is tried again.
        StagePreempted: It was told to stop there; the next run goes on from the newest checkpoint.
    """
    request = StageRequest(
        run_id=UUID(run.id),
        run=run.name,
        created=run.created,
        family=UUID(run.family) if run.family else None,
        reuse=run.reuse,
        recipe=resolved_toml_values(run.recipe),
        stage=made_of.stage,
        kind=kind,
        inputs=tuple(inputs.items()),
        store=run.settings.store_uri,
        key=stage_key(made_of),
    )
    hardware = run.recipe.hardware.of(made_of.stage)

    def make() -> Artifact:
        with display.following():
            stage_run, state = _run(request, hardware.pool, display)
            if state.name == GateError.__name__:
                raise_what_a_gate_saw(store, stage_run, display)
            raise_for(state, made_of.stage, hardware.pool)
        # An evaluation in which not everything was answered has no key, there as here.
        artifact = store.find(request.key) or store.find(incomplete_key(request))
        if artifact is None:
            raise StageError(
                f"stage {made_of.stage} completed in the pool {hardware.pool}, and the store "
                f"{store.root} has no artifact of the key {request.key}"
            )
        return artifact

    return with_retries(
        *(hardware.retries, made_of.stage, display, make),
        lambda: num_saved(run, store, kind, made_of),
    )


def incomplete_key(request: StageRequest) -> str:
    """Under which the worker enters what it made without a stage's key, for this run alone."""
    return name_key("incomplete", request.key, str(request.run_id))


def raise_what_a_gate_saw(store: Store, stage_run: UUID, display: Display) -> None:
    """Raises what stopped a stage elsewhere, with its tables; nothing where these are not there.

    Raises:
        GateError: As it was raised there.
    """
    try:
        error = find_stop(store, stage_run)
    except StoreError as fault:
        display.say(f"What the gate saw is not known here: {fault}")
    else:
        if error is not None:
            raise error


def raise_for(state: State, stage: str, pool: str) -> None:
    """Raises what a stage elsewhere ended with, as if it had run here; nothing if it is done.

    Raises:
        StageError: It failed.
        StageLost: Its machine killed it, or died.
        StagePreempted: It was told to stop, or a person has cancelled it.
    """
    if state.is_completed():
        return
    kind = KINDS.get(state.name or "", StageError)
    if state.is_crashed():
        kind = StageLost
    elif state.is_cancelled():
        kind = StagePreempted
    raise kind(f"stage {stage} ended {state.name} in the pool {pool}: {state.message or ''}")


def cancel(client: SyncPrefectClient, run_id: UUID) -> None:
    """Cancels a flow run; nothing happens to one that has ended."""
    client.set_flow_run_state(run_id, Cancelling())


def steps_of(client: SyncPrefectClient, run_id: UUID) -> dict[str, State]:
    """The states of the stage's own tasks, by name, in the order in which they began."""
    of_run = FlowRunFilter(id=FlowRunFilterId(any_=[run_id]))
    found = client.read_task_runs(flow_run_filter=of_run)
    begun = [(one.start_time, one.name, one.state) for one in found if one.start_time is not None]
    ordered = sorted(begun, key=itemgetter(0))
    return {name: state for _, name, state in ordered if state is not None}


def _run(request: StageRequest, pool: str, display: StageDisplay) -> tuple[UUID, State]:
    """Starts the stage there, and waits until it has ended; its flow run, and how it ended."""
    child = run_deployment(
        stage_deployment(pool),
        parameters={"request": request.model_dump(mode="json")},
        flow_run_name=f"{request.run}-{request.stage}",
        timeout=0,
    )
    assert isinstance(child, FlowRun)  # the sync API returns the run itself
    display.say(f"Stage {request.stage} runs in the pool {pool}, with its log: {url_for(child)}")
    with get_client(sync_client=True) as client:
        try:
            state = _follow(client, child.id, pool, display)
        except BaseException:
            # Should the server be away, the stage still ends by itself (`tasks.requested`).
            with suppress(httpx.HTTPError, ObjectNotFound):
                cancel(client, child.id)
            raise
    if state.is_crashed():
        with unless_the_server_is_away():
            end_left_behind(request.stage, child.id)
    return child.id, state


def _follow(client: SyncPrefectClient, run_id: UUID, pool: str, display: StageDisplay) -> State:
    """Shows the stage's states and its progress until it ends; outlives a server that is away."""
    shown, is_away = "", False
    while True:
        stop_if_told()
        try:
            state = client.read_flow_run(run_id).state
            progress, steps = _progress(client, run_id), steps_of(client, run_id)
        except httpx.HTTPError as error:
            if not is_away:
                display.say(f"The Prefect server is away, the stage goes on: {error}")
            is_away = True
        else:
            is_away = False
            display.show_steps(steps)
            if state is not None and state.is_final():
                return state
            name = (state.name if state is not None else None) or "not started"
            if name != shown:
                shown = name
                display.say(f"Pool {pool}: {shown}")
            display.show_progress(*(progress or (0.0, f"pool {pool}: {shown}")))
        time.sleep(POLL_SECONDS)


def _progress(client: SyncPrefectClient, run_id: UUID) -> tuple[float, str] | None:
    """Percent and description of the stage's own progress bar, once it has one."""
    found = client.read_artifacts(
        artifact_filter=ArtifactFilter(
            flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]),
            type=ArtifactFilterType(any_=["progress"]),
        )
    )
    bars = [(float(str(one.data)), str(one.description)) for one in found]
    return bars[-1] if bars else None
