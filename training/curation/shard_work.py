"""Work on shards: shared by the stage's processes, each shard once, and never twice over attempts.

    <step>/000000          a shard, written by the first process
    <step>/found/000000    what was found in it, by whichever process took it

Whoever is free takes the next shard, on whichever node it is. These files lie on the first node's
disk: processes of other nodes have a copy of the shard that they are at, and send back what they
find (`training.curation.shard_nodes`). Numbers that all processes share tell what there is to do:

    <step>/written         shards that are there, from 000000 on
    <step>/complete        1 when there will be no more
    <step>/taken           shards that some process has taken, or would have
    <step>/found           shards of which the first node has what was found
    <step>/reused          those that were looked through before
    <step>/node-0          those that the first node's processes have taken

What was found is also left for whoever uploads it, under the digest of the shard and of the step's
settings. An attempt that comes later looks there first: a run that was killed goes on at the shards
that are missing, and of changed sources only those shards are new that hold other rows.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

import pyarrow as pa

from contracts.errors import Preempted
from training.curation.shard_nodes import Borrower, Lender
from training.curation.shards import shard_path, write_shard
from training.runtime import device
from training.runtime.log import say
from training.runtime.preemption import Notice
from training.runtime.scratch import shared_folder

SHARD = "shard-"  # how the names of what is saved begin
POLL_SECONDS = 0.02


class ShardWork:
    """Goes through shards with all processes of a stage; a context manager.

    Every process makes the same calls. While shards are gone through, SIGTERM is a notice.

    Args:
        save: Where what was found is left for whoever uploads it; None for nowhere.
        resume: A folder with what earlier attempts have left.
    """

    def __init__(self, save: Path | None = None, resume: Path | None = None) -> None:
        self._save = save
        self._known = {} if resume is None else {p.name: p for p in resume.rglob(f"{SHARD}*")}
        self._notice = Notice()
        self._lender: Lender | None = None
        self.folder, self._name = shared_folder(save, "shards")

    def __enter__(self) -> "ShardWork":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None and device.is_first_of_node():  # else others may still be at work
            shutil.rmtree(self.folder)

    def run(
        self,
        step: str,
        write: Callable[[Path], Iterable[Path]],
        find: Callable[[Path], Iterable[pa.Table]],
        settings: object,
        num_undecided: Callable[[], int],
    ) -> list[Path]:
        """Has something found in every shard, by all processes of the stage.

        Args:
            step: The step's name.
            write: Writes the shards into a folder, in the order of their numbers; only the first
                process's is called. The others begin with the first shard while the next are
                still being written.
            find: What is found in a shard, in one table or more; the same wherever and whenever.
                Between two of them the stage may be stopped, and the shard's are lost.
            settings: Those of the step, with a `repr` that tells them.
            num_undecided: How many questions were given up so far, for want of time or memory.
                What is found in a shard meanwhile counts for this attempt alone.

        Returns:
            On the first process, for each shard a file with what was found; else nothing.

        Raises:
            Preempted: The stage was told to stop; what is found is saved.
        """
        name, folder = f"{self._name}/{step}", self.folder / step
        (folder / "found").mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            if self._save is not None:
                stack.enter_context(self._notice)
            if device.rank() == 0 and device.num_nodes() > 1:
                self._lender = stack.enter_context(Lender(name, folder))
            num_shards = self._write(name, folder, write) if device.rank() == 0 else None
            while (number := self._taken(name)) is not None:
                with self._at_hand(name, shard_path(folder, number)) as path:
                    is_known = self._find(step, path, find, settings, num_undecided)
                    device.add_to_count(f"{name}/reused", int(is_known))
                    device.add_to_count(f"{name}/node-{device.node()}", 1)
                device.add_to_count(f"{name}/found", 1)
                self.stop_if_told()
            if num_shards is None:
                return []
            self._wait_until(lambda: device.add_to_count(f"{name}/found", 0) == num_shards)
        if num_shards:
            say(f"{step}: {num_shards} shards, {_told(name)}")
        return [shard_path(folder / "found", number) for number in range(num_shards)]

    def stop_if_told(self) -> None:
        """For whatever takes long within a shard.

        Raises:
            Preempted: The stage was told to stop; what is found is saved.
        """
        if self._notice.came_here:
            raise Preempted("what was found in whole shards is saved")
        if self._lender is not None:
            self._lender.check()

    def _write(self, name: str, folder: Path, write: Callable[[Path], Iterable[Path]]) -> int:
        num_shards = 0
        for _ in write(folder):
            num_shards = device.add_to_count(f"{name}/written", 1)
            self.stop_if_told()
        device.add_to_count(f"{name}/complete", 1)
        return num_shards

    def _taken(self, name: str) -> int | None:
        """The shard that this process takes, as soon as it is there; None if there are no more."""
        number = device.add_to_count(f"{name}/taken", 1) - 1

        def is_there() -> bool:
            return device.add_to_count(f"{name}/written", 0) > number

        self._wait_until(lambda: is_there() or device.add_to_count(f"{name}/complete", 0) > 0)
        return number if is_there() else None

    @contextmanager
    def _at_hand(self, name: str, path: Path) -> Iterator[Path]:
        """Has a shard on this node's disk, and in the end what was found on the first one's."""
        if device.node() == 0:
            yield path
            return
        borrower, found = Borrower(name, self.stop_if_told), path.parent / "found" / path.name
        borrower.fetch(path)
        yield path
        borrower.deliver(found)
        path.unlink()
        found.unlink()

    def _find(
        self,
        step: str,
        path: Path,
        find: Callable[[Path], Iterable[pa.Table]],
        settings: object,
        num_undecided: Callable[[], int],
    ) -> bool:
        """Leaves what is found in a shard; returns whether it was known before."""
        name = f"{SHARD}{_digest(step, settings, path)}.parquet"
        known, found = self._known.get(name), path.parent / "found"
        if known is not None:
            partial = found / f".{path.name}"
            shutil.copyfile(known, partial)
            partial.rename(found / path.name)
            return True
        num_before, tables = num_undecided(), list[pa.Table]()
        for table in find(path):
            tables.append(table)
            self.stop_if_told()
        made = write_shard(pa.concat_tables(tables), found, int(path.name))
        if self._save is not None and num_undecided() == num_before:
            # Equal shards have one name, and two processes may have one each at the same time.
            partial = self._save / f".{name}-{os.getpid()}"
            os.link(made, partial)
            partial.replace(self._save / name)
        return False

    def _wait_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.stop_if_told()
            time.sleep(POLL_SECONDS)


def _told(name: str) -> str:
    """What became of a step's shards: how many were known, and which nodes took how many."""
    told = f"of which {device.add_to_count(f'{name}/reused', 0)} were looked through before"
    nodes = range(device.num_nodes())
    if len(nodes) == 1:
        return told
    shares = [f"node {n} took {device.add_to_count(f'{name}/node-{n}', 0)}" for n in nodes]
    return f"{told}; {', '.join(shares)}"


def _digest(step: str, settings: object, path: Path) -> str:
    """SHA-256, in hex, of a step, its settings and the bytes of a shard."""
    with path.open("rb") as file:
        shard = hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256(repr((step, settings, shard)).encode()).hexdigest()
