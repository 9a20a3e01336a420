"""A folder that the processes of a stage share while they work."""

import tempfile
from pathlib import Path

from training.runtime import device


def shared_folder(save: Path | None, name: str) -> Path:
    """A new folder of the first process, for all; every process makes this call.

    Args:
        save: Below which it lies, made if it is missing; None for the system's own place.
        name: How it is called, behind a dot.
    """
    folder = ""
    if device.rank() == 0:
        if save is not None:
            save.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(prefix=f".{name}-", dir=save)
    return Path(device.gather_from_all_ranks(folder)[0])
