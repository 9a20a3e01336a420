"""Answers that only repeat what was asked: `x^2 - 5x + 6` where it should be factored."""

import re

from training.answers.normal import normalize
from training.answers.numbers import parse_number

_FRACTION = re.compile(r"\\frac\s*(?:\{([^{}]*)\}|(\d))\s*(?:\{([^{}]*)\}|(\d))")
_ROOT = re.compile(r"(\\sqrt)\s*\{([^{}]*)\}")
_FILLING = re.compile(r"[\s{}()\[\]*$\\,]")  # brackets, spaces, signs of multiplication
_WORK = re.compile(r"[-+/^=!|<>_]|[a-z]{3}")
_MOST_CHARACTERS = 4000  # of a question, from its end


def is_echo(answer: str, reference: str, question: str) -> bool:
    """Whether an answer stands in the question, and the reference is written otherwise.

    A polynomial, a root or an equation may be a finished answer; it is none if the question holds
    it and asks for another form. A number, a fraction in lowest terms included, never is an echo:
    a question may offer several to choose from.

    Args:
        answer: Normalised.
        reference: Normalised.
        question: As it was asked.
    """
    number = parse_number(answer)
    if number is not None and number.form != "reducible":
        return False
    mine, theirs = (_FILLING.sub("", _with_slashes(text)) for text in (answer, reference))
    if not _WORK.search(mine) or sorted(mine) == sorted(theirs):
        return False
    asked = _with_slashes(normalize(question[-_MOST_CHARACTERS:]))
    pattern = f"{_FILLING.pattern}*".join(map(re.escape, mine))
    return re.search(rf"(?<![\w.]){pattern}(?!\w)", asked) is not None


def _with_slashes(text: str) -> str:
    r"""`\frac{a}{b}` as a/b; what its brackets meant does not matter here."""
    while (flat := _FRACTION.sub(r"\1\2/\3\4", _ROOT.sub(r"\1\2", text))) != text:
        text = flat
    return text
