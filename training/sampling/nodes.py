"""Files that every node needs on its own disk: sent from the process that has them to the others'.

All processes of a stage call `share`. On one node there is nothing to do.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from training.runtime import device

PIECE_BYTES = 16 * 2**20


def share(paths: Sequence[Path], sender: int, folder: Path) -> list[str]:
    """Copies files from one process's node to all others; they appear when they are complete.

    Args:
        paths: The files; only the sender's count.
        sender: Its rank.
        folder: Where to, on the other nodes.

    Returns:
        The files' names.
    """
    own = [(path.name, path.stat().st_size) for path in paths] if device.rank() == sender else []
    listed = device.gather_from_all_ranks(own)[sender]
    for number, (name, num_bytes) in enumerate(listed):
        _send(paths[number] if own else None, sender, folder / name, num_bytes)
    return [name for name, _ in listed]


def _send(source: Path | None, sender: int, target: Path, num_bytes: int) -> None:
    is_elsewhere = device.node() != sender // device.ranks_of_node()
    partial = target.with_name(f".{target.name}")
    with ExitStack() as stack:
        reader = None if source is None else stack.enter_context(source.open("rb"))
        writer = None
        if is_elsewhere and device.is_first_of_node():
            writer = stack.enter_context(partial.open("wb"))
        for _ in range(0, num_bytes, PIECE_BYTES):
            piece = device.send_to_all_ranks(reader.read(PIECE_BYTES) if reader else b"", sender)
            if writer is not None:
                writer.write(piece)
    if writer is not None:
        partial.rename(target)
