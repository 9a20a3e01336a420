"""Work that is done in threads before its result is asked for."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


def ahead(
    work: Callable[[Given], Made],
    given: Iterable[Given],
    *,
    depth: int = 1,
    num_threads: int = 1,
    size: Callable[[Given], int] = lambda _: 1,
) -> Iterator[Made]:
    """What `work` makes of each, in order; the next ones are made while the caller uses one.

    An error of `work` is raised where its result would have come.

    Args:
        work: Called in threads; with one thread, one call at a time.
        given: Read in the caller's thread.
        depth: How many results are made or waiting at most, beside the one that is in use; where
            they have sizes, the newest may exceed it.
        num_threads: Of the pool.
        size: For how many of them each counts.
    """
    with ThreadPoolExecutor(num_threads, thread_name_prefix="ahead") as pool:
        waiting: deque[tuple[Future[Made], int]] = deque()
        try:
            for each in given:
                waiting.append((pool.submit(work, each), size(each)))
                while len(waiting) > 1 and sum(count for _, count in waiting) > depth:
                    yield waiting.popleft()[0].result()
            while waiting:
                yield waiting.popleft()[0].result()
        finally:
            for future, _ in waiting:
                future.cancel()
