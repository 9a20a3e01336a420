"""Comparing answers with math-verify, a computer algebra system.

It may run for ever or eat all memory on hostile input: call it in a process that can be killed.
"""

import logging
from fractions import Fraction

from training.answers.normal import normalize
from training.answers.outcome import Outcome
from training.answers.quick import close
from training.answers.values import Number, nesting
from training.answers.values import parse as parse_value

_MAX_CHARS = 400
_MAX_NESTING = 16


def is_reasonable(answer: str) -> bool:
    """Whether an answer is worth a parser's time: no one's result is longer or nested deeper."""
    return len(answer) <= _MAX_CHARS and nesting(answer) <= _MAX_NESTING


def compare(answer: str, reference: str) -> Outcome:
    """Whether an answer equals the reference by algebra.

    Args:
        answer: The content of the box.
        reference: The reference answer.
    """
    from math_verify import LatexExtractionConfig, parse, verify

    # It warns that its own time-out, which works in main threads only, is off.
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    # No fallback to strings, and one expression on each side: math-verify would else accept an
    # answer if any of several readings matched.
    expected, given = (
        parse(
            f"\\boxed{{{text}}}",
            [LatexExtractionConfig(boxed_match_priority=0)],
            fallback_mode="no_fallback",
            parsing_timeout=None,
        )[:1]
        for text in (reference, answer)
    )
    if not given:
        return "unparseable"
    if not expected:
        return "wrong"
    if verify(expected, given, timeout_seconds=None):
        return "right"
    return "right" if _rounds_to(given[0], reference) else "wrong"


def _rounds_to(expression: object, reference: str) -> bool:
    r"""Whether an expression such as `\pi` evaluates to a reference that is a rounded decimal."""
    from sympy import Expr

    number = parse_value(normalize(reference))
    if not isinstance(number, Number) or number.decimals is None:
        return False
    if not isinstance(expression, Expr) or expression.is_comparable is not True:
        return False
    return close(Fraction(str(expression.evalf(20))), number, rounded=False)
