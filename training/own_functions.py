"""Functions of the user's own that a recipe names, `package.module:name`: rewards and rules."""

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from contracts.errors import RecipeError


@dataclass(frozen=True)
class Kind:
    """What such a function is for.

    Attributes:
        name: Of a function of this kind.
        field: The recipe's, that names it.
        arguments: The keywords that it is called with.
        fix: Where to read how to write one.
    """

    name: str
    field: str
    arguments: tuple[str, ...]
    fix: str

    def where(self, function: str) -> str:
        """The place that an error about a function names."""
        return f"recipe, {self.field}, function {function!r}"

    def refused(self, function: str, what: str, rule: str) -> RecipeError:
        """The error about a function that no run may start with."""
        what = f"The {self.name} is refused: {what}."
        return RecipeError(what, where=self.where(function), rule=rule, fix=self.fix)


@cache
def find(function: str, kind: Kind) -> Callable[..., Any]:
    """The function behind `package.module:name`.

    Raises:
        RecipeError: It cannot be imported, is no function, or does not take what it is given.
    """
    module, _, name = function.partition(":")
    try:
        found: Callable[..., Any] | None = getattr(importlib.import_module(module), name, None)
    except Exception as error:  # whatever a stranger's module raises while it is imported
        what = f"{module} cannot be imported: {type(error).__name__}: {error}"
        rule = "the module is installed in the project's environment and imports"
        raise kind.refused(function, what, rule) from error
    if not callable(found):
        what = f"{module} has no function {name}"
        raise kind.refused(function, what, "the function exists")
    try:
        inspect.signature(found).bind(**dict.fromkeys(kind.arguments))
    except (TypeError, ValueError) as error:
        what = f"the function does not take what it is called with: {error}"
        rule = f"it takes the keywords {', '.join(kind.arguments)}"
        raise kind.refused(function, what, rule) from error
    return found
