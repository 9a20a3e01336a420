"""Runs one stage under the supervisor, by torchrun if it has several processes, and watches it.

    work/
      job.json       what the stage is asked
      recipe.json    the resolved recipe
      outcome.json   how it ended, in its own words
    log.txt        everything its processes print
      output/        what it writes; metrics.jsonl grows while it runs
      checkpoints/   its step checkpoints, until somebody takes them

A crash in a collective or an out-of-memory kill fails the stage, not the worker; and whatever ends
the caller, an exception, a cancellation or SIGKILL, ends the stage's processes too.
"""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from contracts.errors import StageError, StageLost, StagePreempted
from contracts.graces import Grace, stage_grace
from contracts.job import STAGE_MODULE, Job
from contracts.secrets import without_secret_variables
from infra.ends import is_finished, outcome_of, signal_of
from infra.gpus import cuda_environment, held, note_process
from infra.killed import Ranks, killed_for_memory
from infra.settings import PROJECT_ROOT
from infra.stopping import hear_no_more, stop_if_told
from infra.supervisor import GRACE_SECONDS, LOCKS_VARIABLE

POLL_SECONDS = 0.25
LOG_TAIL_LINES = 30
SHORT_GRACE = stage_grace(GRACE_SECONDS)
CHECKPOINTS = "checkpoints"
# By which torchrun tells a process its place among the others.
TORCHRUN_VARIABLES = (
    *("RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"),
    *("GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE", "ROLE_NAME", "MASTER_ADDR", "MASTER_PORT"),
)
LOOPBACK_INTERFACE = "lo"  # of one machine's processes: nobody else reaches them
Metrics = dict[str, Any]


@dataclass(frozen=True)
class Resources:
    """What a stage may take of this machine.

    Attributes:
        num_processes: Training processes to start.
        threads_per_process: CPU threads of each.
        grace_seconds: From SIGTERM to SIGKILL: time to save the last step, or to finish this one.
        variables: Names of variables that it gets although they hold secrets.
    """

    num_processes: int
    threads_per_process: int
    grace_seconds: float = GRACE_SECONDS
    variables: tuple[str, ...] = ()


class Executor(Protocol):
    """Runs a stage somewhere: `launch` does it here."""

    def __call__(
        self,
        job: Job,
        resources: Resources,
        *,
        on_line: Callable[[str], None],
        on_metrics: Callable[[Metrics], None],
    ) -> None:
        """Runs the job to its end; see `launch`."""


def new_job(
    stage: str,
    recipe: Mapping[str, Any],
    inputs: Mapping[str, Path],
    work: Path,
    resume: Path | None = None,
    policies: tuple[str, ...] = (),
    verdict_code: str | None = None,
    namer: str = "",
) -> Job:
    """Lays out a stage's scratch folder and writes down what is asked.

    Args:
        stage: `curate`, the name of a training stage, or `evaluate`.
        recipe: The resolved recipe.
        inputs: Local folders of its inputs, by name; the order counts.
        work: The folder, of its own; created, must not hold an output.
        resume: A step checkpoint to go on from.
        policies: Of an evaluation: all policies by name, the base first.
        verdict_code: Of an evaluation: digest of the code that judges.
        namer: Of a curation: digest of what decides the answers of the model that names topics.
    """
    job = Job(
        stage=stage,
        recipe=work / "recipe.json",
        inputs=dict(inputs),
        output=work / "output",
        outcome=work / "outcome.json",
        checkpoints=work / CHECKPOINTS,
        resume=resume,
        policies=policies,
        verdict_code=verdict_code,
        namer=namer,
    )
    job.output.mkdir(parents=True)
    job.recipe.write_text(json.dumps(recipe, indent=2))
    return job


def launch(
    job: Job,
    resources: Resources,
    *,
    on_line: Callable[[str], None],
    on_metrics: Callable[[Metrics], None],
) -> None:
    """Runs a stage to its end on this machine, once no other one holds its GPUs; an `Executor`.

    Args:
        job: What to run, as `new_job` made it.
        resources: With how many processes.
        on_line: Called with every complete line the stage prints.
        on_metrics: Called with every object the stage appends to `metrics.jsonl`.

    Raises:
        StageError: The stage failed.
        StagePreempted: It was told to stop.
        StageLost: Its processes were killed, or lost one another.
    """
    with held(job, on_line) as locks:
        run_watched(
            job,
            stage_command(write_job(job), resources.num_processes, resources.grace_seconds),
            stage_environment(resources.threads_per_process, resources.variables)
            | cuda_environment(job),
            on_line=on_line,
            on_metrics=on_metrics,
            grace=stage_grace(resources.grace_seconds),
            ranks=Ranks(job),
            locks=locks,
        )


def write_job(job: Job) -> Path:
    """Leaves a job beside its output, for the processes that do it."""
    path = job.output.parent / "job.json"
    path.write_text(job.model_dump_json(indent=2))
    return path


def stage_command(
    job: Path, num_processes: int, grace_seconds: float, seat: Collection[str] = ()
) -> list[str]:
    """What starts a stage's processes on one machine: torchrun, or the one process itself.

    An agent that has nobody to bring together would cost a start of torch, 3 s, and its memory.

    Args:
        job: Where the job is written.
        num_processes: On this machine.
        grace_seconds: From SIGTERM to SIGKILL; torchrun would give its processes 30 s.
        seat: Options that tell `infra.torchrun` which of several machines this is.
    """
    python, stage = (sys.executable, "-m"), (STAGE_MODULE, str(job))
    if num_processes == 1 and not seat:
        return [*python, *stage]
    agent = (
        *("--nproc-per-node", str(num_processes)),
        *("--shutdown-timeout", str(math.ceil(grace_seconds))),  # takes whole seconds
    )
    return [*python, "infra.torchrun", *seat, *agent, "-m", "infra.rank", *stage]


def run_watched(
    job: Job,
    command: list[str],
    environment: Mapping[str, str],
    *,
    on_line: Callable[[str], None],
    on_metrics: Callable[[Metrics], None],
    grace: Grace,
    ranks: Ranks | None = None,
    locks: Collection[int] = (),
) -> None:
    """Runs what makes a job, and hands on its log and its metrics; see `launch`.

    Args:
        job: What is made; whatever runs leaves its outcome and its output there.
        command: What to run.
        environment: Its whole environment.
        on_line: Called with every complete line.
        on_metrics: Called with every object that is appended to `metrics.jsonl`.
        grace: Between telling it to stop and killing it.
        ranks: The stage's processes; None where they are on other machines, which tell of them.
        locks: See `start_supervised`.
    """
    log_path = job.output.parent / "log.txt"
    log = LineTail(log_path, on_line)
    metrics = LineTail(job.output / "metrics.jsonl", lambda line: on_metrics(json.loads(line)))

    def poll() -> None:
        log.read()
        metrics.read()
        if ranks is not None:
            ranks.look()

    code = supervise(command, environment, log_path, poll=poll, grace=grace, locks=locks)
    if not is_finished(code, outcome_of(job)):
        raise _failure(job, code, log_path, ranks)


def supervise(
    command: list[str],
    environment: Mapping[str, str],
    log_path: Path,
    *,
    poll: Callable[[], None],
    grace: Grace = SHORT_GRACE,
    locks: Collection[int] = (),
) -> int:
    """Runs a command under the supervisor and returns its exit code.

    Args:
        command: What to run, in the project's root.
        environment: Its whole environment.
        log_path: Where its output goes.
        poll: Called every quarter of a second, and once after the end.
        grace: Between telling it to stop and killing it.
        locks: See `start_supervised`.

    Raises:
        StagePreempted: This thread's flow has been told to stop (`infra.stopping`).
    """
    stop_if_told()
    with (
        log_path.open("wb") as log,
        start_supervised(command, environment, log, grace, locks) as process,
    ):
        try:
            while process.poll() is None:
                poll()
                stop_if_told()
                time.sleep(POLL_SECONDS)
        except BaseException as error:
            if not isinstance(error, Exception):  # told to stop: a second signal must cut no save
                hear_no_more()
            raise
        finally:
            _stop(process, grace)
        poll()
        return process.returncode


def start_supervised(
    command: list[str],
    environment: Mapping[str, str],
    log: IO[bytes],
    grace: Grace,
    locks: Collection[int] = (),
) -> subprocess.Popen[bytes]:
    """Starts a command under the supervisor, which ends with the thread that calls this.

    Args:
        command: What to run, in the project's root.
        environment: Its whole environment.
        log: Where its output goes.
        grace: Between telling it to stop and killing it.
        locks: Descriptors of files whose locks last until all of it has ended (`infra.gpus`).
    """
    supervisor = [
        *(sys.executable, "-m", "infra.supervisor", "--parent", str(os.getpid())),
        *("--grace", str(grace.command_seconds), "--rest", str(grace.rest_seconds), "--"),
    ]
    process = subprocess.Popen(
        [*supervisor, *command],
        cwd=PROJECT_ROOT,
        env={**environment, LOCKS_VARIABLE: ",".join(map(str, locks))},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        pass_fds=locks,
        # Out of reach of a Ctrl-C in the terminal: the supervisor is told by us, and only once.
        start_new_session=True,
    )
    note_process(locks, process.pid)
    return process


class LineTail:
    """Hands on the complete lines that another process appends to a file.

    Args:
        path: The file; it may not exist yet.
        on_line: Called with each line, without its end.
    """

    def __init__(self, path: Path, on_line: Callable[[str], None]) -> None:
        self._path = path
        self._on_line = on_line
        self._offset = 0

    def read(self) -> None:
        """Hands on the lines completed since the last call."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            complete, newline, _ = file.read().rpartition(b"\n")
        self._offset += len(complete) + len(newline)
        if newline:
            for line in complete.decode(errors="replace").split("\n"):
                self._on_line(line)


def stage_environment(
    threads_per_process: int, variables: Collection[str] = (), interface: str = LOOPBACK_INTERFACE
) -> dict[str, str]:
    """The environment of a stage: ours, quiet, on one interface, with its share of the cores.

    A stage reads and writes folders alone. It gets no credentials, and cannot show any; only an
    evaluation gets the keys of the endpoints that its recipe names, by the names of `variables`.
    Where a worker was itself started by torchrun, or in a job of several pods, that is none of
    the stage's: its ranks are those that our launcher gives.
    """
    inherited = without_secret_variables(os.environ)
    return {
        **{name: value for name, value in inherited.items() if not _of_torchrun(name)},
        **{name: os.environ[name] for name in variables if name in os.environ},
        "OMP_NUM_THREADS": str(threads_per_process),
        "GLOO_SOCKET_IFNAME": interface,
        "NCCL_SOCKET_IFNAME": interface,
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "DO_NOT_TRACK": "1",
        "GX_ANALYTICS_ENABLED": "false",
    }


def _of_torchrun(variable: str) -> bool:
    return variable in TORCHRUN_VARIABLES or variable.startswith("TORCHELASTIC_")


def _stop(process: subprocess.Popen[bytes], grace: Grace) -> None:
    """Ends the supervisor, which ends its command, and what that leaves, first."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=grace.ended_seconds)


def _failure(job: Job, code: int, log: Path, ranks: Ranks | None) -> StageError:
    """What the stage itself says went wrong, else how it ended and the end of its log.

    Args:
        job: What it was asked.
        code: Its exit code.
        log: Where its output went.
        ranks: What was seen of its processes; None where they were on other machines.
    """
    outcome = outcome_of(job)
    if outcome is not None and outcome.status == "refused":
        return StageError(f"stage {job.stage}: {outcome.message}\n  log:   {log}")
    ended_by = signal_of(code)
    # A process that lost the killed one may end in the same moment, and its code is the one told.
    has_lost_another = outcome is not None and outcome.status == "lost"
    may_be_killed = ended_by is signal.SIGKILL or has_lost_another
    if ranks is not None and may_be_killed and ranks.were_oom_killed:
        return StageError(f"stage {job.stage}: {killed_for_memory(job, ranks)}\n  log:   {log}")
    # It saved its state and left; or torchrun was told to stop, and passed it on.
    is_killed = ended_by not in (None, signal.SIGTERM, signal.SIGINT)
    is_preempted = outcome is not None and outcome.status == "preempted"
    # torchrun tells the others to stop when one is killed: that is no preemption.
    if (is_preempted and not is_killed) or ended_by is signal.SIGTERM:
        return StagePreempted(f"stage {job.stage} was told to stop by SIGTERM; its log: {log}")
    how = f"with exit code {code}" if ended_by is None else f"by signal {ended_by.name}"
    if ended_by is signal.SIGKILL and ranks is not None:
        nobody_counts = ranks.were_oom_killed is None
        maybe = ", maybe for memory: nobody counts the kernel's kills here" * nobody_counts
        how = f"{how}{maybe} ({ranks.told or 'before a phase had begun'})"
    tail = log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
    message = "\n".join([f"stage {job.stage} ended {how}; the end of {log}:", *tail])
    return StageLost(message) if is_killed or has_lost_another else StageError(message)
