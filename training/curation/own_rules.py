"""Rules of the user's own: functions that the recipe names, each asked of every row by itself.

A rule is called once for every row that all shipped rules keep, with keywords:
`rule(*, question, answer, solution, num_images, source, family, level) -> str | None`. What it
returns is why the row goes, in words that are the same for all rows with that fault; None keeps it.
"""

import importlib
import inspect
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from contracts.errors import RecipeError, RevisualError
from training.records import Problem

STEP = "own rules"
ARGUMENTS = ("question", "answer", "solution", "num_images", "source", "family", "level")
MAX_REASON_CHARACTERS = 200
RuleFunction = Callable[..., Any]

_WHERE = "recipe, curation.rules, function {!r}"
_FIX = "see docs/curation.md, Rules of your own"
_TRIAL: Problem = {
    "id": "trial",
    "source": "trial",
    "modality": "text",
    "family": "sums",
    "template": "trial",
    "level": None,
    "question": "What is 1 + 1?",
    "images": [],
    "answer": "2",
    "solution": None,
    "reading": None,
    "pass_rate": None,
}


@cache
def find(function: str) -> RuleFunction:
    """The function behind `package.module:name`.

    Raises:
        RecipeError: It cannot be imported, is no function, or does not take what it is given.
    """
    module, _, name = function.partition(":")
    try:
        found: RuleFunction | None = getattr(importlib.import_module(module), name, None)
    except Exception as error:  # whatever a stranger's module raises while it is imported
        what = f"{module} cannot be imported: {type(error).__name__}: {error}"
        raise _refused(function, what, "the module is installed and imports") from error
    if not callable(found):
        raise _refused(function, f"{module} has no function {name}", "the function exists")
    try:
        inspect.signature(found).bind(**dict.fromkeys(ARGUMENTS))
    except (TypeError, ValueError) as error:
        rule = f"it takes the keywords {', '.join(ARGUMENTS)}"
        raise _refused(function, f"it is called otherwise: {error}", rule) from error
    return found


def check(function: str) -> None:
    """Tries a function on one row.

    Raises:
        RecipeError: It cannot be found, raises, or returns neither a reason nor None.
    """
    find(function)
    try:
        reason_for([function], _TRIAL)
    except RevisualError as error:
        raise _refused(function, error.what, error.rule) from error


def reason_for(functions: Sequence[str], problem: Problem) -> str | None:
    """Why the first of the rules that drops a row does so, or None.

    Args:
        functions: `package.module:name`, in their order.
        problem: The row.

    Raises:
        RevisualError: A rule raised, or returned neither a reason nor None.
    """
    texts = {name: problem[name] for name in ("question", "answer", "solution")}
    told = {name: problem[name] for name in ("source", "family", "level")}
    for function in functions:
        try:
            reason = find(function)(**texts, num_images=len(problem["images"]), **told)
        except RecipeError:
            raise
        except Exception as error:  # whatever a stranger's function raises
            raise _failed(function, problem, f"raised {type(error).__name__}: {error}") from error
        if reason is None:
            continue
        if not isinstance(reason, str) or not 0 < len(reason) <= MAX_REASON_CHARACTERS:
            raise _failed(function, problem, f"returned {reason!r:.100}")
        return reason
    return None


def _refused(function: str, what: str, rule: str) -> RecipeError:
    what, where = f"The rule of curation is refused: {what}.", _WHERE.format(function)
    return RecipeError(what, where=where, rule=rule, fix=_FIX)


def _failed(function: str, problem: Problem, what: str) -> RevisualError:
    return RevisualError(
        f"the function {what}",
        where=f"{_WHERE.format(function)}; row {problem['id']}",
        rule=f"a rule returns None or a reason of at most {MAX_REASON_CHARACTERS} characters",
        fix=_FIX,
    )
