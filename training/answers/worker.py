"""The process that compares answers: `python -m training.answers.worker SECONDS`.

Reads one JSON list [answer, reference] a line, writes one JSON outcome a line, ends with its
input. The kernel kills it (SIGALRM) when a comparison takes longer than SECONDS, even if its
parent is gone.
"""

import json
import os
import resource
import signal
import sys

from training.answers.symbolic import compare

READY = "ready"
_MAX_MEMORY_BYTES = 4 * 2**30


def main(timeout_seconds: float) -> None:
    """Serves until the input ends."""
    # Parsers print when they stumble: keep the answers' channel to ourselves.
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    # A handler would only run between bytecodes; the default action kills at once.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    compare("x+1", "1+x")  # imports sympy outside the time limit
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
    os.dup2(nowhere, 2)
    print(json.dumps(READY), file=replies)
    for line in sys.stdin:
        answer, reference = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, timeout_seconds)
        outcome = compare(answer, reference)
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(json.dumps(outcome), file=replies)


if __name__ == "__main__":
    main(float(sys.argv[1]))
