"""What torchrun's agent starts in the place of one of a stage's processes, and becomes it.

    python -m infra.rank MODULE ARGUMENTS...

torch starts them in sessions of their own and hands no descriptor down. Where the agent and its
supervisor are killed, nobody else would tell them, and the locks of their GPUs would be free. So
each hears of its agent's death (PR_SET_PDEATHSIG, of the thread that started it, which is the
agent's main one), and has a share in the locks.
"""

import fcntl
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from signal import SIGTERM

from infra.supervisor import LOCKS_VARIABLE, hear_of_parents_end


def share_locks(agent: int, numbers: Iterable[str]) -> None:
    """Opens the files again that a process holds locks of, for all that this one becomes.

    It writes itself into them: it may be the last one left that can be ended.

    Args:
        agent: The process.
        numbers: Its descriptors.
    """
    for number in numbers:
        lock = os.open(f"/proc/{agent}/fd/{number}", os.O_RDWR | os.O_APPEND)
        fcntl.flock(lock, fcntl.LOCK_SH)  # as the agent's is
        os.set_inheritable(lock, True)
        with suppress(OSError):  # as `infra.gpus.note_process`, which would take a while to load
            os.write(lock, f"\n{os.getpid()}".encode())


def main(arguments: list[str]) -> int:
    """Becomes the module in `arguments`; returns only where the agent has gone before."""
    agent = os.getppid()
    if not hear_of_parents_end(agent):
        return 128 + SIGTERM
    share_locks(agent, filter(None, os.environ.get(LOCKS_VARIABLE, "").split(",")))
    os.execv(sys.executable, [sys.executable, "-u", "-m", *arguments])  # noqa: S606 - no shell


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
