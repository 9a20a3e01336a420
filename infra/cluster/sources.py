"""Digests of the code that a node runs: a driver and its nodes must have the same."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from contracts.errors import PreflightError
from infra.digests import file_digest
from infra.modules import module_file
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


def module_digests(names: Iterable[str]) -> dict[str, str]:
    """SHA-256, in hex, of the sources of modules; nothing for one that is not here.

    Args:
        names: Of modules, such as `package.module`.
    """
    files = {name: module_file(name) for name in names}
    return {name: "" if file is None else file_digest(file) for name, file in files.items()}


def require_same_code(node: int, sources: str, modules: Mapping[str, str]) -> None:
    """Proves that a node runs the code that the run has.

    Args:
        node: Its number.
        sources: The run's `sources_digest`.
        modules: The run's `module_digests`, of functions of the user's own.

    Raises:
        PreflightError: It has other code.
    """
    place = f"node {node}, {os.uname().nodename}"
    rule = "a run and its nodes have the same code"
    if (here := sources_digest()) != sources:
        raise PreflightError(
            "This node has other code than the run.",
            where=f"{place}: the sources' digest is {here[:12]}, the run's {sources[:12]}",
            rule=rule,
            fix="bring all machines to one version of the project",
        )
    found = module_digests(modules)
    for name, digest in modules.items():
        if found[name] == digest:
            continue
        told = f"its digest is {found[name][:12]}" if found[name] else "there is none"
        raise PreflightError(
            f"This node has another module {name} than the run, or none.",
            where=f"{place}: {told}, the run's is {digest[:12]}",
            rule=f"{rule}, functions of your own and what they import too",
            fix=f"install the run's {name.partition('.')[0]} on this machine, in the environment "
            "in which its Ray was started",
        )
