"""The stages as tasks: a reference in, a reference out."""

import time
from collections.abc import Mapping, Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from contracts.artifact import Artifact
from contracts.provenance import Ingredients
from contracts.run_record import StageKind
from contracts.secrets import masks_secrets
from data_checks.gate import GateError
from infra.store import Store
from tasks.assets import emit_asset
from tasks.datasheet import show_datasheet
from tasks.display import StageDisplay, show_scores
from tasks.gates import show_gate
from tasks.inputs import Inputs
from tasks.keys import (
    find_finished,
    history_key,
    ingredients,
    input_digests,
    library_versions,
    recipe_key,
    stage_key,
)
from tasks.make import make_artifact
from tasks.pools import make_elsewhere
from tasks.run import Run
from tasks.scratch import alone
from tasks.status import explain
from tasks.uploads import drop_remains
from training.recipe.hardware import LOCAL
from training.recipe.stages import Stage, validates


@task(cache_policy=NO_CACHE, task_run_name="curate")
@masks_secrets
def curate(run: Run, inputs: Inputs) -> Artifact:
    """Stage 0: verifiable, hard enough, levelled and balanced problems."""
    given = {"policy": inputs.base, **inputs.models, **inputs.sources, **inputs.benchmarks}
    artifact = run_stage(run, "curate", "curate", given, inputs.remarks)
    show_datasheet(run, artifact, inputs.remarks)
    return artifact


@task(cache_policy=NO_CACHE, task_run_name="train-{stage.name}")
@masks_secrets
def train(run: Run, stage: Stage, policy: Artifact, data: Artifact) -> Artifact:
    """One training stage: the policy it starts from and the curated sets in, a policy out."""
    try:
        return run_stage(run, stage.name, stage.kind, {"policy": policy, "data": data})
    except GateError as error:  # what it sampled so far
        show_gate(run, error.checked)
        raise


@task(cache_policy=NO_CACHE, task_run_name="evaluate")
@masks_secrets
def evaluate(run: Run, policies: Mapping[str, Artifact], inputs: Inputs) -> Artifact:
    """Every policy on every benchmark."""
    artifact = run_stage(run, "evaluate", "evaluate", {**policies, **inputs.benchmarks})
    show_scores(run.store(), artifact)
    return artifact


def run_stage(
    run: Run,
    name: str,
    kind: StageKind,
    inputs: dict[str, Artifact],
    about_inputs: Sequence[str] = (),
) -> Artifact:
    """Finds the stage's artifact by its key, or makes it.

    Args:
        run: The run that asks.
        name: The stage's name.
        kind: Which of the four kinds it is.
        inputs: What it reads, by the names that it knows them by.
        about_inputs: What a reader should know of these.

    Raises:
        StageError: Its processes failed.
        StagePreempted: They were told to stop; the next run goes on from the newest checkpoint.
        GateError: The gate on its rollouts stopped it while it trained.
        StoreError: An input cannot be fetched or the output cannot be stored.
    """
    start_seconds = time.monotonic()
    store = run.store()
    digests = input_digests(store, run.recipe, name, inputs)
    made_of = ingredients(run.recipe, name, kind, digests, salt=run.salt)
    display, said = StageDisplay(name), list[str]()
    with alone(run.settings.home, stage_key(made_of)):
        found = find_finished(store, made_of, run.reuse)
        if found is None:
            make = make_artifact if run.recipe.hardware.of(name).pool == LOCAL else make_elsewhere
            artifact = make(run, store, kind, made_of, inputs, display)
            if store.find(stage_key(made_of)) is None:
                said = ["Not everything was answered: the next run asks for the rest"]
                display.say(said[0])
            else:
                for key in (recipe_key(made_of), history_key(run.recipe, name)):
                    store.append(key, artifact)
        else:
            artifact = found
            # Of a run that was killed before it could.
            drop_remains(store, stage_key(made_of), keeps_best=validates(run.recipe.stages, name))
            said = remarks(store, found, made_of)
            for line in said:
                display.say(line)
    run.note_stage(
        name,
        kind,
        seconds=time.monotonic() - start_seconds,
        reused=found is not None,
        artifact=artifact,
        inputs=list(inputs.values()),
        remarks=[*about_inputs, *said],
    )
    display.finish(artifact, inputs, reused=found is not None)
    emit_asset(store, artifact, reused=found is not None)
    return artifact


def remarks(store: Store, found: Artifact, made_of: Ingredients) -> list[str]:
    """What a person should know of an artifact that is taken for one that would be made now."""
    manifest = store.manifest(found)
    before, now = manifest.libraries, library_versions()
    said = [
        f"Made with {library} {before[library]}; {now[library]} is installed here"
        for library in sorted(before.keys() & now.keys())
        if before[library] != now[library]
    ]
    if manifest.ingredients is not None and (changes := explain(manifest.ingredients, made_of)):
        said.append(f"Reused as the run asked, made otherwise: {'; '.join(changes)}")
    return said
