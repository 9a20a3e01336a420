"""What comparisons share: a process of the peer's own, a clock for TRL's trainers, peak memory."""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import ParamSpec, TypeVar

import torch
from transformers import TrainerCallback

NUM_THREADS = os.cpu_count() or 1  # of both sides
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class StepClock(TrainerCallback):  # type: ignore[misc] - transformers has no types
    """Keeps when each optimizer step began and ended, seconds."""

    def __init__(self) -> None:
        self.begins: list[float] = []
        self.ends: list[float] = []

    def on_step_begin(self, *_: object, **__: object) -> None:
        """Called before a step's rollout and micro-batches."""
        self.begins.append(perf_counter())

    def on_step_end(self, *_: object, **__: object) -> None:
        """Called after the optimizer's step."""
        self.ends.append(perf_counter())


def in_new_process(
    function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result:
    """Calls `function` where there is no process group, as a user of the peer would.

    Inside ours, accelerate would wrap the peer's model for data parallelism over one process.
    """
    with ProcessPoolExecutor(
        1, mp_context=get_context("spawn"), initializer=_forget_process_group
    ) as pool:
        return pool.submit(function, *args, **kwargs).result()


def peak_bytes() -> int:
    """This program's peak of resident memory.

    Not `ru_maxrss`, which is at least what the process that started this one held at its peak.
    """
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in lines if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def _forget_process_group() -> None:
    os.environ.pop("LOCAL_RANK", None)
    torch.set_num_threads(NUM_THREADS)
