"""Making a stage's artifact: fetch the inputs, run the processes, keep what they save, publish."""

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from contracts.artifact import Artifact
from contracts.errors import StageLost, StagePreempted, StoreError
from contracts.job import Job
from contracts.provenance import Ingredients, Provenance
from contracts.run_record import StageKind
from infra.cluster.executor import RayExecutor
from infra.inputs.folder import stage_folder
from infra.launcher import CHECKPOINTS, Executor, Metrics, Resources, new_job
from infra.names import chunks_key
from infra.sinks.choose import openers
from infra.sinks.relay import Relays
from infra.sinks.sink import SinkRun
from infra.store import Store
from tasks.chunks import ChunkUploads, drop_chunks, stored_chunks
from tasks.keys import namer_digest, responses_keys, shards_key, stage_key, verdicts_digest
from tasks.parts import PARTS_FOLDER, REPLIES_FOLDER, Parts, find_parts, publish_parts
from tasks.placement import executor_of
from tasks.rollouts import RolloutsWatch
from tasks.run import Run
from tasks.uploads import (
    ResumePoint,
    Retention,
    StepUploads,
    Uploads,
    drop_remains,
    resume_point,
)
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

    def show_warning(self, text: str) -> None:
        """Shows what a person should look at while the stage goes on."""
        ...

    def show_line(self, line: str) -> None:
        """Shows a line that the stage's processes printed."""
        ...

    def following(self) -> AbstractContextManager[None]:
        """Until the end of a `with`, an attempt is shown; what ends with an error, as that."""
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
    execute: Executor | None = None,
) -> Artifact:
    """Makes a stage's artifact; `make_once`, again for what a machine has killed.

    Raises:
        StageLost: A machine killed it, once more than it is tried again.
        Exception: See `make_once`.
    """
    return with_retries(
        run.recipe.hardware.retries,
        made_of.stage,
        display,
        lambda: make_once(run, store, kind, made_of, inputs, display, execute),
        lambda: num_saved(run, store, kind, made_of),
    )


def with_retries(
    num_retries: int,
    stage: str,
    display: Display,
    make: Callable[[], Artifact],
    saved: Callable[[], int],
) -> Artifact:
    """What `make` returns; called again when it raises `StageLost`.

    An attempt that has saved more than those before it begins a new count: a node that is lent for
    a day may end a long stage any number of times, and one that fails at the same place does not.

    Args:
        num_retries: How often in a row, without anything more being saved.
        stage: Its name.
        display: Told of each.
        make: Makes the artifact.
        saved: How much is saved, such as the newest step; no more where it raises `StoreError`.

    Raises:
        StageLost: Once more than that.
    """
    attempt, most = 0, -1
    while True:
        try:
            return make()
        except StageLost as error:
            try:
                now = saved()
            except StoreError as unknown:
                display.say(f"What {stage} has saved is not known: {unknown}")
                now = most
            attempt, most = (1, now) if now > most else (attempt + 1, most)
            if attempt > num_retries:
                raise
            display.show_retry(f"Retry {attempt} of {num_retries} of {stage}", str(error))


def num_saved(run: Run, store: Store, kind: StageKind, made_of: Ingredients) -> int:
    """The newest step of a stage in the store; of one that samples, its uploads of responses."""
    if kind in ("sft", "rl"):
        return max(store.steps(stage_key(made_of)), default=0)
    keys = [*responses_keys(run.recipe, made_of), shards_key(run.recipe, made_of)]
    return sum(len(list(store.history(chunks_key(key)))) for key in keys if key is not None)


def make_once(
    run: Run,
    store: Store,
    kind: StageKind,
    made_of: Ingredients,
    inputs: Mapping[str, Artifact],
    display: Display,
    execute: Executor | None = None,
) -> Artifact:
    """Runs a stage in a scratch folder, its log kept when it fails, and publishes what it wrote.

    A stage goes on from what an attempt before saved in the store, whichever run put it there, and
    stores its own while it runs. Of an evaluation, every policy's answers to every benchmark are an
    artifact of their own.

    Args:
        run: The run that asks.
        store: Where the inputs are, and where the artifact goes.
        kind: Which kind of stage it is.
        made_of: The stage's ingredients; their key is the artifact's.
        inputs: Its inputs, by the names it knows them by.
        display: Where a person follows it.
        execute: Runs the stage's processes; the recipe's executor by default.

    Raises:
        StageError: Its processes failed.
        StageLost: The machine killed them.
        StagePreempted: They were told to stop; the next run goes on from the newest checkpoint.
        GateError: What it samples breaks an expectation, and the recipe stops it for that; as then.
        InputError: A source or the base model has changed since it was resolved, or is gone.
        StoreError: An input or a checkpoint cannot be fetched, or the output cannot be stored.
    """
    name, key = made_of.stage, stage_key(made_of)
    parts = None
    if kind == "evaluate":
        parts = find_parts(store, run.recipe, inputs, run.reuse, salt=run.salt)
        if parts.found:
            display.say(f"{parts} are in the store")
    with _sinks(run, kind, name, key, made_of, display) as sinks:
        work, job = _attempt(run, store, kind, made_of, inputs, parts, display, sinks, execute)
    for kept in ("log.txt", "recipe.json"):
        shutil.copyfile(work / kept, job.output / kept)
    made, is_whole = dict(inputs), True
    if parts is not None:
        answers, is_whole = publish_parts(run, store, parts, inputs, job.output)
        made |= answers
        for folder in (PARTS_FOLDER, REPLIES_FOLDER):
            shutil.rmtree(job.output / folder, ignore_errors=True)  # there may be none
    makes, provenance = MAKES[kind], run.provenance(name, made, made_of)
    artifact = store.publish(
        job.output,
        makes.kind,
        provenance,
        results=makes.results,
        key=key if is_whole else None,
    )
    if is_whole:
        drop_remains(store, key, keeps_best=validates(run.recipe.stages, name))
        if parts is not None:
            drop_chunks(store, responses_keys(run.recipe, made_of)[0], made_of)
    shutil.rmtree(work)
    return artifact


def _attempt(
    run: Run,
    store: Store,
    kind: StageKind,
    made_of: Ingredients,
    inputs: Mapping[str, Artifact],
    parts: Parts | None,
    display: Display,
    sinks: Relays,
    execute: Executor | None,
) -> tuple[Path, Job]:
    """Runs a stage to its end from the newest checkpoint; returns its scratch folder and job."""
    name = made_of.stage
    run.work.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=run.work))
    provenance = run.provenance(name, inputs, made_of)
    if kind in ("curate", "evaluate"):
        keys = responses_keys(run.recipe, made_of)
        shards = shards_key(run.recipe, made_of)
        uploads, start = _saving_responses(store, provenance, made_of, keys, shards, work, display)
    else:
        uploads, start = _saving_steps(run, store, provenance, stage_key(made_of), work, display)
    needed = inputs if parts is None else parts.needed(inputs)
    execute = execute or executor_of(run, name, needed, start.artifact)
    # Nodes fetch what they read themselves, by reference.
    fetched = {} if isinstance(execute, RayExecutor) else needed
    folders = {
        given: stage_folder(store, artifact, run.settings) for given, artifact in fetched.items()
    }
    policies = () if parts is None else tuple(parts.policies)
    job = new_job(
        *(name, resolved_toml_values(run.recipe), folders, work, start.folder),
        policies=policies,
        verdict_code=verdicts_digest() if kind == "evaluate" else None,
        namer=namer_digest(run.recipe, made_of),
    )
    if parts is not None:
        needs_gpus = any(part.needs_gpus for part in parts.parts.values())
        job = job.model_copy(update={"needs_gpus": needs_gpus})
    hardware = run.recipe.hardware.of(name)
    resources = Resources(
        hardware.num_processes,
        hardware.threads_per_process,
        run.recipe.checkpoints.grace_seconds,
        run.recipe.key_variables(name),
    )

    watches = [
        RolloutsWatch(run.recipe, stage, display.show_warning, start.step)
        for stage in run.recipe.stages
        if stage.name == name and stage.kind == "rl"
    ]

    def on_metrics(metrics: Metrics) -> None:
        display.show_metrics(metrics)
        sinks.write(metrics)
        for watch in watches:
            watch.see(metrics)

    try:
        # The last upload does not wait until a person sees the end.
        with display.following(), uploads:
            execute(job, resources, on_line=display.show_line, on_metrics=on_metrics)
    except StagePreempted as notice:
        raise StagePreempted(f"{notice}\nPreempted: {uploads.saved}") from notice
    finally:
        # In the store by now, or never; a large model's would soon fill the disk.
        with suppress(FileNotFoundError):  # not every stage lives to save
            shutil.rmtree(work / CHECKPOINTS)
        if start.folder is not None:
            shutil.rmtree(start.folder)
    return work, job


def _sinks(
    run: Run, kind: StageKind, name: str, key: str, made_of: Ingredients, display: Display
) -> Relays:
    """The recipe's sinks, for stages that train: the others' figures are not of steps."""
    settings = run.recipe.logging
    of = SinkRun(settings.project, run.recipe.name, name, key, run.name, made_of.recipe)
    names = settings.sinks if kind in ("sft", "rl") else ()
    return Relays(openers(names, of, run.settings.home), display.say)


def _saving_responses(
    store: Store,
    provenance: Provenance,
    made_of: Ingredients,
    keys: Sequence[str],
    shards: str | None,
    work: Path,
    display: Display,
) -> tuple[Uploads, ResumePoint]:
    """What keeps a stage's responses while it runs, and what there is already."""
    uploads: Uploads = ChunkUploads(
        *(store, keys[0], work / CHECKPOINTS),
        provenance=provenance,
        say=display.say,
        shards_key=shards,
    )
    found = [*keys, *([shards] if shards else [])]
    place = work / "resume-chunks"
    folder = stored_chunks(store, found, place, display.say, made_of=made_of)
    return uploads, ResumePoint(folder=folder)


def _saving_steps(
    run: Run, store: Store, provenance: Provenance, key: str, work: Path, display: Display
) -> tuple[Uploads, ResumePoint]:
    """What keeps a training stage's steps while it runs, and the newest before."""
    start = resume_point(store, key, work, display.say)
    steps: Uploads = StepUploads(
        store,
        key,
        work / CHECKPOINTS,
        retention=Retention(run.recipe.checkpoints.keep_last),
        start=start,
        provenance=provenance,
        say=display.say,
    )
    return steps, start
