"""Making a stage's artifact: fetch the inputs, run the processes, keep what they save, publish."""

import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from contracts.artifact import Artifact
from contracts.errors import StagePreempted
from infra.inputs.folder import local_folder
from infra.launcher import CHECKPOINTS, Job, Metrics, launch
from infra.store import Store
from tasks.run import Run
from tasks.uploads import Retention, Uploads, resume_point
from training.recipe.recipe import resolved_toml_values


class Display(Protocol):
    """Where a person follows a running stage."""

    def say(self, text: str) -> None:
        """Shows what the task itself has to say."""
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
    name: str,
    inputs: Mapping[str, Artifact],
    *,
    makes: str,
    key: str,
    display: Display,
) -> Artifact:
    """Runs a stage in a scratch folder, its log kept when it fails, and publishes what it wrote.

    A training stage goes on from its newest step checkpoint in the store, whichever run put it
    there, and stores its own while it runs.

    Args:
        run: The run that asks.
        store: Where the inputs are, and where the artifact goes.
        name: The stage's name.
        inputs: Its inputs, by the names it knows them by.
        makes: The artifact's kind.
        key: The stage's key.
        display: Where a person follows it.

    Raises:
        StageError: Its processes failed.
        StagePreempted: They were told to stop; the next run goes on from the newest checkpoint.
        InputError: A source or the base model has changed since it was resolved, or is gone.
        StoreError: An input or a checkpoint cannot be fetched, or the output cannot be stored.
    """
    run.work.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=run.work))
    start = resume_point(store, key, work, display.say)
    job = Job(
        stage=name,
        recipe=resolved_toml_values(run.recipe),
        inputs={
            given: _folder(local_folder(store, artifact, run.settings))
            for given, artifact in inputs.items()
        },
        num_processes=run.recipe.hardware.num_processes,
        threads_per_process=run.recipe.hardware.threads_per_process,
        grace_seconds=run.recipe.checkpoints.grace_seconds,
        resume=start.folder,
    )
    uploads = Uploads(
        store,
        key,
        work / CHECKPOINTS,
        retention=Retention(run.recipe.checkpoints.keep_last),
        distrusted=start.distrusted,
        producer=run.producer(name),
        inputs=inputs,
        recipe_digest=run.recipe_digest,
        say=display.say,
    )
    try:
        with uploads:
            output = launch(job, work, on_line=display.show_line, on_metrics=display.show_metrics)
    except StagePreempted as notice:
        step = uploads.step or start.step
        raise StagePreempted(
            f"{notice}\nPreempted: step {step} is in the store; the next run goes on after it."
        ) from notice
    finally:
        # In the store by now, or never; a large model's would soon fill the disk.
        with suppress(FileNotFoundError):  # not every stage saves, nor lives to
            shutil.rmtree(work / CHECKPOINTS)
        if start.folder is not None:
            shutil.rmtree(start.folder)
    for kept in ("log.txt", "recipe.json"):
        shutil.copyfile(work / kept, output / kept)
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
