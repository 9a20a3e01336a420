"""Where the source of a module lies, found without importing it."""

import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import PathFinder
from pathlib import Path

from infra.settings import PROJECT_ROOT


def module_file(name: str) -> Path | None:
    """The source of a module as a stage's process imports it; None where there is none.

    Args:
        name: Such as `package.module`.
    """
    top, *rest = name.split(".")
    # A stage starts in the project's root, which comes first.
    spec = PathFinder.find_spec(top, [str(PROJECT_ROOT), *sys.path]) if top else None
    try:
        spec = spec or (importlib.util.find_spec(top) if top else None)
    except ValueError:  # a module without a place, such as __main__
        return None
    if spec is None:
        return None
    if rest:
        places = map(Path, spec.submodule_search_locations or ())
        return next(filter(None, (file_below(place, rest) for place in places)), None)
    return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None


def file_below(folder: Path, parts: Sequence[str]) -> Path | None:
    """The file of a module below a folder, if there is one."""
    if not all(part.isidentifier() for part in parts):
        return None  # a text that is no module's name
    path = folder.joinpath(*parts)
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return path if path.is_file() else None
