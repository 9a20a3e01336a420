"""What a stage is asked to do, and what it says when it ends."""

from pathlib import Path
from typing import Literal

from contracts.artifact import Record, Sha256

# How an evaluation knows what is answered already, and what a judge replied to it.
PART, REPLIES = "part:", "replies:"
STAGE_MODULE = "training.stage"  # run as `python -m training.stage JOB.json`
PREEMPTED_EXIT_CODE = 75  # sysexits.h, EX_TEMPFAIL: the same job may be tried again


class Job(Record):
    """What one stage is to do.

    Attributes:
        stage: `curate`, `evaluate` or the name of a training stage of the recipe.
        recipe: The resolved recipe, a JSON file.
        inputs: Local folders by name. curate: `policy`, `source:<name>` and `benchmark:<name>`;
            training: `policy`, `data`; evaluate: policies by their names, `benchmark:<name>`, and
            `part:<policy>/<benchmark>` and `replies:<policy>/<benchmark>` for what is answered
            already.
        output: The folder to fill; empty at the start.
        outcome: Where to write how it ended, an `Outcome`.
        checkpoints: Folder for step checkpoints, or chunks of responses; None saves none.
        resume: A step checkpoint to go on from, or a folder of chunks.
        policies: evaluate: all policies by name, the base first. One that is no input has all its
            answers in parts.
        verdict_code: evaluate: digest of the code that judges; its scores name it.
        namer: curate: digest of what decides the answers of the model that names topics.
        needs_gpus: Whether it computes with a model; else it waits for no GPU, and sees none.
    """

    stage: str
    recipe: Path
    inputs: dict[str, Path]
    output: Path
    outcome: Path
    checkpoints: Path | None = None
    resume: Path | None = None
    policies: tuple[str, ...] = ()
    verdict_code: Sha256 | None = None
    namer: str = ""
    needs_gpus: bool = True


class Outcome(Record):
    """How a stage ended, in its own words; processes that are killed leave none.

    Attributes:
        status: `done`; `refused`, a rule was broken; `preempted`, told to stop and saved; `lost`,
            another process could not be reached any more; `crashed`, by an error nobody expected.
        message: What it has to say: the broken rule with where, rule and fix.
    """

    status: Literal["done", "refused", "preempted", "lost", "crashed"]
    message: str = ""
