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
    # Characters of no width or no ink: spaces, joiners, fillers, operators, tags, blank signs.
    "invisible characters in the text": (
        "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u2065\u206a-\u206f"
        "\u3164\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
        "\u2800\U00013430-\U0001343f\U00016fe4\U0001d159\U000e0000-\U000e0fff"
    ),
}
_ALWAYS = "".join(HIDDEN.values())
# A variation selector chooses how a sign is drawn, an emoji's or a symbol's. Elsewhere it hides.
_SIGNS = (
    "#*0-9\u00a9\u00ae\u203c\u2049\u2100-\u27bf\u2900-\u2bff\u3030\u303d\u3297\u3299"
    "\U0001f000-\U0001faff"
)
_SELECTORS = "\ufe00-\ufe0f"
# Behind a digit, a selector belongs to a keycap, which follows it.
_LONE_SELECTOR = rf"(?<![{_SIGNS}])[{_SELECTORS}]|(?<=[#*0-9])(?:[\ufe00-\ufe0e]|\ufe0f(?!\u20e3))"
ANY = re.compile(f"[{_ALWAYS}]|{_LONE_SELECTOR}")
# What no reader sees, wherever it stands.
UNSEEN = re.compile(f"[{_ALWAYS}{_SELECTORS}]")


def marked(text: str) -> str:
    r"""The text with each such character written out, as `\u202e`; it can be stored and printed."""
    return ANY.sub(_escape, text)


def is_blank(character: str) -> bool:
    """Whether a reader sees a space there; U+2800 is a Braille cell without dots."""
    return character.isspace() or character == "\u2800"


def one_line(text: str) -> str:
    r"""The same, and ends of lines as `\n`: nobody's text passes for a line of ours."""
    return re.sub(r"[\n\r\t]", _escape, marked(text))


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape", "backslashreplace").decode("ascii")
