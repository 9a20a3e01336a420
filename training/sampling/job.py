"""The sampling job of a stage: all its processes answer, verify and store; a kill loses seconds.

The first process knows the requests. It writes those that no earlier attempt has answered into a
file of lots, from which every process takes one lot after the other as its engine has room. Each
verifies what it has answered and writes it in chunks. In the end they are read together: in which
order they were answered, and by whom, is forgotten.

What was asked before under another id, or with another reference, is not asked again: the responses
are taken, and verified anew.

Every node has a disk of its own: lots are sent to the others' when they are written, and answers
when all have finished.
"""

import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import islice, takewhile
from pathlib import Path
from types import TracebackType
from typing import Any

from contracts.errors import Preempted
from training.answers import Outcome
from training.rollout.protocol import Answerer, Finished, Request
from training.runtime import device
from training.runtime.failures import phase
from training.runtime.log import say
from training.runtime.metrics import MetricsLog
from training.runtime.preemption import Notice
from training.runtime.scratch import shared_folder
from training.sampling.chunks import (
    Answer,
    Measure,
    has_failed,
    is_judged,
    read_chunks,
    stream_chunks,
)
from training.sampling.lots import Lot, LotFile, write_lots
from training.sampling.nodes import share
from training.sampling.progress import Progress
from training.sampling.schema import CHUNK
from training.sampling.verdicts import Judge, finished_again
from training.sampling.writer import Writer

POLL_SECONDS = 0.05
MAX_WAITING = 1024  # requests that were answered before, in memory until they are verified


class SamplingJob:
    """Asks for responses, with all processes of a stage; a context manager.

    Every process makes the same calls.

    Args:
        seed: Of all draws.
        judges: Who verifies the responses, by the names that the requests give; None for nobody:
            they are kept as they were drawn.
        log: The stage's metrics.
        save: Where chunks are left for whoever uploads them; None saves nothing.
        resume: A folder with the chunks of earlier attempts.
        notice: That the judges look at where they take long.
        name: Tells its chunks from those of the stage's other jobs.
    """

    def __init__(
        self,
        *,
        seed: int,
        judges: Mapping[str, Judge] | None,
        log: MetricsLog,
        save: Path | None = None,
        resume: Path | None = None,
        notice: Notice | None = None,
        name: str = "lots",
    ) -> None:
        self._files = name
        self._seed, self._judges, self._save = seed, judges, save
        self._folder, self._name = shared_folder(save, "sampling")
        self._shared: set[str] = set()
        self._chunks = [self._folder] + ([resume] if resume is not None else [])
        self._progress = Progress(self._name, log, verifies=judges is not None)
        self._num_runs = 0
        self._answered: set[str] = set()
        self._unwritten: dict[str, str] = {}  # of these -> under which key the responses lie
        self._notice = notice or Notice()

    def __enter__(self) -> "SamplingJob":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:  # after an error others may still write, and nobody may wait for them
            device.barrier()
            if device.is_first_of_node():
                shutil.rmtree(self._folder)

    def start(self, requests: Sequence[Request]) -> None:
        """Counts what earlier attempts have answered; for the first process, before it asks.

        Where a part failed of what a request wants, it is asked again. Two requests of this job
        that ask the same are each asked: what they are answered with may change the last bits.

        Args:
            requests: What will be asked, in one `ask` or several. What depends on the answers is
                told in another call, before it is asked.
        """
        known = {request.key for request in requests}
        own, others = dict[str, list[Any]](), dict[str, list[Any]]()
        for rows in read_chunks(self._chunks, ["num_tokens", "draw"]):
            if has_failed(rows):
                continue
            if rows[0]["request"] in known:
                own[rows[0]["request"]] = rows
            else:
                others.setdefault(rows[0]["draw"], rows)
        kept: list[list[Any]] = []
        for request in requests:
            key, verifies = request.key, self._judges is not None
            rows = own.get(key) or others.get(request.draw) or []
            if not rows:
                continue
            self._answered.add(key)
            if (lies := rows[0]["request"]) != key or (verifies and not is_judged(rows)):
                self._unwritten[key] = lies
                rows = [{**row, "request": key, "outcome": None} for row in rows]
            kept.append(rows)
        num_expected = sum(request.settings.samples_per_prompt for request in requests)
        say(
            f"{len(requests)} requests, {num_expected} responses to draw; earlier attempts have "
            f"answered {len(self._answered)} requests"
        )
        self._progress.start(num_expected, [row for rows in kept for row in rows])

    @phase("sampling")
    def ask(self, requests: Sequence[Request], open_engine: Callable[[], Answerer]) -> None:
        """Has all requests answered that are not yet; in the end all are, by whichever process.

        Args:
            requests: What to ask; only the first process's count.
            open_engine: Called where something is left to be answered.

        Raises:
            Preempted: The stage was told to stop; what is finished is saved.
        """
        path = self._folder / f"{self._files}-{self._num_runs}.parquet"
        self._num_runs += 1
        if device.rank() == 0:
            write_lots(requests, self._answered, path)
        with self._notice if self._save is not None else nullcontext():
            self._wait_for(path)
            lots = LotFile(path)
            left = [request for request in requests if request.key in self._unwritten]
            if len(lots) or left:
                self._answer(lots, path, left, open_engine if len(lots) else None)
            finished = f"{self._name}/{path.name}/finished"
            device.add_to_count(finished, 1)
            # Not a barrier: another process's longest lot may outlast a collective's time-out.
            self._wait_until(lambda: device.add_to_count(finished, 0) == device.world_size())
            self._share_answers()
            self._progress.write()

    def answers(self, requests: Iterable[Request]) -> list[list[Answer]]:
        """Every request's responses by sample, in the order of the requests; on any process.

        Raises:
            KeyError: A request has not been asked.
        """
        return self._read(requests, None)

    def outcomes(self, requests: Iterable[Request]) -> list[list[Outcome]]:
        """As `answers`, of which only the verdicts on responses that came are read."""
        found = self._read(requests, [])
        return [[row["outcome"] for row in rows if not row["failure"]] for rows in found]

    def measures(self, requests: Iterable[Request]) -> list[list[Measure]]:
        """As `answers`, of which only verdicts and lengths are read."""
        return self._read(requests, ["num_tokens"])

    def _wait_for(self, path: Path) -> None:
        """Waits until this node has what the first process writes."""
        if device.num_nodes() > 1:
            written = f"{self._name}/{path.name}/written"
            if device.rank() == 0:
                device.add_to_count(written, 1)
            # Until then no collective: it may last longer than one may.
            self._wait_until(lambda: device.add_to_count(written, 0) > 0)
            share([path], 0, self._folder)
        self._wait_until(path.exists)

    def _share_answers(self) -> None:
        """Brings every node's new chunks to all others."""
        if device.num_nodes() == 1:
            return
        for sender in range(0, device.world_size(), device.ranks_of_node()):
            chunks = sorted(self._folder.glob(f"{CHUNK}*"))
            new = [path for path in chunks if path.name not in self._shared]
            self._shared.update(share(new, sender, self._folder))
        device.barrier()

    def _answered_before(self, requests: Sequence[Request]) -> Iterator[Finished]:
        """What an earlier attempt has answered and not verified, or not for these requests.

        A file at a time: the texts of all may not fit into the memory of one process.
        """
        wanted: dict[str, list[Request]] = defaultdict(list)
        for request in requests:
            wanted[self._unwritten.pop(request.key)].append(request)
        for rows in stream_chunks(self._chunks, wanted):
            for request in wanted[rows[0]["request"]]:
                yield finished_again(request, rows)

    def _answer(
        self,
        lots: LotFile,
        path: Path,
        left: Sequence[Request],
        open_engine: Callable[[], Answerer] | None,
    ) -> None:
        engine = open_engine() if open_engine is not None else None
        name, failed = f"{device.rank()}-{path.stem}", list[str]()
        before = self._answered_before(left)
        with Writer(
            self._folder, self._save, name, self._judges, self._progress, self._notice
        ) as writer:
            for finished in engine.stream(self._taken(lots, path), self._seed) if engine else ():
                writer.put(finished)
                failed += [
                    f"{request.id} of {request.judge}: {sample.failure}"
                    for request, samples in finished
                    for sample in samples
                    if sample.failure
                ]
                if self._notice.came_here:
                    break
                # While the engine computes, and only as many: a new response waits for few of them.
                if writer.num_waiting < MAX_WAITING:
                    for each in islice(before, len(finished)):
                        writer.put([each])
            for old in takewhile(lambda _: not self._notice.came_here, before):
                self._wait_until(lambda: writer.num_waiting < MAX_WAITING)
                writer.put([old])
        if failed:
            say(f"{len(failed)} answer(s) did not come; the first, to {failed[0]}")
        self._stop_if_told()

    def _taken(self, lots: LotFile, path: Path) -> Iterator[Lot]:
        """The lots that this process takes, whenever it asks for one: no other gets them."""
        name = f"{self._name}/{path.name}/taken"
        while (number := device.add_to_count(name, 1) - 1) < len(lots):
            yield lots[number]

    def _wait_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._stop_if_told()
            time.sleep(POLL_SECONDS)

    def _stop_if_told(self) -> None:
        if self._notice.came_here:
            raise Preempted(f"{self._progress.num_responses} responses are saved")

    def _read(self, requests: Iterable[Request], columns: Sequence[str] | None) -> list[list[Any]]:
        found = {rows[0]["request"]: rows for rows in read_chunks(self._chunks, columns)}
        return [found[request.key] for request in requests]
