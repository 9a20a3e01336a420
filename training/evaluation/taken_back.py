"""Whether a text takes the letter before it back, where the texts of the choices are not known."""

import re

CAPITAL = re.compile(r"\b[A-Z]\b")
# What a capital alone may name, other than a choice.
_KINDS = (
    "point|vertex|node|line|segment|ray|side|edge|angle|plane|axis|vector|arrow|curve|graph|figure"
    "|diagram|shape|triangle|square|rectangle|polygon|circle|cube|cylinder|region|area|zone|layer"
    "|section|group|team|class|type|set|case|phase|stage|row|column|table|box|block|ball|gear"
    "|pulley|rod|spring|circuit|wire|bulb|lamp|switch|resistor|capacitor|battery|coil|lens|mirror"
    "|beaker|flask|tube|container|tank|particle|object|body|molecule|compound|element|atom|gas"
    "|liquid|solution|sample|substance|metal|species|population|planet|star|city|town|island"
    "|country|station|position|location|path|route|person|student|vitamin|hepatitis|influenza"
)
# `Point C`, `lines C and D`; and units that are hardly a choice's letter: `12 N`.
_THING = re.compile(
    rf"\b(?i:{_KINDS})(?:\s+[A-Z]|e?s\s+[A-Z](?:,\s*[A-Z])*(?:,?\s+and\s+[A-Z])?)\b(?!['’])"
    r"|(?<![\d.,])\d[\d.,]*+\s*[JKNTVW]\b(?!\s*[/^])"
)
_NUMERALS = re.compile(
    r"(?=.*(?:[IVX]{2}|\bonly\b))(?:(?:[Oo]nly|[Bb]oth|[Ss]tatements?)\s+)?"
    r"[IVX]+(?:(?:,\s*|,?\s+and\s+)[IVX]+)*(?:\s+only)?"
)
_WORDS = re.compile(r"[\w\s'’°-]*")
# Beside a thing with a name, these make it another choice.
_CHOOSING = re.compile(
    r"\b(?:or|not|but|no|also|too|equally|well|works?|right|correct|true|better|best|likely"
    r"|probably|could|may|might|would|should|be|otherwise|else|mean|choose|pick|select|prefer"
    r"|take|go|say|think|see|final|second|answer|option|choice|letter|than|then|like|vs|versus)\b",
    re.IGNORECASE,
)
_TAKEN_BACK = re.compile(
    "|".join(
        (
            r"\b(?i:rather|maybe|perhaps|possibly|instead|however|actually|wait|scratch that|unsure"
            r"|sorry|guess|wrong|incorrect|changed my mind|second thoughts?"
            r"|none of (?:these|those|them|the))\b",
            r"(?i:\bnot|n['’]t)\s+(?i:sure|certain|right|correct|it|this|that|the answer)(?![-\w])",
            r"\b(?i:not)\s+(?i:(?:option|choice)\s+)?\(?[A-Z]\b",
            r"\A\W*(?:[Oo]r|[Aa]nd|[Bb]ut|(?i:no)\s*[,;.:])(?!\w)",
            r"\b(?i:or|options?|choices?|letter|answer(?: is)?)\W+[a-z]\)?\W*\Z",
        )
    )
)
# What would take it back is then the choice's own text: `D. None of these`.
_ITSELF = re.compile(r"none of (?:these|those|them|the \w+)|(?:wrong|incorrect)\Z", re.IGNORECASE)


def is_taken_back(text: str, letter: str, is_labelled: bool) -> bool:
    """Whether a text behind a letter names another choice, or takes the letter back.

    Args:
        text: What stands behind the letter, and may be the text of its choice or another one.
        letter: The letter of the choice.
        is_labelled: Whether it stands behind a label (`B. text`), and is no remark (`B (text)`).
    """
    own = _ITSELF.match(text) if is_labelled else None
    if _TAKEN_BACK.search(text, own.end() if own else 0):
        return True
    capitals = set(CAPITAL.findall(text))
    if capitals <= {letter} or _NUMERALS.fullmatch(text.rstrip(")")):
        return False
    rest = _THING.sub("", text.rstrip(")"))
    is_of_things = _WORDS.fullmatch(rest) and not CAPITAL.search(rest)
    return letter in capitals or not is_of_things or _CHOOSING.search(rest) is not None
