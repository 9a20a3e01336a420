"""Which GPUs a stage's processes see, and locks by which one stage at a time has them.

A stage that is told to stop holds its GPUs until it has saved, by when the flow that asked for it
may be gone: the next one would run out of memory beside it, and would not be tried again. So a GPU
has a lock, a file on this machine. The stage's supervisor and the command that it runs inherit it,
torchrun's processes share it (`infra.rank`), and the kernel lets go of it when all have ended,
whatever ended them. The file tells which stage that is, and its supervisor's process.
"""

import fcntl
import math
import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from io import FileIO
from itertools import takewhile
from pathlib import Path

from contracts.errors import PreflightError
from contracts.job import Job
from infra.requirements.choose import ask_driver
from infra.stopping import stop_if_told

VARIABLE = "CUDA_VISIBLE_DEVICES"
POLL_SECONDS = 0.25
SAID_AGAIN_SECONDS = 600.0
DRIVER = Path("/dev/nvidiactl")
# Where the locks may lie, the first that may be written: nobody sweeps it, and no TMPDIR moves it.
FOLDERS = (Path("/run/lock"), Path(tempfile.gettempdir()))


def gpus_of(job: Job, say: Callable[[str], None]) -> list[str]:
    """The GPUs that a job's processes may use here, by the names that last.

    Args:
        job: One that needs none has none.
        say: Told where there is a driver, and no GPU's name.
    """
    chosen = os.environ.get(VARIABLE)
    if not job.needs_gpus or chosen == "":
        return []
    gpus = visible(listed(), chosen)
    if not gpus and DRIVER.exists():
        say("No GPU is locked: `nvidia-smi` names none that this process sees")
    return gpus


def cuda_environment(job: Job) -> dict[str, str]:
    """What CUDA is told beside our own environment: the order of `listed`, or to see no GPU."""
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"} | ({} if job.needs_gpus else {VARIABLE: ""})


def listed() -> list[str]:
    """The UUIDs of the driver's GPUs, in its order; none where `nvidia-smi` names none in time."""
    return [line for line in ask_driver("uuid") if line.startswith("GPU-")]


def visible(uuids: Sequence[str], chosen: str | None) -> list[str]:
    """The GPUs that a process sees, by UUID: a number means another GPU in another Slurm job.

    Args:
        uuids: See `listed`.
        chosen: The variable `CUDA_VISIBLE_DEVICES`; CUDA stops at the first number that is none of
            a GPU, and takes names (GPU-..., MIG-...), or their beginnings, as well.
    """
    if chosen is None:
        return list(uuids)
    names = (name.strip() for name in chosen.split(","))
    return [
        uuids[int(name)]
        if _is_number(name)
        else next((uuid for uuid in uuids if uuid.startswith(name)), name)
        for name in takewhile(lambda name: _is_there(name, len(uuids)), names)
    ]


def _is_there(name: str, num_listed: int) -> bool:
    return name.startswith(("GPU-", "MIG-")) or (_is_number(name) and int(name) < num_listed)


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdecimal()


class GpuLocks:
    """The locks of some GPUs; see `gpu_locks`."""

    def __init__(self, files: Sequence[FileIO], attempt: str) -> None:
        self._files, self._attempt = files, attempt
        self._num_taken = 0

    def take(self) -> str:
        """Takes what nobody else holds, up to the first that somebody does.

        Returns:
            Nothing once all are held; else what is waited for, and who has it.
        """
        for file in self._files[self._num_taken :]:
            if not _is_at_its_path(file):  # somebody has removed it, and others lock another one
                _reopen(file)
            if not _taken(file, self._attempt):
                attempt, *pids = _held_by(file)
                alive = [pid for pid in pids if Path("/proc", pid).exists()]
                process = f", process {', '.join(alive)}" if alive else ""
                return (
                    f"Waits for a GPU that is still held, by {attempt}{process}; lock: {file.name}"
                )
            self._num_taken += 1
        return ""

    def release(self) -> None:
        """Lets go of what is held, for others and for another `take`."""
        for file in self._files[: self._num_taken]:
            fcntl.flock(file, fcntl.LOCK_UN)
        self._num_taken = 0

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Of the files: who inherits them holds the locks, too."""
        return tuple(file.fileno() for file in self._files)


@contextmanager
def gpu_locks(gpus: Collection[str], job: Job) -> Iterator[GpuLocks]:
    """Locks of this user's on this machine; held no longer than the `with`, but for who inherits.

    All take them in the same order, so that no two wait for one another.

    Args:
        gpus: Their names; without any there is nothing to wait for.
        job: What they are for; its folder names the attempt. Its parts on one machine share them.

    Raises:
        PreflightError: A lock's file cannot be opened.
    """
    attempt = f"stage {job.stage} in {job.output.parent}"
    with ExitStack() as files:
        yield GpuLocks([files.enter_context(_open(gpu)) for gpu in sorted(set(gpus))], attempt)


@contextmanager
def held(job: Job, say: Callable[[str], None]) -> Iterator[tuple[int, ...]]:
    """Waits until nobody else holds a job's GPUs, and then holds them; see `gpu_locks`.

    Args:
        job: What they are for.
        say: Told of each that is waited for, and again every ten minutes; see `gpus_of`.

    Raises:
        StagePreempted: This thread's flow has been told to stop while it waited.
        PreflightError: A lock's file cannot be opened.
    """
    with gpu_locks(gpus_of(job, say), job) as locks:
        remind = Reminder(say)
        while waits := locks.take():
            remind(waits)
            stop_if_told()
            time.sleep(POLL_SECONDS)
        yield locks.descriptors


def note_process(locks: Iterable[int], pid: int) -> None:
    """Writes into the files of locks by which process what holds them can be ended.

    Args:
        locks: Their descriptors.
        pid: The process, a stage's supervisor; its parts on one machine have one each.
    """
    for lock in locks:
        with suppress(OSError):  # no room: a name is not worth a stage
            os.write(lock, f"\n{pid}".encode())


class Reminder:
    """Tells a person what is waited for: at once, and again as long as it lasts.

    Args:
        say: Tells a person.
        clock: Seconds that never go back.
    """

    def __init__(
        self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._say, self._clock = say, clock
        self._said_seconds = dict[str, float]()

    def __call__(self, waits: str) -> None:
        """Says it, unless it was said in the last ten minutes."""
        now = self._clock()
        if now - self._said_seconds.get(waits, -math.inf) >= SAID_AGAIN_SECONDS:
            self._said_seconds[waits] = now
            self._say(waits)


def _open(gpu: str) -> FileIO:
    name = f"revisual-{os.getuid()}-{gpu.replace('/', '-')}.lock"  # an older MIG's name has some
    folder = next((one for one in FOLDERS if os.access(one, os.W_OK)), FOLDERS[-1])
    return _open_at(str(folder / name))


def _open_at(path: str) -> FileIO:
    try:
        # Unbuffered: what is read is what its holder has written meanwhile.
        return FileIO(path, "r+", opener=_create)
    except OSError as error:
        raise PreflightError(
            f"The lock of a GPU cannot be opened: {error.strerror}.",
            where=path,
            rule="it is a file of this user's own, and no link, on a disk with room",
            fix="have whoever owns that file remove it, or make room",
        ) from error


def _is_at_its_path(file: FileIO) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.lstat(file.name))
    except FileNotFoundError:
        return False


def _reopen(file: FileIO) -> None:
    """Lets a descriptor be one of the file that is at its path now."""
    with _open_at(file.name) as now:
        os.dup2(now.fileno(), file.fileno(), inheritable=False)


def _create(path: str, flags: int) -> int:
    # Appending: parts of an attempt add to what the first has written.
    return os.open(path, flags | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)


def _taken(file: FileIO, attempt: str) -> bool:
    """Takes a lock that is not yet held here, if nobody has it but parts of the same attempt."""
    with suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.truncate(0)
        file.seek(0)
        file.write(attempt.encode())
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:  # another's, who may have come between the two
        return False
    if _held_by(file)[0] == attempt:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


def _held_by(file: FileIO) -> list[str]:
    """Which attempt has a lock, or had it last, and the processes by which it can be ended."""
    file.seek(0)
    return file.readall().decode().split("\n")
