"""Texts of problems that are not used: what hides in them makes them read otherwise than they are.

It could hide them from the search for duplicates and for questions of a benchmark, or show a person
another answer than the model learns.
"""

import re

from contracts.texts import ANY, HIDDEN

MAX_TEXT_CHARACTERS = 2**18  # of one field; longer than any trace that fits into a context
_FAULTS = {reason: re.compile(f"[{characters}]") for reason, characters in HIDDEN.items()}
_ASCII = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # all of them that are ASCII; quicker
_SELECTOR = "invisible characters in the text"  # a variation selector, by what stands before it


def fault_of(*texts: str | None) -> str | None:
    """Why a problem's texts cannot be used, or None."""
    for text in texts:
        if text is not None and len(text) > MAX_TEXT_CHARACTERS:
            return "text too long"
        if text is not None and (_ASCII if text.isascii() else ANY).search(text):
            return next((why for why, odd in _FAULTS.items() if odd.search(text)), _SELECTOR)
    return None
