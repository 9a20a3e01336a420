"""math-verify by itself, in a process that can be killed: the peer of the comparison.

Both texts are parsed as its documentation does, the answer from the whole response.
"""

import multiprocessing
from collections.abc import Sequence
from multiprocessing.connection import Connection

_LIMIT_SECONDS = 5.0
_MAX_MEMORY_BYTES = 4 * 2**30


def rewarded(pairs: Sequence[tuple[str, str]]) -> list[bool]:
    """Whether math-verify takes each response for right; one it takes too long for is not.

    Args:
        pairs: A response with a box, and a reference.
    """
    context = multiprocessing.get_context("spawn")
    paid: list[bool] = []
    while len(paid) < len(pairs):
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        alive = ours.recv() == "ready"
        while alive and len(paid) < len(pairs):
            ours.send(pairs[len(paid)])
            try:
                alive = ours.poll(_LIMIT_SECONDS)
                paid.append(bool(ours.recv()) if alive else False)
            except EOFError:
                alive = False
                paid.append(False)
        process.kill()
        process.join()
    return paid


def _serve(pipe: Connection) -> None:
    import logging
    import resource

    from math_verify import parse, verify

    logging.disable(logging.CRITICAL)
    verify(parse("$x+1$"), parse("$1+x$"))
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
    pipe.send("ready")
    while True:
        response, reference = pipe.recv()
        pipe.send(verify(parse(rf"\boxed{{{reference}}}"), parse(response)))
