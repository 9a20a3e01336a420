"""Which GPUs a stage's processes see, and locks by which one stage at a time has them.

A stage that is told to stop holds its GPUs until it has saved, by when the flow that asked for it
may be gone: the next one would run out of memory beside it, and would not be tried again. So a GPU
has a lock, a file on this machine. The stage's supervisor and the command that it runs inherit it,
and the kernel lets go of it when both have ended, whatever ended them.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from io import FileIO
from itertools import takewhile
from pathlib import Path

from contracts.job import Job
from infra.stopping import stop_if_told

VARIABLE = "CUDA_VISIBLE_DEVICES"
POLL_SECONDS = 0.25


def visible_here() -> list[str]:
    """The GPUs that this process, and what it starts, may use, by the names that last."""
    return visible(listed(), os.environ.get(VARIABLE))


def listed() -> list[str]:
    """The UUIDs of the driver's GPUs, in its order; none where `nvidia-smi` finds none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    asked = [program, "--query-gpu=uuid", "--format=csv,noheader"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return done.stdout.split() if done.returncode == 0 else []


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
        if name.isdigit()
        else next((uuid for uuid in uuids if uuid.startswith(name)), name)
        for name in takewhile(lambda name: _is_there(name, len(uuids)), names)
    ]


def _is_there(name: str, num_listed: int) -> bool:
    return name.startswith(("GPU-", "MIG-")) or (name.isdigit() and int(name) < num_listed)


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
            if not _taken(file, self._attempt):
                return f"Waits for a GPU that is still held, by {_holder(file)}; lock: {file.name}"
            self._num_taken += 1
        return ""

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
        OSError: A lock's file cannot be opened.
    """
    attempt = f"stage {job.stage} in {job.output.parent}"
    with ExitStack() as files:
        yield GpuLocks([files.enter_context(_open(gpu)) for gpu in sorted(set(gpus))], attempt)


@contextmanager
def held(gpus: Collection[str], job: Job, say: Callable[[str], None]) -> Iterator[tuple[int, ...]]:
    """Waits until nobody else holds the GPUs, and then holds them; see `gpu_locks`.

    Args:
        gpus: Their names.
        job: What they are for.
        say: Told once of each that is waited for.

    Raises:
        StagePreempted: This thread's flow has been told to stop while it waited.
    """
    with gpu_locks(gpus, job) as locks:
        said = ""
        while waits := locks.take():
            if waits != said:
                say(said := waits)
            stop_if_told()
            time.sleep(POLL_SECONDS)
        yield locks.descriptors


def _open(gpu: str) -> FileIO:
    name = f"revisual-{os.getuid()}-{gpu.replace('/', '-')}.lock"  # an older MIG's name has some
    path = Path(tempfile.gettempdir()) / name
    # Unbuffered: what is read is what its holder has written meanwhile.
    return FileIO(path, "r+", opener=_create)


def _create(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW, 0o600)


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
    if _holder(file) == attempt:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


def _holder(file: FileIO) -> str:
    file.seek(0)
    return file.readall().decode()
