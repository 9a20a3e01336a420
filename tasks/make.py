"""Making a stage's artifact: fetch the inputs, run the processes, keep what they save, publish."""

import itertools
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from contracts.artifact import Artifact
from contracts.errors import StageLost, StagePreempted
from contracts.job import Job
from contracts.provenance import Ingredients, Provenance
from contracts.run_record import StageKind
from infra.inputs.folder import local_folder
from infra.launcher import CHECKPOINTS, Executor, Metrics, Resources, launch, new_job
from infra.sinks.choose import openers
from infra.sinks.relay import Relays
from infra.sinks.sink import SinkRun
from infra.store import Store
from tasks.chunks import ChunkUploads, stored_chunks
from tasks.keys import stage_key
from tasks.run import Run
from tasks.uploads import Retention, StepUploads, Uploads, drop_remains, resume_point
from training.recipe.recipe import resolved_toml_values
from training.recipe.stages import validates


@dataclass(frozen=True)
class Makes:
    """What a kind of stage makes.

    Attributes:
        kind: The artifact's kind.
        results: Patterns of the files that are its result. Its log, its figures and its times lie
            beside them as attachments: a stage that comes out the same again has the same digest,
            so that nothing after it runs again.
    """

    kind: str
    results: tuple[str, ...]


MAKES: Mapping[StageKind, Makes] = {
    "curate": Makes("dataset", ("*.parquet",)),
    "sft": Makes("model", ("model/*",)),
    "rl": Makes("model", ("model/*",)),
    "evaluate": Makes("evaluation", ("scores.json", "predictions.parquet")),
}


class Display(Protocol):
    """Where a person follows a running stage."""

    def say(self, text: str) -> None:
        """Shows what the task itself has to say."""
        ...

    def show_retry(self, title: str, why: str) -> None:
        """Shows that the stage is tried again, and what became of the attempt before."""
        ...

    def show_line(self, line: str) -> None:
        """Shows a line that the stage's processes printed."""
        ...

    def show_metrics(self, metrics: Metrics) -> None:
        """Shows a step's figures."""
        ...


def make_artifact(
    run: Run,
    store: Store,
    kind: StageKind,
    made_of: Ingredients,
    inputs: Mapping[str, Artifact],
    display: Display,
    execute: Executor = launch,
) -> Artifact:
    """Runs a stage in a scratch folder, its log kept when it fails, and publishes what it wrote.

    A stage goes on from what an attempt before saved in the store, whichever run put it there, and
    stores its own while it runs. What the machine has killed is tried again `hardware.retries`
    times.

    Args:
        run: The run that asks.
        store: Where the inputs are, and where the artifact goes.
        kind: Which kind of stage it is.
        made_of: The stage's ingredients; their key is the artifact's.
        inputs: Its inputs, by the names it knows them by.
        display: Where a person follows it.
        execute: Runs the stage's processes.

    Raises:
        StageError: Its processes failed.
        StageLost: The machine killed them, once more than it is tried again.
        StagePreempted: They were told to stop; the next run goes on from the newest checkpoint.
        InputError: A source or the base model has changed since it was resolved, or is gone.
        StoreError: An input or a checkpoint cannot be fetched, or the output cannot be stored.
    """
    name, key = made_of.stage, stage_key(made_of)
    num_retries = run.recipe.hardware.retries
    with _sinks(run, kind, name, key, made_of, display) as sinks:
        for attempt in itertools.count(1):
            try:
                work, job = _attempt(run, store, kind, made_of, inputs, display, sinks, execute)
                break
            except StageLost as error:
                if attempt > num_retries:
                    raise
                display.show_retry(f"Retry {attempt} of {num_retries} of {name}", str(error))
    for kept in ("log.txt", "recipe.json"):
        shutil.copyfile(work / kept, job.output / kept)
    makes, provenance = MAKES[kind], run.provenance(name, inputs, made_of)
    artifact = store.publish(job.output, makes.kind, provenance, results=makes.results, key=key)
    drop_remains(store, key, keeps_best=validates(run.recipe.stages, name))
    shutil.rmtree(work)
    return artifact


def _attempt(
    run: Run,
    store: Store,
    kind: StageKind,
    made_of: Ingredients,
    inputs: Mapping[str, Artifact],
    display: Display,
    sinks: Relays,
    execute: Executor,
) -> tuple[Path, Job]:
    """Runs a stage to its end from the newest checkpoint; returns its scratch folder and job."""
    name, key = made_of.stage, stage_key(made_of)
    run.work.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=run.work))
    provenance = run.provenance(name, inputs, made_of)
    uploads, resume = _saving(run, store, kind, provenance, key, work, display)
    folders = {given: _folder(run, store, artifact) for given, artifact in inputs.items()}
    job = new_job(name, resolved_toml_values(run.recipe), folders, work, resume)
    resources = Resources(
        run.recipe.hardware.num_processes,
        run.recipe.hardware.threads_per_process,
        run.recipe.checkpoints.grace_seconds,
    )

    def on_metrics(metrics: Metrics) -> None:
        display.show_metrics(metrics)
        sinks.write(metrics)

    try:
        with uploads:
            execute(job, resources, on_line=display.show_line, on_metrics=on_metrics)
    except StagePreempted as notice:
        raise StagePreempted(f"{notice}\nPreempted: {uploads.saved}") from notice
    finally:
        # In the store by now, or never; a large model's would soon fill the disk.
        with suppress(FileNotFoundError):  # not every stage lives to save
            shutil.rmtree(work / CHECKPOINTS)
        if resume is not None:
            shutil.rmtree(resume)
    return work, job


def _sinks(
    run: Run, kind: StageKind, name: str, key: str, made_of: Ingredients, display: Display
) -> Relays:
    """The recipe's sinks, for stages that train: the others' figures are not of steps."""
    settings = run.recipe.logging
    of = SinkRun(settings.project, run.recipe.name, name, key, run.name, made_of.recipe)
    names = settings.sinks if kind in ("sft", "rl") else ()
    return Relays(openers(names, of, run.settings.home), display.say)


def _saving(
    run: Run,
    store: Store,
    kind: StageKind,
    provenance: Provenance,
    key: str,
    work: Path,
    display: Display,
) -> tuple[Uploads, Path | None]:
    """What keeps a stage's work while it runs, and the folder of what earlier attempts left."""
    saved = work / CHECKPOINTS
    if kind in ("curate", "evaluate"):
        uploads = ChunkUploads(store, key, saved, provenance=provenance, say=display.say)
        return uploads, stored_chunks(store, key, work / "resume-chunks", display.say)
    start = resume_point(store, key, work, display.say)
    retention = Retention(run.recipe.checkpoints.keep_last)
    steps = StepUploads(
        store,
        key,
        saved,
        retention=retention,
        start=start,
        provenance=provenance,
        say=display.say,
    )
    return steps, start.folder


def _folder(run: Run, store: Store, artifact: Artifact) -> Path:
    """What a stage reads: a training stage's artifact holds its policy in a folder of its own."""
    folder = local_folder(store, artifact, run.settings)
    return folder / "model" if (folder / "model").is_dir() else folder
