"""Whether a stage's GPU has room when it begins: what is no stage may hold a part of it.

A run is planned by a GPU's whole memory, and its stages come to it hours later. Locks keep stages
off (`infra.gpus`), and nobody else.
"""

import os
import sys
import time
from collections.abc import Callable

import torch

from contracts.errors import PreflightError
from contracts.job import Job
from training.plan.beside import recipe_of
from training.plan.machine import GIB, Machine, machine_here
from training.plan.memory import CONTEXT
from training.plan.plan import make_plan
from training.plan.shape import is_planned
from training.runtime.device import current_device
from training.runtime.failures import others_on_gpu

# A driver frees what a killed process had some time after its end.
LOOKED_FOR_SECONDS, POLL_SECONDS = 60.0, 1.0


def require_free(job: Job) -> None:
    """Refuses a stage whose GPU others fill, as far as it is planned; CUDA machines only.

    Raises:
        PreflightError: It tells what is free, what is wanted, and who holds the rest.
    """
    needed = planned_bytes(job, machine_here)
    if needed is None:
        return
    torch.cuda.set_device(current_device())
    free = free_in_time(needed, lambda: torch.cuda.mem_get_info()[0], LOOKED_FOR_SECONDS)
    if free < needed:
        raise too_little(job.stage, needed, free, others_on_gpu())


def planned_bytes(job: Job, machine: Callable[[], Machine]) -> int | None:
    """What a stage takes of one GPU beside CUDA's context, which its process has by now.

    Args:
        job: What it does.
        machine: Where.

    Returns:
        None of a stage without a policy of its own to begin with, as an evaluation, whose models
        may be of any size, or where that is not known, or more than the GPU has: nobody else is
        to blame for that.
    """
    if "policy" not in job.inputs or not is_planned(str(job.inputs["policy"])):
        return None
    recipe, here = recipe_of(job), machine()
    plan = make_plan(recipe, here, [job.stage])
    # vLLM takes its share at once; the other engine's cache is bounded, and as large as its batch.
    is_fixed = recipe.rollout.engine == "vllm"
    peaks = [one.memory.peak if is_fixed else one.memory.update for one in plan.stages]
    for one in plan.sampling:
        is_fixed = one.of.rollout.engine == "vllm"
        peaks.append(one.peak if is_fixed else one.weights + CONTEXT)
    return None if max(peaks) > here.usable_gpu_memory else max(peaks) - CONTEXT


def free_in_time(needed: int, free: Callable[[], int], seconds: float) -> int:
    """Free bytes, as soon as they are enough, or at last.

    Args:
        needed: Bytes that are wanted.
        free: Tells how many are free.
        seconds: How long it is looked for more.
    """
    deadline, is_told = time.monotonic() + seconds, False
    while (found := free()) < needed and time.monotonic() < deadline:
        if not is_told:
            is_told = True
            sys.stdout.write(f"{_lack(needed, found)} Looks again for {seconds:.0f} s.\n")
        time.sleep(POLL_SECONDS)
    return found


def too_little(stage: str, needed: int, free: int, others: str) -> PreflightError:
    """What is said of a GPU that others fill.

    Args:
        stage: The stage's name.
        needed: Bytes that it takes.
        free: Bytes that there are.
        others: See `others_on_gpu`.
    """
    who = f"process {others}" if others else "which `nvidia-smi` names outside of this container"
    return PreflightError(
        _lack(needed, free),
        where=f"stage {stage}, rank {os.environ.get('RANK', '0')}",
        rule="what a stage takes of a GPU by its plan is free when it begins",
        fix=f"end what else is on this GPU, {who}, or give the worker others by "
        "CUDA_VISIBLE_DEVICES; the next run goes on from the newest checkpoint all the same",
    )


def _lack(needed: int, free: int) -> str:
    return (
        f"{free / GIB:.1f} GiB of this process's GPU are free, and the stage takes "
        f"{needed / GIB:.1f} by its plan."
    )
