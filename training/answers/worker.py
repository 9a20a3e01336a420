"""The process that compares answers: `python -m training.answers.worker SECONDS`.

Reads one JSON list [answer, reference] a line, writes one JSON outcome a line, ends with its
input. It imports math-verify once and serves from a fork of itself. The kernel kills that fork
(SIGALRM) when a comparison takes longer than SECONDS, even if nobody waits for it any more; the
next one is there in milliseconds.
"""

import ctypes
import json
import mmap
import os
import resource
import signal
import sys
from typing import IO

from training.answers.symbolic import compare

_MAX_MEMORY_BYTES = 4 * 2**30
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(timeout_seconds: float) -> None:
    """Serves until the input ends."""
    # Parsers print when they stumble: keep the answers' channel to ourselves.
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    # Whoever is told to stop may finish its step first, and needs right answers until then. This
    # process ends with its input.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # A handler would only run between bytecodes; the default action kills at once.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    compare("x+1", "1+x")  # imports sympy outside the time limit
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
    os.dup2(nowhere, 2)
    print(json.dumps("ready"), file=replies)
    busy = mmap.mmap(-1, 1)  # shared: whether the fork died over a comparison
    while (status := _run_fork(replies, busy, timeout_seconds)) != 0:
        if busy[0]:
            killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM
            print(json.dumps("timeout" if killed else "crashed"), file=replies)


def _run_fork(replies: IO[str], busy: mmap.mmap, timeout_seconds: float) -> int:
    """Serves from a fork; its wait status, 0 when the input has ended."""
    busy[0] = 0
    fork = os.fork()
    if fork == 0:
        try:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # die with the parent
            _serve(replies, busy, timeout_seconds)
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(fork, 0)[1]


def _serve(replies: IO[str], busy: mmap.mmap, timeout_seconds: float) -> None:
    for line in sys.stdin:
        answer, reference = json.loads(line)
        busy[0] = 1
        signal.setitimer(signal.ITIMER_REAL, timeout_seconds)
        outcome = compare(answer, reference)
        signal.setitimer(signal.ITIMER_REAL, 0)
        busy[0] = 0
        print(json.dumps(outcome), file=replies)


if __name__ == "__main__":
    main(float(sys.argv[1]))
