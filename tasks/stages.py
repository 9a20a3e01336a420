"""The stages as tasks: a reference in, a reference out."""

import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from infra.launcher import Job, launch
from infra.store import Artifact, Store
from tasks.display import StageDisplay
from tasks.keys import stage_key
from tasks.run import Run
from training.recipe import resolved_toml_values
from training.recipe_stages import Stage
from training.report.record import StageKind


@task(cache_policy=NO_CACHE, task_run_name="curate")
def curate(run: Run, base: Artifact) -> Artifact:
    """Stage 0: verifiable, hard enough, levelled and balanced problems."""
    return run_stage(run, "curate", "curate", {"policy": base}, makes="dataset")


@task(cache_policy=NO_CACHE, task_run_name="train-{stage.name}")
def train(run: Run, stage: Stage, policy: Artifact, data: Artifact) -> Artifact:
    """One training stage: the policy it starts from and the curated sets in, a policy out."""
    inputs = {"policy": policy, "data": data}
    return run_stage(run, stage.name, stage.kind, inputs, makes="model")


@task(cache_policy=NO_CACHE, task_run_name="evaluate")
def evaluate(run: Run, policies: Mapping[str, Artifact]) -> Artifact:
    """Every policy on every benchmark."""
    return run_stage(run, "evaluate", "evaluate", dict(policies), makes="evaluation")


def run_stage(
    run: Run, name: str, kind: StageKind, inputs: dict[str, Artifact], *, makes: str
) -> Artifact:
    """Finds the stage's artifact by its key, or makes it.

    Raises:
        StageError: Its processes failed.
        StoreError: An input cannot be fetched or the output cannot be stored.
    """
    start_seconds = time.monotonic()
    key = stage_key(run.recipe, name, inputs, code=run.code, salt=run.id if run.fresh else "")
    store = run.store()
    display = StageDisplay(name)
    found = store.find(key)
    artifact = found or _make(run, store, name, inputs, makes=makes, key=key, display=display)
    run.note_stage(
        name,
        kind,
        seconds=time.monotonic() - start_seconds,
        reused=found is not None,
        artifact=artifact,
        inputs=list(inputs.values()),
    )
    display.finish(artifact, inputs, reused=found is not None)
    return artifact


def _make(
    run: Run,
    store: Store,
    name: str,
    inputs: dict[str, Artifact],
    *,
    makes: str,
    key: str,
    display: StageDisplay,
) -> Artifact:
    """Runs the stage's processes in a scratch folder, kept when they fail, and publishes."""
    job = Job(
        stage=name,
        recipe=resolved_toml_values(run.recipe),
        inputs={given: _folder(store.fetch(artifact)) for given, artifact in inputs.items()},
        num_processes=run.recipe.hardware.num_processes,
        threads_per_process=run.recipe.hardware.threads_per_process,
    )
    run.work.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=run.work))
    output = launch(job, work, on_line=display.show_line, on_metrics=display.show_metrics)
    shutil.copyfile(work / "log.txt", output / "log.txt")
    artifact = store.publish(
        output,
        makes,
        producer=run.producer(name),
        inputs=inputs,
        recipe_digest=run.recipe_digest,
        key=key,
    )
    shutil.rmtree(work)
    return artifact


def _folder(artifact: Path) -> Path:
    """What a stage reads: a training stage's artifact holds its policy beside its figures."""
    return artifact / "model" if (artifact / "model").is_dir() else artifact
