"""What both comparisons with TRL share: a process of its own, and a clock for its trainers."""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
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


def _forget_process_group() -> None:
    os.environ.pop("LOCAL_RANK", None)
    torch.set_num_threads(NUM_THREADS)
