"""The project's sources as one digest: a driver and its nodes must have the same."""

import hashlib
from pathlib import Path

from infra.digests import file_digest
from infra.settings import PROJECT_ROOT

PACKAGES = ("contracts", "infra", "training")


def sources_digest(root: Path = PROJECT_ROOT) -> str:
    """SHA-256, in hex, of the names and bytes of what a node runs.

    Args:
        root: The folder that holds the packages.
    """
    paths = sorted(path for package in PACKAGES for path in (root / package).rglob("*.py"))
    lines = [f"{path.relative_to(root).as_posix()} {file_digest(path)}" for path in paths]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
