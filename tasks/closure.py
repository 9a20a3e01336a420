"""The code that a stage runs: the modules that it imports, each with a digest of its syntax.

What counts is what Python would do: comments, docstrings and formatting are left out. Imports are
followed as they are written, those inside functions too; so is a module that is named by a string,
as in `python -m training.answers.worker`. Left out is the recipe's schema, whose values are in the
key already. Libraries do not count here: their versions are recorded. The code beside a reward of
the user's own counts as the reward does (`outside_modules`).
"""

import ast
import gc
import hashlib
import sys
import threading
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from contracts.errors import RecipeError
from infra.modules import file_below, module_file
from infra.settings import PROJECT_ROOT

# Where each kind of stage begins. `training.stage` only chooses among them.
ENTRIES: Mapping[str, str] = {
    "curate": "training.curation.curate",
    "sft": "training.sft.train",
    "rl": "training.grpo.train",
    "evaluate": "training.evaluation.run",
}
# What answers, and nothing of what verifies: an engine of ours, whose lots decide the last bits, or
# an endpoint; and how it is written down.
ANSWERING = ("training.rollout.engine", "training.sampling.lots", "training.sampling.schema")
ASKING_AN_ENDPOINT = ("training.rollout.http_engine", "training.sampling.schema")
# What compares answers with references.
VERIFYING = ("training.answers", "training.sampling.verdicts")
# What makes an evaluation's verdicts, by rules and with a judge; how they are summed up is another
# matter: who compares two evaluations sums both up anew.
VERDICTS, SUMMED_UP = "training.evaluation.asking", "training.evaluation.scores"
# What makes an evaluation's prompts of the benchmarks' rows,
# and what finds the answers to them.
PROMPTS = tuple(f"training.evaluation.{name}" for name in ("registry", "requests", "parts"))
# How answers and replies are written down.
WRITTEN = ("training.sampling.schema",)
# What looks through a shard of rows.
SHARDS = ("training.curation.row_steps", "training.curation.prompt_lengths")
# An engine that a recipe may choose, and that is not even imported otherwise.
CHOSEN_ENGINES: Mapping[str, str] = {"vllm": "training.rollout.vllm_engine"}
PACKAGES = ("contracts", "training")
SCHEMA = "training.recipe"
# Where packages are installed: what lies there is a library. Debian's Python has the second name.
LIBRARY_FOLDERS = frozenset({"site-packages", "dist-packages"})
_PARSING = threading.Lock()
_WITH_DOCSTRING = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def stage_modules(kind: str, engine: str, root: Path = PROJECT_ROOT) -> dict[str, str]:
    """Digests of the modules that a kind of stage imports, by name, sorted.

    Args:
        kind: `curate`, `sft`, `rl` or `evaluate`.
        engine: The rollout engine of the recipe.
        root: The folder that holds the packages.
    """
    return module_closure([ENTRIES[kind]], root, without=_unused(engine))


def answering_modules(engine: str | None, root: Path = PROJECT_ROOT) -> dict[str, str]:
    """As `stage_modules`, of what decides an answer to a prompt; None is an endpoint."""
    if engine is None:
        return module_closure(ASKING_AN_ENDPOINT, root, without=set(CHOSEN_ENGINES.values()))
    return module_closure(ANSWERING, root, without=_unused(engine))


def verifying_modules(root: Path = PROJECT_ROOT) -> dict[str, str]:
    """As `stage_modules`, of what decides curation's verdicts."""
    return module_closure(VERIFYING, root, without=set(CHOSEN_ENGINES.values()))


def verdict_modules(root: Path = PROJECT_ROOT) -> dict[str, str]:
    """As `stage_modules`, of what decides an evaluation's verdicts, the items' rules apart."""
    return module_closure([VERDICTS], root, without={SUMMED_UP})


def prompt_modules(root: Path = PROJECT_ROOT) -> dict[str, str]:
    """As `stage_modules`, of what decides an evaluation's prompts, and holds rules, too."""
    return module_closure(PROMPTS, root, without=set(CHOSEN_ENGINES.values()))


def written_modules(root: Path = PROJECT_ROOT) -> dict[str, str]:
    """As `stage_modules`, of how answers and replies are written down."""
    return module_closure(WRITTEN, root)


def shard_modules(root: Path = PROJECT_ROOT) -> dict[str, str]:
    """As `stage_modules`, of what looks through a shard of rows."""
    return module_closure(SHARDS, root, without=set(CHOSEN_ENGINES.values()))


def _unused(engine: str) -> set[str]:
    return {module for name, module in CHOSEN_ENGINES.items() if name != engine}


def module_closure(
    entries: Iterable[str], root: Path = PROJECT_ROOT, *, without: Container[str] = ()
) -> dict[str, str]:
    """Digests of the entry modules and of every module of ours that they import, by name, sorted.

    Args:
        entries: Names of modules.
        root: The folder that holds the packages.
        without: Modules that are never imported; nor is what they alone import.
    """
    found = _closure(entries, lambda name: None if name in without else _own_source(name, root))
    if missing := sorted(set(entries) - found.keys()):
        raise FileNotFoundError(f"{root} has no module {', '.join(missing)}")
    return found


def outside_modules(name: str) -> dict[str, str]:
    """Digests of a module that is not ours and of the code that it imports, by name, sorted.

    What counts is its own package, wherever that lies, and every other module with source, ours
    too, that is neither of the standard library nor installed as a library.

    Args:
        name: Such as `package.module`, as Python would import it.

    Raises:
        RecipeError: There is no such module, or it has no source.
    """
    found = _closure([name], lambda one: _outside_source(one, name.partition(".")[0]))
    if name not in found:
        raise RecipeError(
            f"The module {name} has no source that could be read.",
            where=name,
            rule="the code of a reward or a rule is part of its stage's key",
            fix="name a function in a Python module; it may call others",
        )
    return found


def _closure(entries: Iterable[str], source: Callable[[str], Path | None]) -> dict[str, str]:
    """Digests of modules and of all that they import, as far as there is a source that counts."""
    waiting, seen, digests = list(entries), set[str](), dict[str, str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        # Importing a module runs the packages around it.
        waiting += _parents(name)
        path = source(name)
        if path is None:
            continue
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        top = name.partition(".")[0]
        digests[name], named = _parsed(
            path.read_bytes(), package, PACKAGES if top in PACKAGES else (top,)
        )
        waiting += named
    return dict(sorted(digests.items()))


def syntax_digest(source: str | bytes) -> str:
    """SHA-256, in hex, of a module's syntax without comments, docstrings and formatting."""
    return _digest(_tree(source))


def _tree(source: str | bytes) -> ast.Module:
    """`ast.parse`, undisturbed by what else this process parses.

    CPython 3.11 counts the depth of all such trees in one place (python/cpython#106905). Garbage
    that is collected in between runs code, and with it other threads: if one parses, ours fails.
    """
    with _PARSING:
        collecting = gc.isenabled()
        gc.disable()
        try:
            return ast.parse(source)
        finally:
            if collecting:
                gc.enable()


def _digest(tree: ast.Module) -> str:
    """See `syntax_digest`; the docstrings are taken out of the tree itself."""
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
    tree = _tree(source)
    named = {one for node in ast.walk(tree) for one in _named(node, package, packages)}
    return _digest(tree), tuple(sorted(named))


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


def _own_source(name: str, root: Path) -> Path | None:
    """The file of a module of ours; None where the name is none, or one of the recipe's schema."""
    parts = name.split(".")
    if parts[0] not in PACKAGES or f"{name}.".startswith(f"{SCHEMA}."):
        return None
    return file_below(root, parts)


def _outside_source(name: str, own: str) -> Path | None:
    """The file of a module that a reward imports; None where it does not count.

    Args:
        name: The module.
        own: The reward's top-level package: it counts even if it is installed as a library.
    """
    top = name.partition(".")[0]
    if top in PACKAGES:
        return _own_source(name, PROJECT_ROOT)
    if top in sys.stdlib_module_names:
        return None
    path = module_file(name)
    if path is None or (top != own and LIBRARY_FOLDERS & set(path.parts)):
        return None
    return path
