"""Rewards of the user's own: a function that the recipe names, checked before a run starts.

The function is called once for every response, with keywords:
`reward(*, response, reference, question, num_tokens, outcome) -> float`; see docs/rewards.md.
"""

import math
import struct
from typing import SupportsFloat

from contracts.errors import RecipeError, RevisualError
from training.answers import Outcome
from training.own_functions import Kind, find

_KIND = Kind(
    name="custom reward",
    field="rewards",
    arguments=("response", "reference", "question", "num_tokens", "outcome"),
    fix="see docs/rewards.md for a reward that works",
)
# What a function is tried with: a right answer, and a response that is no answer at all.
_TRIALS: tuple[tuple[str, int, Outcome], ...] = (
    (r"<think> 1 + 1 is 2 </think> \boxed{2}", 12, "right"),
    ("", 0, "unparseable"),
)


def check(function: str) -> None:
    """Tries a function on two responses.

    Raises:
        RecipeError: It cannot be found, raises, or returns no finite number.
    """
    find(function, _KIND)
    for response, num_tokens, outcome in _TRIALS:
        try:
            value(function, response, "2", "What is 1 + 1?", num_tokens, outcome)
        except RevisualError as error:
            raise _KIND.refused(function, error.what, "it returns a finite number") from error


def value(
    function: str, response: str, reference: str, question: str, num_tokens: int, outcome: Outcome
) -> float:
    """What the function gives for one response.

    Args:
        function: `package.module:name`.
        response: The whole response.
        reference: The reference answer.
        question: What was asked.
        num_tokens: The response's length, the end token included.
        outcome: What verifying its answer came to.

    Raises:
        RevisualError: The function raised, or returned what is no finite number in float32.
    """
    given = (response, reference, question, num_tokens, outcome)
    try:
        found = find(function, _KIND)(**dict(zip(_KIND.arguments, given, strict=True)))
    except RecipeError:
        raise
    except Exception as error:  # whatever a stranger's function raises
        raise _failed(function, f"raised {type(error).__name__}: {error}") from error
    # Rewards are float32 from here on: 1e39 would be infinite, and its group's advantages NaN.
    if not hasattr(found, "__float__") or not _is_finite(found):
        raise _failed(function, f"returned {found!r}")
    return float(found)


def _is_finite(number: SupportsFloat) -> bool:
    """Whether a number is finite in float32, too."""
    try:
        # As torch would cast it; flows try rewards, too, and do without torch.
        (cast,) = struct.unpack("<f", struct.pack("<f", float(number)))
    except (OverflowError, RuntimeError, TypeError, ValueError):  # a tensor of several, say
        return False
    return math.isfinite(cast)


def _failed(function: str, what: str) -> RevisualError:
    return RevisualError(
        f"the function {what}",
        where=_KIND.where(function),
        rule="a reward is a finite number in float32 (below 3.4e38) for every response",
        fix=_KIND.fix,
    )
