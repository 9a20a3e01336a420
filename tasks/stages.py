"""The stages as tasks: a reference in, a reference out."""

import time
from collections.abc import Mapping

from prefect import task
from prefect.cache_policies import NO_CACHE

from contracts.artifact import Artifact
from contracts.run_record import StageKind
from tasks.assets import emit_asset
from tasks.display import StageDisplay
from tasks.inputs import Inputs
from tasks.keys import stage_key
from tasks.make import make_artifact
from tasks.run import Run
from training.recipe.stages import Stage


@task(cache_policy=NO_CACHE, task_run_name="curate")
def curate(run: Run, inputs: Inputs) -> Artifact:
    """Stage 0: verifiable, hard enough, levelled and balanced problems."""
    given = {"policy": inputs.base, **inputs.sources, **inputs.benchmarks}
    return run_stage(run, "curate", "curate", given, makes="dataset")


@task(cache_policy=NO_CACHE, task_run_name="train-{stage.name}")
def train(run: Run, stage: Stage, policy: Artifact, data: Artifact) -> Artifact:
    """One training stage: the policy it starts from and the curated sets in, a policy out."""
    inputs = {"policy": policy, "data": data}
    return run_stage(run, stage.name, stage.kind, inputs, makes="model")


@task(cache_policy=NO_CACHE, task_run_name="evaluate")
def evaluate(run: Run, policies: Mapping[str, Artifact], inputs: Inputs) -> Artifact:
    """Every policy on every benchmark."""
    given = {**policies, **inputs.benchmarks}
    return run_stage(run, "evaluate", "evaluate", given, makes="evaluation")


def run_stage(
    run: Run, name: str, kind: StageKind, inputs: dict[str, Artifact], *, makes: str
) -> Artifact:
    """Finds the stage's artifact by its key, or makes it.

    Raises:
        StageError: Its processes failed.
        StagePreempted: They were told to stop; the next run goes on from the newest checkpoint.
        StoreError: An input cannot be fetched or the output cannot be stored.
    """
    start_seconds = time.monotonic()
    key = stage_key(run.recipe, name, inputs, code=run.code, salt=run.id if run.fresh else "")
    store = run.store()
    display = StageDisplay(name)
    found = store.find(key)
    artifact = found or make_artifact(
        run, store, name, inputs, makes=makes, key=key, display=display
    )
    run.note_stage(
        name,
        kind,
        seconds=time.monotonic() - start_seconds,
        reused=found is not None,
        artifact=artifact,
        inputs=list(inputs.values()),
    )
    display.finish(artifact, inputs, reused=found is not None)
    emit_asset(store, artifact, reused=found is not None)
    return artifact
