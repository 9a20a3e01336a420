"""Runs one stage in a process of its own: `python -m training.stage JOB.json`.

A stage is a subprocess so that a crash in NCCL or an out-of-memory kill fails the Prefect task
and not the worker; torchrun starts it if it has several processes. The job names folders only;
fetching and publishing them is the task's work.
"""

import gc
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from contracts.errors import OutOfMemoryError, Preempted, RecipeError, RevisualError
from contracts.job import PART, PREEMPTED_EXIT_CODE, REPLIES, Job, Outcome
from contracts.secrets import mask_logs_and_tracebacks
from training.recipe.recipe import Recipe, parse_recipe


def run(job: Job) -> None:
    """Does the stage's work.

    Raises:
        RecipeError: The recipe has no stage of that name.
        RevisualError: Whatever rule the stage's inputs break.
    """
    recipe = _recipe(job)
    # Each stage imports only what it needs: process start is a good part of a pocket run's time.
    if job.stage == "curate":
        with _loading():
            from training.curation.curate import curate

        places = {"save": job.checkpoints, "resume": job.resume}
        curate(recipe, job.inputs, job.output, **places, namer=job.namer)
    elif job.stage == "evaluate":
        with _loading():
            from training.evaluation.run import evaluate

        pairs = [
            (policy, one.name) for policy in job.policies for one in recipe.evaluation.benchmarks
        ]
        kept = {
            kind: {
                pair: job.inputs[name]
                for pair in pairs
                if (name := kind + "/".join(pair)) in job.inputs
            }
            for kind in (PART, REPLIES)
        }
        evaluate(
            recipe,
            {policy: job.inputs.get(policy) for policy in job.policies},
            job.output,
            folders=job.inputs,
            parts=kept[PART],
            replies=kept[REPLIES],
            save=job.checkpoints,
            resume=job.resume,
            verdict_code=job.verdict_code,
        )
    else:
        _train(recipe, job)


def _train(recipe: Recipe, job: Job) -> None:
    stages = {stage.name: stage for stage in recipe.stages}
    if job.stage not in stages:
        raise RecipeError(
            f"The recipe {recipe.name} has no stage {job.stage!r}.",
            where=str(job.recipe),
            rule=f"a job's stage is curate, evaluate or one of {sorted(stages)}",
            fix="name one of these stages",
        )
    with _loading():
        from training.learner.checkpoints import Places

    stage = stages[job.stage]
    inputs = job.inputs["policy"], job.inputs["data"]
    places = Places(job.checkpoints, job.resume)
    if stage.kind == "sft":
        with _loading():
            from training.sft.train import train as train_supervised

        train_supervised(recipe, stage, *inputs, job.output, places)
    else:
        with _loading():
            from training.grpo.train import train as train_grpo

        train_grpo(recipe, stage, *inputs, job.output, places)


def _require_free_gpu(job: Job) -> None:
    import torch

    if torch.cuda.is_available():
        with _loading():
            from training.plan.free import require_free

        require_free(job)


@contextmanager
def _loading() -> Iterator[None]:
    """Inside, nobody looks for garbage: what is imported stays, and that is a fifth of a start."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def main() -> int:
    """Runs the job named on the command line, and leaves its outcome.

    Returns:
        0; 2 if a rule is broken; 75 if the stage was told to stop and has saved its state.
    """
    mask_logs_and_tracebacks()  # an evaluation may hold an endpoint's key
    job = Job.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    try:
        with _loading():
            from training.runtime.failures import leave_phases  # seconds, for torch

        leave_phases(job.outcome.parent)
        _require_free_gpu(job)
        run(job)
    except RevisualError as error:
        return _refused(job, error, error)
    except Preempted as notice:
        sys.stderr.write(f"stage {job.stage}: {notice}\n")
        _say(job, Outcome(status="preempted", message=str(notice)))
        return PREEMPTED_EXIT_CODE
    except Exception as error:
        # Before this process ends and the others miss it: theirs is the consequence.
        from training.runtime.failures import is_lost_rank, is_out_of_memory, out_of_memory

        if is_out_of_memory(error):  # first: NCCL runs out of memory, too
            return _refused(job, out_of_memory(error, None), error)
        lost = is_lost_rank(error)  # of anything else the log holds the traceback
        _say(job, Outcome(status="lost" if lost else "crashed"))
        raise
    from training.runtime.device import is_first_of_node

    if is_first_of_node():  # it writes the output: another one may be done before all of it is
        _say(job, Outcome(status="done"))
    return 0


def _refused(job: Job, error: RevisualError, raised: Exception) -> int:
    """Leaves what an error says, with the plan's figures where memory ran out.

    Args:
        job: That ends with it.
        error: What is said.
        raised: What it was made of, with what has been noted since (`Checkpoints`).
    """
    notes = getattr(raised, "__notes__", ())
    message = "\n  ".join([f"{type(error).__name__}: {error}", *notes])
    if isinstance(error, OutOfMemoryError):
        from training.plan.beside import figures_of

        message += f"\n  plan:  {figures_of(job)}"
    sys.stderr.write(f"{message}\n")
    _say(job, Outcome(status="refused", message=message))
    return 2


def _recipe(job: Job) -> Recipe:
    values = json.loads(job.recipe.read_text(encoding="utf-8"))
    return parse_recipe(values, where=str(job.recipe)).for_stage(job.stage)


def _say(job: Job, outcome: Outcome) -> None:
    """Leaves the outcome for whoever launched the stage; the first process to end has the word."""
    with suppress(FileExistsError), job.outcome.open("x", encoding="utf-8") as file:
        file.write(outcome.model_dump_json())


if __name__ == "__main__":
    sys.exit(main())
