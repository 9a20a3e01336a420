"""Characters that make a text read otherwise than it is: which there are, and how they are shown.

A problem that holds one is rejected: it could hide from the search for duplicates and for questions
of a benchmark, or show a person another answer than the model learns. Reports show them marked.
"""

import re

MAX_TEXT_CHARACTERS = 2**18  # of one field; longer than any trace that fits into a context

_HIDDEN = {
    # U+FFFD stands for bytes that were no UTF-8; lone surrogates and noncharacters are none.
    "damaged characters in the text": "\ud800-\udfff\ufdd0-\ufdef\ufffd-\uffff",
    "control characters in the text": "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029",
    "direction marks in the text": "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069",
    # What has no width: spaces, joiners, fillers, operators, tags. Emoji keep their variation
    # selectors.
    "invisible characters in the text": (
        "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u2065\u206a-\u206f"
        "\u3164\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
        "\U000e0000-\U000e0fff"
    ),
}
_FAULTS = {reason: re.compile(f"[{characters}]") for reason, characters in _HIDDEN.items()}
_ANY = re.compile(f"[{''.join(_HIDDEN.values())}]")


def fault_of(*texts: str | None) -> str | None:
    """Why a problem's texts cannot be used, or None."""
    for text in texts:
        if text is not None and len(text) > MAX_TEXT_CHARACTERS:
            return "text too long"
        if text is not None and _ANY.search(text):
            return next(reason for reason, odd in _FAULTS.items() if odd.search(text))
    return None


def marked(text: str) -> str:
    r"""The text with each such character written out, as `\u202e`; it can be stored and printed."""
    return _ANY.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape", "backslashreplace").decode("ascii")
