"""Which of several choices an answer names."""

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache

import numpy as np

from training.answers.literal import same_ratio
from training.answers.normal import normalize, split_name
from training.answers.quick import judge
from training.answers.reading import parse
from training.answers.values import Items, Words
from training.evaluation.quantities import read_quantity, value_in

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_OPTION = r"(?:(?i:option|choice)\s+)?"
_ONE = re.compile(
    r"[(\[{]?\s*(?:(?:option|choice)\s+)?[(\[]?([A-Za-z])[)\]]?\s*[)\]}]?\s*[.:]?", re.I
)
_LABELLED = re.compile(rf"{_OPTION}[(\[]?([A-Z])(?:[)\]][.:]?|[.:])\s*(\S.*)", re.DOTALL)
# `B (21 cm)`, `B = 21 cm`, `B, 21 cm`, `B 21 cm`; and `21 cm (B)`. What the letter is in such a
# form tells the text alone: `A = 12` may be an area.
_BESIDE = re.compile(rf"{_OPTION}\(?([A-Z])\)?\s*([=,(–—-]|\s)\s*(\S.*)", re.DOTALL)
_BEHIND = re.compile(rf"(\S.*?)\s*[(\[]{_OPTION}([A-Z])[)\]]", re.DOTALL)
_SEVERAL = re.compile(
    r"(?:both\s+)?(?:(?:options?|choices?)\s*:?\s+)?"
    r"[A-Z](?:(?:\s*(?:,|;|&|\band\b)\s*|\s+)(?:and\s+)?[A-Z])*",
    re.I,
)
_TOGETHER = re.compile(r"[A-Z]{2,8}")
# What a box, or a text in it, may begin with: `Answer: B`, `The correct option is B`.
_ANNOUNCED = re.compile(
    r"(?:(?:so|thus|hence|therefore)[\s,]+)?(?:the\s+|my\s+)?(?:(?:final|correct|right|best)\s+)*"
    r"(?:answer|option|choice)s?\s*(?:(?:is|are)\b\s*:?|[:=])\s*(?=\S)",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"\"([^\"]+)\"|“([^”]+)”|`+([^`']+)(?:`|'')|'([^']+)'")
# What follows a label names another choice, or takes the first one back.
_FURTHER = re.compile(
    r"\b[A-Z]\b|\b(?:not|and|(?i:or|but|rather|maybe|perhaps|possibly|instead|however|actually|wait"
    r"|scratch that|is (?:wrong|incorrect)))\b"
)
_CAPITAL = re.compile(r"\b[A-Z]\b")
# And so it does where the texts are known, and it is none of them.
_UNKNOWN = re.compile(
    r"\b(?:unless|cannot|can ?not|none|neither)\b|[^\d}]/\s*\$?\d|\Ano\W*\Z", re.I
)
# Between the values that stand behind a label, and what a sentence says in front of one.
_BETWEEN_VALUES = re.compile(r",\s|[;=≠]|\s\(|\)|!=|\\neq?(?![a-z])|\bvs\b")
_SAID_TO_BE = re.compile(
    r"\s*(?:(?:[a-z]+\s+){0,5}?(?:is|are|be|equals?|(?:close|equal|next) to|(?:more|less|greater"
    r"|smaller|larger) than|about|around|nearly|approximately|only|just)\s+)+",
    re.IGNORECASE,
)
_ALTERNATIVES = re.compile(r"\b(?:or|not|maybe|perhaps|possibly)\b|±", re.IGNORECASE)
# Words that deny what stands beside them, and beginnings of a word that deny the word.
_DENIAL = re.compile(r"\b(?:no|not|non|cannot|never|neither|nor|none|without)\b|n['’]t\b")
_DENYING = ("un", "in", "im", "ir", "il", "non", "dis", "a")
_HEDGED = re.compile(r"\b[A-Z]\b\W+(?:or|and|,|/)\W*\b[A-Z]\b")
MAX_COMPARED_CHARACTERS = 1000
_ROUNDING = Fraction(1, 10**30)  # roots and pi are known to 50 digits


def lettered(question: str, choices: Sequence[str]) -> str:
    """The question with its choices below, one a line: `A. text`."""
    lines = [f"{letter}. {text}" for letter, text in zip(LETTERS, choices, strict=False)]
    return "\n".join([question, *lines])


def letter_at(index: int) -> str:
    """The letter of a choice, counted from 0."""
    return LETTERS[index]


def read_letter(answer: str, choices: Sequence[str]) -> str | None:
    """The one choice that an answer names, or None.

    Args:
        answer: What was taken from the response.
        choices: The texts of the choices, in the order of their letters; empty if not known.

    Returns:
        The letter of `B`, `(b)`, `B. 12 cm` or `B (12 cm)` (unless the text or value is another
        choice's), `12 cm` or `12.0`; None for several letters, for a letter that is no choice, and
        for a text or value of no choice or of two.
    """
    letters = _named(plain(answer), choices)
    return letters[0] if letters is not None and len(letters) == 1 else None


def _named(text: str, choices: Sequence[str]) -> list[str] | None:
    """The letters that an answer gives by name, text or value: none if it contradicts itself.

    Returns:
        None if it names no letter, and has the text or value of no choice.
    """
    if (found := _ONE.fullmatch(text)) and (letter := _if_choice(found[1].upper(), choices)):
        return [letter]
    if letters := _alike(text, choices, by=(_same_text,)):
        return letters  # `E. coli`
    if labelled := _LABELLED.fullmatch(text):
        named, rest = _if_choice(labelled[1], choices), _alike(labelled[2], choices)
        if rest or named is None:
            return [named] if named in rest else []
        is_open = _FURTHER.search(_without_own(labelled[2], named, choices)) or _is_unknown(
            labelled[2], named, choices
        )
        return [] if is_open or _says_other(labelled[2], named, choices) else [named]
    if beside := _BESIDE.fullmatch(text):
        named, sign, text_of = beside.groups()
        points = _alike(f"({text_of}" if sign == "(" else text_of, choices)
        if named in points:
            return [named]
        # `P = (1, 0)` and `P(1, 0)` are a point's name, `A (1, 0)` is none.
        is_name = sign == "=" or _if_choice(named, choices) is None
        rest = _alike(_without_brackets(sign, text_of), choices) or ([] if is_name else points)
        if named in rest or (rest and not sign.isspace()):
            return [named] if named in rest else []
    if behind := _BEHIND.fullmatch(text):
        named, rest = behind[2], _alike(behind[1], choices)
        if rest:
            return [named] if named in rest else []
    return _alike(text, choices) or None


def _is_unknown(text: str, letter: str, choices: Sequence[str]) -> bool:
    """Whether a text is none of the choices, and so denies the letter before it.

    `It cannot be determined` may be behind the letter of `Cannot be determined`.
    """
    if not choices or _UNKNOWN.search(text) is None:
        return False
    return _UNKNOWN.search(plain(choices[LETTERS.index(letter)])) is None


def _without_own(text: str, letter: str, choices: Sequence[str]) -> str:
    """What stands behind a letter, without capitals that name no further choice.

    They are the letter's own, `B. Figure B`; where the texts are known, those of its text alone
    that are no letters, the S of `B. The S-configuration`.
    """
    own = {letter}
    if choices:
        told = [set(_CAPITAL.findall(plain(choice))) for choice in choices]
        own = told.pop(LETTERS.index(letter)).difference(LETTERS[: len(choices)], *told)
    return _CAPITAL.sub(lambda one: " " if one[0] in own else one[0], text)


def _says_other(text: str, letter: str, choices: Sequence[str]) -> bool:
    """Whether what stands behind a letter holds another choice's value, or ends with its words.

    The text of the letter's own choice, which may hold both, is looked over.
    """
    if not choices:
        return False
    mine = plain(choices[LETTERS.index(letter)])
    text = re.sub(rf"(?<![\w.]){re.escape(mine)}(?![\w.])", " ", text, flags=re.IGNORECASE)
    values: set[str] = set()
    for part in _BETWEEN_VALUES.split(text[:MAX_COMPARED_CHARACTERS]):
        value = _SAID_TO_BE.sub("", part, count=1)
        sides = value.split("/")
        values.update(sides if all(_alike(side, choices) for side in sides) else [value])
    named = {one for value in values for one in _alike(value, choices)}
    own = _stems(mine)
    ends = [
        other
        for other, one in zip(LETTERS, choices, strict=False)
        if (stems := _stems(plain(one)))
        and own[-len(stems) :] != stems
        and _stems(text)[-len(stems) :] == stems
    ]
    return any(other != letter for other in named.union(ends))


def _stems(text: str) -> list[str]:
    """The words of a text without a plural's or a verb's `s`; none where it is no plain words."""
    if not re.fullmatch(r"[A-Za-z\s'.-]{3,}", text):
        return []
    return [word.removesuffix("s") for word in re.findall(r"\w+", text.casefold())]


def _without_brackets(opening: str, text: str) -> str:
    """The text of `(text)`, of which the bracket that opens may be cut off."""
    if opening == "(" and text.endswith(")"):
        return text[:-1]
    return text[1:-1] if text.startswith("(") and text.endswith(")") else text


def read_letters(answer: str) -> str | None:
    """The set of choices that an answer names, such as `B, D`: sorted, each once; or None.

    Alternatives (`B or D`) are no set. One choice is read as by `read_letter`.
    """
    text = plain(answer).replace(r"\&", "&")
    if _TOGETHER.fullmatch(text) and len(set(text)) == len(text):
        return ", ".join(sorted(text))
    without_brackets = re.sub(r"[()\[\]{}⟨⟩.]", " ", text).strip()
    if not _SEVERAL.fullmatch(without_brackets):
        return read_letter(answer, ())
    return ", ".join(sorted(set(re.findall(r"\b[A-Z]\b", without_brackets.upper()))))


def nearest_letter(answer: str, choices: Sequence[str]) -> str | None:
    """As `read_letter`, or the letter of the text with the smallest edit distance.

    Of choices with the same text, which is the answer's, it is the first. A value is near to
    nothing but itself; nor is a text near that has other digits, that differs in half of the
    choice's characters or more, that is as near to another one, or that denies it or is denied by
    it.
    """
    letters = _named(plain(answer), choices)
    if letters is not None:
        texts = {_key(choices[LETTERS.index(letter)]) for letter in letters if choices}
        return letters[0] if len(letters) == 1 or len(texts) == 1 else None
    text = plain(answer)[:MAX_COMPARED_CHARACTERS].casefold()
    if not text or _is_value(text) or _HEDGED.search(plain(answer)):
        return None
    texts_of = [plain(choice)[:MAX_COMPARED_CHARACTERS].casefold() for choice in choices]
    distances = [edit_distance(text, one) for one in texts_of]
    if not distances:
        return None
    best = min(distances)
    near = texts_of[distances.index(best)]
    if distances.count(best) > 1 or 2 * best >= len(near) or _denies(text, near):
        return None
    return LETTERS[distances.index(best)] if _digits(text) == _digits(near) else None


def same_choice(given: str | None, wanted: str, choices: Sequence[str]) -> bool:
    """Whether a letter is the wanted one, or of a choice with the same text."""
    if given is None or given == wanted or not choices:
        return given == wanted
    mine, theirs = (_key(choices[LETTERS.index(letter)]) for letter in (given, wanted))
    return mine == theirs != ""


def _denies(text: str, choice: str) -> bool:
    """Whether one of two texts denies the other: `not congruent` or `incongruent`, `congruent`."""
    if bool(_DENIAL.search(text)) != bool(_DENIAL.search(choice)):
        return True
    mine, theirs = (set(re.findall(r"\w+", one)) for one in (text, choice))
    return any(
        f"{beginning}{word}" in others
        for words, others in ((mine, theirs), (theirs, mine))
        for word in words - others
        for beginning in _DENYING
    )


def edit_distance(first: str, second: str) -> int:
    """Levenshtein's: the least number of characters to insert, delete or replace."""
    steps = np.arange(len(second) + 1)
    codes = np.array([ord(character) for character in second], dtype=np.int64)
    row = steps
    for character in first:
        replaced = row[:-1] + (codes != ord(character))
        best = np.concatenate(([row[0] + 1], np.minimum(row[1:] + 1, replaced)))
        # Insertions run along the row: best[j] = min over i <= j of best[i] + (j - i).
        row = np.minimum.accumulate(best - steps) + steps
    return int(row[-1])


def _if_choice(letter: str, choices: Sequence[str]) -> str | None:
    return letter if not choices or letter in LETTERS[: len(choices)] else None


def _same_text(text: str, choice: str) -> bool:
    return _key(text) == _key(choice) != ""


def _same_value(text: str, choice: str) -> bool:
    """Whether both are one number, in units of one kind if both have one."""
    given, wanted = read_quantity(text), read_quantity(choice)
    if given is None or wanted is None:
        return False
    value = value_in(given, wanted, "", "")
    if value is None:
        return False
    is_share = wanted.unit is not None and wanted.unit.dimension == "share"
    # `0.2` may be 0.2 % and 20 %: beside both, nobody knows which.
    is_either = is_share and given.unit is None and abs(value) < 1
    values = (value, 100 * value) if is_either else (value,)
    return any(abs(one - wanted.value) <= _ROUNDING * abs(wanted.value) for one in values)


def _same_answer(text: str, choice: str) -> bool:
    """Whether the verifier of training takes one value for the other, without algebra."""
    if not _is_value(text) or (_ALTERNATIVES.search(text) and not _ALTERNATIVES.search(choice)):
        return False
    verdict = judge(text, choice)
    return verdict is not None and verdict.outcome == "right"


def _same_ratio(text: str, choice: str) -> bool:
    """`2/3` for the choice `2:3`."""
    return ":" in choice and same_ratio(_on_a_line(text), normalize(choice)) is True


def _on_a_line(text: str) -> str:
    return re.sub(r"\\frac\s*\{(\d+)\}\s*\{(\d+)\}", r"\1/\2", normalize(text))


_WAYS = (_same_text, _same_value, _same_answer, _same_ratio)


def _alike(
    text: str, choices: Sequence[str], by: Sequence[Callable[[str, str], bool]] = _WAYS
) -> list[str]:
    """The letters of the choices with this text; if there are none, of those with its value."""
    for is_same in by:
        letters = [
            letter for letter, one in zip(LETTERS, choices, strict=False) if is_same(text, one)
        ]
        if letters:
            return letters
    return []


def _is_value(text: str) -> bool:
    """Whether it is a number, an expression, an equation or the like, and no words."""
    value = parse(split_name(normalize(text))[1])
    if isinstance(value, Items):
        return not all(isinstance(item, Words) for item in value.items)
    return not isinstance(value, Words | None)


def _digits(text: str) -> list[str]:
    return re.findall(r"\d", text)


@lru_cache(maxsize=4096)  # choices come up with every answer
def _key(text: str) -> str:
    return re.sub(r"\s+", "", normalize(text)).casefold()


def plain(text: str) -> str:
    """Without LaTeX styles, dollar signs, a full stop, quotation marks and `The answer is`."""
    text = normalize(text).strip()
    if quoted := _QUOTED.fullmatch(text):
        text = quoted[quoted.lastindex or 0].strip()
    if announced := _ANNOUNCED.match(text):
        text = text[announced.end() :]
        if quoted := _QUOTED.fullmatch(text):
            text = quoted[quoted.lastindex or 0].strip()
    return text
