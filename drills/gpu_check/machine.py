"""Where the check runs: GPUs, time left, and how a part measures in processes of its own."""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.errors import PreflightError
from contracts.graces import stage_grace
from contracts.job import Job
from drills.gpu_check.outcome import Failed, Figures, Skipped
from infra.ends import signal_of
from infra.gpus import gpu_locks, gpus_of
from infra.launcher import stage_environment, supervise

LOG_TAIL_LINES = 30
GRACE = stage_grace(5.0)


class _TimeIsUp(Exception):
    """A measurement took longer than it may."""


@dataclass(frozen=True)
class Machine:
    """The machine under check.

    Attributes:
        num_gpus: CUDA devices that torch finds.
        deadline: When the whole check must be over, by `time.monotonic()`.
    """

    num_gpus: int
    deadline: float

    @property
    def num_ranks(self) -> int:
        """Processes of a part that shards: one a GPU; two on a CPU."""
        return self.num_gpus or 2

    def require_gpus(self, count: int, what: str) -> None:
        """Skips a part that has too few GPUs.

        Raises:
            Skipped: There are fewer.
        """
        if self.num_gpus < count:
            raise Skipped(f"{what} takes {count} GPU(s), and torch finds {self.num_gpus}")

    def measure(
        self,
        function: Callable[..., Figures],
        *,
        limit_seconds: float,
        num_ranks: int = 1,
        on_cpu: bool = False,
        locks_gpus: bool = True,
        **arguments: Any,  # noqa: ANN401 - whatever JSON holds
    ) -> Figures:
        """Calls a function in new processes, and returns what the first of them returned.

        Args:
            function: Of a module, so that it can be imported by its name.
            limit_seconds: Its share of the whole check's time.
            num_ranks: Under torchrun, if there is more than one.
            on_cpu: Hides the GPUs.
            locks_gpus: Not where the function starts stages, which lock them themselves.
            **arguments: What it is called with.

        Raises:
            Skipped: The function says that something is missing, no time is left, or a stage has
                the GPUs: it may have them for days.
            Failed: It says so, it crashed, or it took too long.
        """
        limit = min(limit_seconds, self.deadline - time.monotonic())
        if limit <= 0:
            raise Skipped("the check's time is up")
        with tempfile.TemporaryDirectory() as folder:
            asked, answer, log = (Path(folder) / name for name in ("asked", "answer", "log"))
            name = f"{function.__module__}:{function.__qualname__}"
            asked.write_text(json.dumps([name, arguments, str(answer)]), encoding="utf-8")
            launch = ["-m", "infra.torchrun", "--nproc-per-node", str(num_ranks)]
            own = ["-m", "drills.gpu_check.process", str(asked)]
            environment = stage_environment(threads_per_process=1)
            if on_cpu:
                environment["CUDA_VISIBLE_DEVICES"] = ""
            command = [*(launch if num_ranks > 1 else []), *own]
            job = Job(
                stage="gpu-check",
                recipe=asked,
                inputs={},
                output=answer,
                outcome=answer,
                needs_gpus=locks_gpus and not on_cpu,
            )
            with _gpus_held(job) as locks:
                code = _run(command, environment, log, limit, locks)
            if not answer.exists():
                raise Failed(_how_it_ended(code, limit), log=_tail(log))
            said = json.loads(answer.read_text(encoding="utf-8"))
        match said["status"]:
            case "skipped":
                raise Skipped(said["reason"])
            case "failed":
                raise Failed(said["reason"], said["figures"], said["log"])
        figures: Figures = said["figures"]
        return figures


@contextmanager
def _gpus_held(job: Job) -> Iterator[tuple[int, ...]]:
    """Keeps stages off the GPUs, as they keep others; see `infra.gpus`."""
    try:
        gpus = gpus_of(job, lambda line: print(line, file=sys.stderr))
        with gpu_locks(gpus, job) as locks:
            if held := locks.take():
                raise Skipped(f"it does not wait for GPUs. {held}")
            yield locks.descriptors
    except PreflightError as error:
        raise Failed(str(error)) from error


def _run(
    command: list[str],
    environment: dict[str, str],
    log: Path,
    limit: float,
    locks: Collection[int],
) -> int | None:
    """Runs Python until it ends, and nothing of it is left; None if it took too long."""
    end = time.monotonic() + limit

    def poll() -> None:
        if time.monotonic() > end:
            raise _TimeIsUp

    try:
        return supervise(
            [sys.executable, *command],
            environment,
            log,
            poll=poll,
            grace=GRACE,
            locks=locks,
        )
    except _TimeIsUp:
        return None


def _how_it_ended(code: int | None, limit: float) -> str:
    if code is None:
        return f"it took longer than {limit:.0f} s, and was ended"
    ended_by = signal_of(code)
    return f"it ended {f'by {ended_by.name}' if ended_by else f'with exit code {code}'}"


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-LOG_TAIL_LINES:])
