"""Shards for the processes of other nodes, and what they find in them, sent back.

The shards lie on the first node's disk. Its first process reads and writes there for the others,
in a thread, a piece of a file at a time. Whoever asks waits for the answer, so that what is on its
way is a piece for each process at most. Messages go through the store of the process group, where
none waits for a process that is not asked:

    <name>/asked       how many there were
    <name>/asked/7     the eighth: `read NUMBER OFFSET` or `write NUMBER`, a line, and the piece
    <name>/answer/7    the piece that was read

A process that ends in the middle of a message ends the stage, and the others with it.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from types import TracebackType

from training.curation.shards import shard_path
from training.runtime import device

PIECE_BYTES = 4 * 2**20  # of a message, which may have twice as many
POLL_SECONDS = 0.02


class Lender:
    """Answers the `Borrower`s of other nodes while it lasts; a context manager.

    Args:
        name: Of the messages.
        folder: With the shards, and what is found in them below `found`.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self._name, self._folder = name, folder
        self._is_over = Event()
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="shards")

    def __enter__(self) -> "Lender":
        self._served = self._executor.submit(self._serve)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self._executor.shutdown()
        if error is None:
            self.check()

    def check(self) -> None:
        """Raises what has ended the answers, if something has.

        Raises:
            OSError: A file cannot be read or written.
            torch.distributed.DistError: The process group is gone.
        """
        if self._served.done():
            self._served.result()

    def _serve(self) -> None:
        number = 0
        while not self._is_over.is_set():
            message = device.collect(f"{self._name}/asked/{number}")
            if message is None:
                self._is_over.wait(POLL_SECONDS)
                continue
            device.post(f"{self._name}/answer/{number}", self._answer(message))
            number += 1

    def _answer(self, message: bytes) -> bytes:
        head, _, piece = message.partition(b"\n")
        kind, number, *offset = head.decode().split()
        if kind == "read":
            return _piece(shard_path(self._folder, int(number)), int(offset[0]))
        found = shard_path(self._folder / "found", int(number))
        partial = found.with_name(f".{found.name}")
        with partial.open("ab") as file:
            file.write(piece)
        if not piece:
            partial.rename(found)
        return b""


class Borrower:
    """What a process of another node asks the `Lender`.

    Args:
        name: Of the messages.
        on_wait: Called while an answer is waited for; what it raises ends the waiting.
    """

    def __init__(self, name: str, on_wait: Callable[[], None]) -> None:
        self._name, self._on_wait = name, on_wait

    def fetch(self, shard: Path) -> None:
        """Copies a shard to this node's disk; it has its name, its number, when it is complete."""
        partial = shard.with_name(f".{shard.name}")
        with partial.open("wb") as file:
            while piece := self._ask(f"read {shard.name} {file.tell()}"):
                file.write(piece)
        partial.rename(shard)

    def deliver(self, found: Path) -> None:
        """Copies what was found in the shard of that name to the first node's disk."""
        with found.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                self._ask(f"write {found.name}", piece)
        self._ask(f"write {found.name}")

    def _ask(self, what: str, piece: bytes = b"") -> bytes:
        number = device.add_to_count(f"{self._name}/asked", 1) - 1
        device.post(f"{self._name}/asked/{number}", what.encode() + b"\n" + piece)
        while (answer := device.collect(f"{self._name}/answer/{number}")) is None:
            self._on_wait()
            time.sleep(POLL_SECONDS)
        return answer


def _piece(path: Path, offset: int) -> bytes:
    """The next bytes of a file, at most `PIECE_BYTES`; empty at its end."""
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(PIECE_BYTES)
