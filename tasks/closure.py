"""The code that a stage runs: the modules that it imports, each with a digest of its syntax.

What counts is what Python would do: comments, docstrings and formatting are left out. Imports are
followed as they are written, those inside functions too; so is a module that is named by a string,
as in `python -m training.answers.worker`. Left out is the recipe's schema, whose values are in the
key already. Libraries do not count here: their versions are recorded.
"""

import ast
import hashlib
import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from contracts.errors import RecipeError
from infra.settings import PROJECT_ROOT

# Where each kind of stage begins. `training.stage` only chooses among them.
ENTRIES: Mapping[str, str] = {
    "curate": "training.curation.curate",
    "sft": "training.sft.train",
    "rl": "training.grpo.train",
    "evaluate": "training.evaluation.run",
}
PACKAGES = ("contracts", "training")
SCHEMA = "training.recipe"
_WITH_DOCSTRING = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def stage_modules(kind: str, root: Path = PROJECT_ROOT) -> dict[str, str]:
    """Digests of the modules that a kind of stage imports, by name, sorted.

    Args:
        kind: `curate`, `sft`, `rl` or `evaluate`.
        root: The folder that holds the packages.
    """
    return module_closure([ENTRIES[kind]], root)


def module_closure(
    entries: Iterable[str], root: Path = PROJECT_ROOT, packages: tuple[str, ...] = PACKAGES
) -> dict[str, str]:
    """Digests of the entry modules and of every module of ours that they import, by name, sorted.

    Args:
        entries: Names of modules.
        root: The folder that holds the packages.
        packages: Whose modules count.
    """
    waiting, digests = list(entries), dict[str, str]()
    while waiting:
        name = waiting.pop()
        if name in digests or f"{name}.".startswith(f"{SCHEMA}."):
            continue
        path = _source(name, root, packages)
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        digests[name], named = _parsed(path.read_bytes(), package, packages)
        # Importing a module runs the packages around it.
        wanted = {*named, *(parent for one in (*named, name) for parent in _parents(one))}
        waiting += [one for one in sorted(wanted) if _source(one, root, packages).is_file()]
    return dict(sorted(digests.items()))


def outside_modules(name: str) -> dict[str, str]:
    """Digests of a module that is not ours and of those of its package that it imports, by name.

    Args:
        name: Such as `package.module`, as Python would import it.

    Raises:
        RecipeError: There is no such module, or it has no source.
    """
    top = name.partition(".")[0]
    spec = importlib.util.find_spec(top)
    places = list(spec.submodule_search_locations or []) if spec else []
    if places:
        root = Path(places[0]).parent
    elif spec and spec.origin and spec.origin.endswith(".py"):
        root = Path(spec.origin).parent
    else:
        raise RecipeError(
            f"The reward's module {name} has no source that could be read.",
            where=name,
            rule="the code of a reward is part of its stage's key",
            fix="name a function in a Python module; it may call others",
        )
    return module_closure([name], root, (top,))


def syntax_digest(source: str | bytes) -> str:
    """SHA-256, in hex, of a module's syntax without comments, docstrings and formatting."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, _WITH_DOCSTRING) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


@cache
def _parsed(source: bytes, package: str, packages: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """A module's digest, and every name that it may import.

    Kept by the text, not by the file: a flow lives through several stages, and each stage's process
    imports the files as they are when it starts. Which of the names exist may change as well.
    """
    nodes = ast.walk(ast.parse(source))
    named = {one for node in nodes for one in _named(node, package, packages)}
    return syntax_digest(source), tuple(sorted(named))


def _named(node: ast.AST, package: str, packages: tuple[str, ...]) -> Iterator[str]:
    """What a piece of syntax may import: every name that could be a module of ours."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*above, *([base] if base else [])])
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Constant) and str(node.value).partition(".")[0] in packages:
        yield str(node.value)


def _parents(name: str) -> Iterator[str]:
    while name := name.rpartition(".")[0]:
        yield name


def _source(name: str, root: Path, packages: tuple[str, ...]) -> Path:
    """A module's file; one that does not exist where the name is none of our modules."""
    if name.partition(".")[0] not in packages:
        return root / "none of ours"
    path = root.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
