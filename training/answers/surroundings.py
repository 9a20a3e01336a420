r"""What stands around a box: what belongs to its answer, and what makes the box a part of more."""

import re

from training.answers.units import Unit, noun_of, parse_unit, singular

# What makes a box a part of something, or denies it, where it stands before the box.
_BEFORE = re.compile(
    r"(?:\d\.?|(?:"
    + "|".join(
        (
            r"[/^_+−-] ?|[-+−\d] ?\( ?|\\(?:cdot|times|div|pm|mp) ?|[\^_]\{ ?",
            r"\\(?:sqrt|[dt]?frac)\s*(?:\{[^{}]*\}\s*){0,2}\{?\s*",
            r"\\(?:log|ln|sin|cos|tan|exp|gcd|max|min|not|neg|lnot) *[({]? ?",
            r"\\(?!(?:text|math|bold|bm|underline|fbox|color|emph|large|huge|display)[a-z]*)[a-z]+\s*\{\s*",
            r"(?:[<>≤≥≠]|!=|\\not ?=) ?",
            r"\\(?:neq?|leq?|geq?|lt|gt|notin|sim)(?![a-zA-Z])\s*\$? ?",
            r"(?i:(?:\b(?:not|never|cannot)|n't)\s+(?:be |equal |equal to |simply )?)\$?|~~\$?",
            r"(?i:\b(?:minus|negative|twice|thrice|double|triple|half(?: of)?"
            r"|is it|(?:square|cube)(?: root)? of|(?:more|less|greater|fewer) than"
            r"|between [^.\n]{1,20} and)\s+)\$?",
            r"(?:[\d})]|\b[A-Z])\$?\)?,? +or +\$?|\beither\b[^.\n]{1,40} or +\$?",
            r"(?:^|[:.\n] *|\b(?:is|are) )\$?-?\d+\$?(?:, *\$?-?\d+\$?)+, *\$?",
            r"\\\{[^{}$\n]{0,60}|[([] *-?[\w.]+ *, *",  # a member of a set, a tuple, an interval
        )
    )
    + r")\n?)\Z"  # a number at the end of a line is a sentence's
)
# All that `_BEFORE` matches is shorter than this, but for fractions and roots, which hold three
# braces at most, and for lists and long white space.
_SHORT, _BRACES = 100, 3
_LONG = re.compile(r",\s*\$?\s*\Z|\s{10}")
_LIST_ITEM_OR_TAG = re.compile(
    r"(?:(?:^|\n) *(?:[-+>]|\d{1,2}\.|[=-]+>) |(?:</?\w+>|[=-]>) *\n?)\Z"
)
# What chat templates leave behind a box; behind the end of a thought something new begins.
_END = re.compile(r"\s*\$?\s*(?:</(?:think|thinking|answer|solution|response)>|<\|[a-z_]{1,20}\|>)")
_TAG = re.compile(r"\s*\$?\s*<(?:/?[a-zA-Z_]{1,20} ?/?|\|[a-z_]{1,20}\|)>\s*")
# The same behind the box.
_OR = r"(?:or|and|alternatively|maybe|perhaps|possibly|probably|even|also)\b[,}\s]*"
# Another value behind it: a number is one behind any of these words, and a symbol, a letter or the
# sentence's last word behind these.
_ELSE = r"(?:or|alternatively|maybe|perhaps|possibly)\b[,}\s]*"
_VALUE = (
    r"(?:\d|\\(?:[dt]?frac|sqrt|text|pi)(?![a-z])|(?!I\b)[A-Z]\b(?!['’])|[a-z]\s*[-+*/^=]"
    r"|(?!equivalently)[a-z]+[ .$]*(?:\n|\Z))"
)
_IN_PARAGRAPH = r"(?:[^\S\n]|\n(?!\s*\n))*"
_AFTER = re.compile(
    "|".join(
        (
            r"[.,]?\d|\$?[a-zA-Z](?![a-zA-Z])|[a-zA-Z]|\s*\$?\s*\?|\$?~~",
            r" *\$? *(?:--?|[–—]) *\$?\d",
            r"\s*\$?\s*(?:\\text\s*\{\s*)?(?:hundred|thousand|million|billion|trillion|dozen"
            r"|squared|cubed|halves|thirds|quarters|factorial)\b",
            r"\s*\$?\s*(?:times|over|to|plus|minus) \$?-?\d| *: *\d|\} *\^",
            r"\s*\$?\s*(?:(?:more|less|fewer|greater) than"
            r" \$?-?(?:\d|\\|(?:(?!a\b)[a-z]|half|twice)\b)"
            r"|and (?:a|one|three) (?:half|third|quarter))",
            rf"\s*\$?[\s,(]*(?:\\text\s*\{{ *)?(?:{_OR})++[-$]*\d",
            rf"\s*\$?[\s,(]*(?:\\text\s*\{{ *)?(?:{_ELSE})++[-$(\[]*{_VALUE}",
            r"\s*\$?,? or (?:more|less|fewer|so|not|possibly)\b",
            r"\s*\$?, *\$?-?\d+\$? *(?:,|\bor\b|\band\b|$)|\s*\$? *!\s*=|!\$",
            r" *(?:[/^_+=<>≤≥≠]|[-−] *\d|!=)",
            r" *\\(?:cdot|times|div|pm|mp|frac|sqrt|pi|neq?|leq?|geq?|lt|gt|to|sim)(?![a-zA-Z])",
            r" *, *-?[\w.]+ *(?:[)\]]|\\\})| *\\\}",
            r"\s*\$?\s*(?:is|was|seems|looks) (?:wrong|incorrect|not|false|impossible|invalid)\b",
            r"\s*\$?[.,]?\s*(?i:isn't|no,? wait|wait,"
            r"|actually, (?:it|this|that|the (?:right |correct )?answer)\b)",
            rf"{_IN_PARAGRAPH}\$?[.,]?{_IN_PARAGRAPH}(?i:no, -?\d|hmm|actually,(?! the \d))",
        )
    )
)
# What belongs to an answer though it stands behind its box.
_PER_CENT = re.compile(r"\$? *(?:\\?%|per ?cent\b)")
_DEGREES = re.compile(r" *(?:\^ *\{? *\\circ *\}?|\\degree\b|°)(?! *[CF\d])")
_BASE = re.compile(r" *_ *(?:(\d{1,2})\b|\{ *(\d{1,2}) *\})")
_UNIT = re.compile(
    r"\$? *(?:\\[,;: ]|~)* *(?:\\(?:text|mathrm|mbox) *\{[ ~]*(?P<text>[^{}~]{1,30}?)[ ~]*\}"
    r"|(?P<word>[a-zA-Z]{2,12}(?:(?: per |/)[a-z]{1,10})?)(?![a-zA-Z]))"
    r"(?P<power>\$? *\^ *\{? *[23](?: *\})?)?"
)
_PAIRS = re.compile(r"\$? *(?:\\text *\{ *)?(pairs?)\b(?: *\})?")
# What a formula begins with, right before a box: `x =`, `AB =`; and `6 =`.
_START = r"(?:^|(?<!\\)\$|\n|\\[(\[]|[,;:] |\\(?:Rightarrow|implies|therefore|quad)) *"
_LABEL = re.compile(rf"{_START}([A-Za-z](?:_\{{?\w{{1,4}}\}}?)?|[A-Z]{{2}}) *= *$")
_NUMBER_IS = re.compile(rf"{_START}(-?\d[\d.]*) *= *$")
# Signs between which a formula stands, and what of one says nothing behind its answer.
_MARK = re.compile(r"\\\$|\$\$|\$|\\[\[\]()]|\n\s*\n")
_CLOSING = {"$": "$", "$$": "$$", r"\[": r"\]", r"\(": r"\)"}
_NOTHING = re.compile(
    r"\\(?:text|mathrm|mbox|tag)\s*\{[^{}]*\}|\\(?:[,;:! \\]|q?quad|square|blacksquare|checkmark)"
    r"|\\end\{[a-z]+\*?\}|[\s.,;&}]|\\(?:left|right)\.?|\\approx *-?\d[\d.,]*"
)
# Behind a remainder, `N \equiv \boxed{7} \pmod{10}`; without the sign it says another thing.
_MODULUS = re.compile(r"\s*\(?\\[bp]?mod\b\s*(?:\{[^{}]*\}|\d+)\)?")
_CONGRUENT = re.compile(r"(?<!\\not)(?<!\\not )\\equiv\s*\Z")
_PROSE = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{3,}")


def is_part(before: str, after: str, own: str = "") -> bool:
    r"""Whether a box is a part of what stands there, is denied, or stands beside other values.

    Args:
        before: The text before the box, as far as it can matter.
        after: The text behind it, and behind what belongs to it.
        own: What belongs to it, as it stands there: it may close the box's formula.
    """
    if denied_or_part(before) and not _LIST_ITEM_OR_TAG.search(before):
        return True
    is_congruent = _CONGRUENT.search(before, max(len(before) - _SHORT, 0)) is not None
    if is_congruent and (modulus := _MODULUS.match(after)):
        after = after[modulus.end() :]
    if _END.match(after) is not None:
        after = ""
    elif (tag := _TAG.match(after)) is not None:
        after = after[tag.end() :]
    return _AFTER.match(after) is not None or _goes_on(before + own, after)


def denied_or_part(before: str) -> bool:
    """Whether what stands right before a box makes it a part of something, or denies it.

    It is looked for in the end of the text alone, as far as it may reach: from every character of
    a long one it took most of the time of reading an answer.
    """
    return _BEFORE.search(before, _start(before)) is not None


def _start(before: str) -> int:
    tail = max(len(before) - _SHORT, 0)
    if _LONG.search(before, tail):
        return 0
    if "frac" not in before and "sqrt" not in before:
        return tail
    brace = len(before)
    for _ in range(_BRACES + 1):
        brace = before.rfind("{", 0, brace)
        if brace < 0:
            return 0
    return min(tail, brace + 1)


def follows_number(before: str, answer: str) -> bool:
    r"""Whether another number is said to be the box: `6 = \boxed{5}`."""
    number = _NUMBER_IS.search(before)
    return number is not None and number[1] != answer


def label(before: str) -> str | None:
    """The name that a formula gives to the box behind it; None if it gives none."""
    found = _LABEL.search(before)
    return found[1] if found else None


def belonging(after: str) -> tuple[str, int]:
    """A sign for per cent or degrees, a base or a unit right behind a box, as it is written in one,
    and where it ends; an empty text where there is none.
    """
    if found := _PER_CENT.match(after):
        return "%", found.end()
    if found := _DEGREES.match(after):
        return r"^\circ", found.end()
    if found := _BASE.match(after):
        return f"_{found[1] or found[2]}", found.end()
    if found := _PAIRS.match(after):
        return f" {found[1]}", found.end()
    found = _UNIT.match(after)
    if found is None:
        return "", 0
    written = found["text"] or found["word"]
    unit = parse_unit(written, separated=True)
    is_word = found["word"] is not None
    if unit is None or not unit.known or (is_word and not _is_measure_in_prose(written, unit)):
        return "", 0
    return f" {written}{re.sub('[ $]', '', found['power'] or '')}", found.end()


def _is_measure_in_prose(word: str, unit: Unit) -> bool:
    """`cm` or `miles`, but no `in`, and no noun, which may go on with the sentence."""
    first = word.partition(" ")[0]
    is_sign_or_plural = len(word) == 2 or singular(first) != first
    return word != "in" and noun_of(unit) is None and is_sign_or_plural


def _goes_on(before: str, after: str) -> bool:
    """Whether the formula in which a box stands has more behind it than texts and full stops."""
    opening = ""
    for mark in _MARK.findall(before):
        if mark == _CLOSING.get(opening) or "\n" in mark:
            opening = ""
        elif not opening and mark in _CLOSING:
            opening = mark
    if not opening:
        return False
    end = after.find(_CLOSING[opening])
    rest = _NOTHING.sub("", after[:end]) if end >= 0 else ""
    return bool(rest) and _PROSE.search(rest) is None  # a dollar of money opens no formula
