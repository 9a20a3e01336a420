"""Characters that make a text read otherwise than it is: which there are, and how they are shown.

Reports, errors and logs quote what strangers wrote. A direction mark there shows a person something
else than the text says, and a control character moves a terminal's cursor, or worse.
"""

import re

HIDDEN = {
    # U+FFFD stands for bytes that were no UTF-8; lone surrogates and noncharacters are none.
    "damaged characters in the text": "\ud800-\udfff\ufdd0-\ufdef\ufffd-\uffff",
    "control characters in the text": "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029",
    "direction marks in the text": "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069",
    # Characters of no width: spaces, joiners, fillers, operators, tags. The variation selectors
    # of emoji stay.
    "invisible characters in the text": (
        "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u2065\u206a-\u206f"
        "\u3164\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
        "\U000e0000-\U000e0fff"
    ),
}
ANY = re.compile(f"[{''.join(HIDDEN.values())}]")


def marked(text: str) -> str:
    r"""The text with each such character written out, as `\u202e`; it can be stored and printed."""
    return ANY.sub(_escape, text)


def one_line(text: str) -> str:
    r"""The same, and ends of lines as `\n`: nobody's text passes for a line of ours."""
    return re.sub(r"[\n\r\t]", _escape, marked(text))


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape", "backslashreplace").decode("ascii")
