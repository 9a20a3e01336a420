"""Work on shards: shared by the stage's processes, each shard once, and never twice over attempts.

    <step>/000000          a shard, written by the first process, complete when it has its name
    <step>/all             how many there are, as soon as that is known
    <step>/found/000000    what was found in it, by whichever process took it

What was found is also left for whoever uploads it, under the digest of the shard and of the step's
settings. An attempt that comes later looks there first: a run that was killed goes on at the shards
that are missing, and of changed sources only those shards are new that hold other rows.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from pathlib import Path
from types import TracebackType

import pyarrow as pa

from contracts.errors import Preempted
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
        self.folder, _ = shared_folder(save, "shards")

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
        """Has something found in every shard, by the processes of the first node.

        Args:
            step: The step's name.
            write: Writes the shards into a folder; only the first process's is called. The others
                begin with the first shard while the next are still being written.
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
        if device.node() > 0:
            return []  # the shards lie on the first node's disk
        folder = self.folder / step
        with self._notice if self._save is not None else nullcontext():
            num_shards = self._write(folder, write) if device.rank() == 0 else None
            while (path := self._taken(folder)) is not None:
                is_known = self._find(step, path, find, settings, num_undecided)
                device.add_to_count(f"{folder}/reused", int(is_known))
                self.stop_if_told()
            device.add_to_count(f"{folder}/finished", 1)
            if num_shards is None:
                return []
            self._wait_until(
                lambda: device.add_to_count(f"{folder}/finished", 0) == device.ranks_of_node()
            )
        num_reused = device.add_to_count(f"{folder}/reused", 0)
        say(f"{step}: {num_shards} shards, of which {num_reused} were looked through before")
        return [shard_path(folder / "found", number) for number in range(num_shards)]

    def stop_if_told(self) -> None:
        """For whatever takes long within a shard.

        Raises:
            Preempted: The stage was told to stop; what is found is saved.
        """
        if self._notice.came_here:
            raise Preempted("what was found in whole shards is saved")

    def _write(self, folder: Path, write: Callable[[Path], Iterable[Path]]) -> int:
        (folder / "found").mkdir(parents=True)
        num_shards = 0
        for _ in write(folder):
            num_shards += 1
            self.stop_if_told()
        partial = folder / ".all"
        partial.write_text(str(num_shards), encoding="utf-8")
        partial.rename(folder / "all")
        return num_shards

    def _taken(self, folder: Path) -> Path | None:
        """The shard that this process takes, as soon as it is there; None if there are no more."""
        path = shard_path(folder, device.add_to_count(f"{folder}/taken", 1) - 1)
        self._wait_until(lambda: path.exists() or (folder / "all").exists())
        return path if path.exists() else None

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


def _digest(step: str, settings: object, path: Path) -> str:
    """SHA-256, in hex, of a step, its settings and the bytes of a shard."""
    with path.open("rb") as file:
        shard = hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256(repr((step, settings, shard)).encode()).hexdigest()
