"""The other side of `tasks.pools`: a stage that a run on another machine has asked for."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Event, Thread
from uuid import UUID

import httpx
from prefect import runtime
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound

from contracts.artifact import Artifact
from contracts.errors import PreflightError, StoreError
from contracts.provenance import Ingredients, Provenance
from contracts.request import StageRequest
from contracts.secrets import masks_secrets
from data_checks.gate import GateError
from infra.alive import hold
from infra.launcher import Executor
from infra.preflight import check_run_name
from infra.settings import Settings, load_settings
from infra.store import Store
from tasks.display import StageDisplay
from tasks.keys import ingredients, input_digests, stage_key
from tasks.make import Display, make_once
from tasks.plan import check_machine
from tasks.pools import cancel, incomplete_key
from tasks.run import Run
from tasks.stopped import leave_stop
from training.recipe.recipe import parse_recipe

WATCH_SECONDS = 10.0


@masks_secrets
def make_requested(request: StageRequest) -> Artifact:
    """Makes the stage's artifact on this machine, or finds it finished meanwhile.

    It is not tried again here: whoever asked does that.

    Raises:
        PreflightError: This worker has another store or other code than the run that asks.
        PlanError: This machine cannot hold the stage.
        StageError: See `tasks.make.make_once`.
        GateError: What it samples stopped it; what the gate saw is in the store.
        RevisualError: See `tasks.make.make_once`.
    """
    settings = load_settings()
    _require_same_store(request, settings)
    check_run_name(request.run)
    run = Run(
        id=str(request.run_id),
        name=request.run,
        recipe=parse_recipe(request.recipe, where=f"the request of run {request.run}"),
        reuse=request.reuse,
        settings=settings,
        created=request.created,
        family=str(request.family) if request.family else None,
    )
    store, inputs = run.store(), dict(request.inputs)
    digests = input_digests(store, run.recipe, request.stage, inputs)
    made_of = ingredients(run.recipe, request.stage, request.kind, digests, salt=run.salt)
    _require_same_code(request, stage_key(made_of))
    if found := store.find(request.key):
        return found
    # Without the base it is the evaluation of a policy that may come from anywhere.
    is_sized = request.stage != "evaluate" or "base" in inputs
    check_machine(run.recipe, [request.stage], is_sized=is_sized, salt=run.salt)
    hold(run.work)
    display = StageDisplay(request.stage)
    own = UUID(str(runtime.flow_run.id))
    with ended_with(request.run_id, own):
        try:
            artifact = make_and_enter(run, store, request, made_of, inputs, display)
        except GateError as error:
            tell_stop(store, own, error, run.provenance(request.stage, inputs, made_of), display)
            raise
    display.finish(artifact, inputs, reused=False)
    return artifact


def make_and_enter(
    run: Run,
    store: Store,
    request: StageRequest,
    made_of: Ingredients,
    inputs: Mapping[str, Artifact],
    display: Display,
    execute: Executor | None = None,
) -> Artifact:
    """Makes the artifact, and enters it for the run that asks if it got no stage's key.

    Args and errors are those of `tasks.make.make_once`.
    """
    artifact = make_once(run, store, request.kind, made_of, inputs, display, execute)
    if store.find(request.key) is None:
        store.append(incomplete_key(request), artifact)
    return artifact


def tell_stop(
    store: Store, own: UUID, error: GateError, provenance: Provenance, display: Display
) -> None:
    """Leaves what a gate saw for the run that asks; without it, that has the gate's words alone."""
    try:
        leave_stop(store, own, error, provenance)
    except StoreError as fault:
        display.say(f"What the gate saw could not be stored: {fault}")


def _require_same_store(request: StageRequest, settings: Settings) -> None:
    if request.store != settings.store_uri:
        raise PreflightError(
            f"The run's store is {request.store}, this worker's is {settings.store_uri}.",
            where="environment variable REVISUAL_STORE of the worker",
            rule="a run and the workers of its stages share one store",
            fix=f"start the worker with REVISUAL_STORE={request.store}",
        )


def _require_same_code(request: StageRequest, key: str) -> None:
    if request.key != key:
        raise PreflightError(
            "This worker would make something else than the run that asks for it.",
            where=f"stage {request.stage}: its key is {key[:12]} here, {request.key[:12]} there",
            rule="a run and the workers of its stages have the same code",
            fix="bring both machines to one version of the project, and start the worker again",
        )


@contextmanager
def ended_with(asking: UUID, own: UUID) -> Iterator[None]:
    """Cancels this flow run when the one that asked for it has ended, however that died."""
    done = Event()

    def watch() -> None:
        while not done.wait(WATCH_SECONDS):
            if _has_ended(asking):
                # The server may be away just now: it is asked again.
                with suppress(httpx.HTTPError), get_client(sync_client=True) as client:
                    cancel(client, own)
                    return

    Thread(target=watch, name="asking-run", daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _has_ended(run_id: UUID) -> bool:
    try:
        with get_client(sync_client=True) as client:
            state = client.read_flow_run(run_id).state
    except ObjectNotFound:  # somebody has removed it
        return True
    except httpx.HTTPError:  # the server is away: nobody knows
        return False
    return state is not None and state.is_final()
