r"""What of a response tells the answer: not thoughts that something is told behind, no empty box.

A model thinks within `<think>` and `</think>`, and may box there what it rejects later, or write of
`\boxed{}` as what it was asked for.
"""

import re

from training.answers.boxed import behind_box
from training.evaluation.phrases import announces

_OPEN, _CLOSE = "<think>", "</think>"
# A box of nothing, or the bare command in prose. `\boxed{5` was cut off, `\boxed5` is not empty.
_EMPTY = re.compile(
    r"\\boxed(?:\s*+\{(?:[\s._~…]|\\[lc]?dots)*+\}"
    r"|(?=[,;:!?)\]`\"'$]|\.(?!\d)|[ \t]++[a-z]{2}))"
)
_COMMANDS = re.compile(r"\\text\w*\{[^{}]*\}|\\[a-zA-Z]+")  # `\boxed{5} \text{ cm}`
_WORD = re.compile(r"[^\W_]")
_SENTENCES = re.compile(r"(?<=[.!?])\s+|\n+")
# A sentence that goes on behind a box, and a response that ends within a sentence.
_RESUMED = re.compile(
    r"(?:^|[.!?$]\s)[ *$]{0,4}(?:however|but|wait|actually|hmm+|alternatively|no,|let me|let us"
    r"|let's)(?!\w)",
    re.IGNORECASE | re.MULTILINE,
)
_BROKEN_OFF = re.compile(r"[\w,;:(+=<>/\\-]\Z")


def told(response: str) -> str:
    r"""The part of a response in which its answer is to be looked for, without empty boxes.

    Thoughts count where nothing behind them has a box or announces an answer. A thought that was
    never closed counts only if it ends with a box or an announcement; what stands before it is read
    else.

    Returns:
        `""` where a box is followed by a sentence like `However, ...` and the response breaks off.
    """
    text = _EMPTY.sub("", response)
    closed = text.rfind(_CLOSE)
    opened = text.find(_OPEN, max(closed, 0))
    if opened >= 0:
        return _end_of_thought(text[opened + len(_OPEN) :]) or told(text[:opened])
    if closed >= 0:
        behind = text[closed + len(_CLOSE) :]
        if "\\boxed" in behind or announces(behind):
            text = behind
    return "" if _breaks_off(text) else text


def _end_of_thought(thought: str) -> str:
    """The answer that an unclosed thought ends with; "" if it ends with none."""
    behind = behind_box(thought)
    if behind is not None and not _WORD.search(_COMMANDS.sub("", behind)):
        return thought
    last = _SENTENCES.split(thought.rstrip())[-1]
    return last if "\\boxed" not in last and announces(last) else ""


def _breaks_off(text: str) -> bool:
    behind = (behind_box(text) or "").rstrip()
    return bool(_BROKEN_OFF.search(behind) and _RESUMED.search(behind))
