"""Comparing answers with math-verify, a computer algebra system.

It may run for ever or eat all memory on hostile input: call it in a process that can be killed.
"""

import logging
import re
from functools import lru_cache

from training.answers.outcome import Outcome
from training.answers.reading import nesting

_MAX_CHARS = 400
_MAX_NESTING = 16
_MAX_DIGITS = 40
# Powers of powers, and exponents of four digits: a short text for a number that fills the memory.
_TOWER = re.compile(r"\^\s*\{[^{}]*\^|\^\s*\w\s*\^|\^[^()]{0,20}\)\s*\^|\*\*.*\*\*")
_LARGE_EXPONENT = re.compile(r"\^\s*[{(]?\s*[+-]?\d{4}|(?:\d{4}|\))\s*!")


def too_large(answer: str) -> str:
    """Why an answer is not worth a computer algebra system's time; empty if it is."""
    if len(answer) > _MAX_CHARS:
        return f"it has more than {_MAX_CHARS} characters"
    if nesting(answer) > _MAX_NESTING:
        return f"it is nested deeper than {_MAX_NESTING}"
    if re.search(rf"\d{{{_MAX_DIGITS + 1}}}", answer):
        return f"a number has more than {_MAX_DIGITS} digits"
    if _TOWER.search(answer):
        return "a power of a power"
    return "a large exponent or factorial" if _LARGE_EXPONENT.search(answer) else ""


def compare(answer: str, reference: str) -> Outcome:
    """Whether an answer equals the reference by algebra.

    Args:
        answer: The content of the box.
        reference: The reference answer.
    """
    from math_verify import verify

    # It warns that its own time-out, which works in main threads only, is off.
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    expected, given = _expressions(reference), _expressions(answer)
    if not given:
        return "unparseable"
    if not expected:
        return "wrong"
    return "right" if verify(expected, given, timeout_seconds=None) else "wrong"


@lru_cache(maxsize=256)  # a reference is compared with many answers; parsing takes longest
def _expressions(text: str) -> list[object]:
    """What math-verify reads; empty if nothing.

    No fallback to strings, and one expression: math-verify would else accept an answer if any of
    several readings matched.
    """
    from math_verify import LatexExtractionConfig, parse

    found: list[object] = parse(
        f"\\boxed{{{text}}}",
        [LatexExtractionConfig(boxed_match_priority=0)],
        fallback_mode="no_fallback",
        parsing_timeout=None,
    )
    return found[:1]
