"""Rules of the user's own: functions that are steps of the recipe, each asked of rows one by one.

A rule is called with keywords:
`rule(*, question, answer, solution, num_images, source, family, level) -> str | None`. What it
returns is why the row goes, in words that are the same for all rows with that fault, on one line of
printable characters; None keeps it.
"""

import unicodedata

from contracts.errors import RecipeError, RevisualError
from training.own_functions import Kind, find
from training.records import Problem

MAX_REASON_CHARACTERS = 200

_KIND = Kind(
    name="rule of curation",
    field="curation.steps",
    arguments=("question", "answer", "solution", "num_images", "source", "family", "level"),
    fix="see docs/curation.md, Steps of your own",
)
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


def check(function: str) -> None:
    """Tries a function on one row.

    Raises:
        RecipeError: It cannot be found, raises, or returns neither a reason nor None.
    """
    find(function, _KIND)
    try:
        reason_for(function, _TRIAL)
    except RevisualError as error:
        raise _KIND.refused(function, error.what, error.rule) from error


def reason_for(function: str, problem: Problem) -> str | None:
    """Why a rule drops a row, or None.

    Args:
        function: `package.module:name`.
        problem: The row.

    Raises:
        RevisualError: The rule raised, or returned neither a reason nor None.
    """
    texts = {name: problem[name] for name in ("question", "answer", "solution")}
    told = {name: problem[name] for name in ("source", "family", "level")}
    try:
        reason = find(function, _KIND)(**texts, num_images=len(problem["images"]), **told)
    except RecipeError:
        raise
    except Exception as error:  # whatever a stranger's function raises
        raise _failed(function, problem, f"raised {type(error).__name__}: {error}") from error
    if reason is None:
        return None
    if not isinstance(reason, str) or not _is_line(reason):
        raise _failed(function, problem, f"returned {reason!r:.100}")
    return reason


def _is_line(reason: str) -> bool:
    """Whether files, logs and tables can hold it: of lone surrogates none is printable."""
    told = (one.isprintable() or unicodedata.category(one) == "Zs" for one in reason)
    return 0 < len(reason) <= MAX_REASON_CHARACTERS and all(told)


def _failed(function: str, problem: Problem, what: str) -> RevisualError:
    return RevisualError(
        f"the function {what}",
        where=f"{_KIND.where(function)}; row {problem['id']}",
        rule="a rule returns None, or a reason: one line of printable characters, at most "
        f"{MAX_REASON_CHARACTERS} of them",
        fix=_KIND.fix,
    )
