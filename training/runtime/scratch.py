"""A folder that the processes of a node share while they work."""

import tempfile
from pathlib import Path

from training.runtime import device


def shared_folder(save: Path | None, name: str) -> tuple[Path, str]:
    """A new folder of each node's first process, for all of the node; every process calls this.

    Args:
        save: Below which it lies, made if it is missing; None for the system's own place.
        name: How it is called, behind a dot.

    Returns:
        This node's folder; and that of the first node as a name that all processes share.
    """
    folder = ""
    if device.is_first_of_node():
        if save is not None:
            save.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(prefix=f".{name}-", dir=save)
    folders = device.gather_from_all_ranks(folder)
    return Path(folders[device.node() * device.ranks_of_node()]), folders[0]
