"""Which of several choices an answer names."""

import re
from collections.abc import Callable, Sequence

from training.answers.options import without_options
from training.evaluation.alike import WAYS, alike, key, plain, same_text
from training.evaluation.nearness import DENIAL, MAX_COMPARED_CHARACTERS, nearest
from training.evaluation.taken_back import CAPITAL, is_taken_back

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_OPTION = r"(?:(?i:option|choice)\s+)?"
_ONE = re.compile(
    r"[(\[{]?\s*(?:(?:option|choice)\s+)?[(\[]?([A-Za-z])[)\]]?\s*[)\]}]?\s*[.:]?", re.I
)
_LABELLED = re.compile(rf"{_OPTION}[(\[]?([A-Z])(?:[)\]][.:]?|[.:])\s*(\S.*)", re.DOTALL)
# `B (21 cm)`, `B = 21 cm`, `B, 21 cm`, `B 21 cm`; and `21 cm (B)`. What the letter is in such a
# form tell the text and the question: `A = 12` may be an area.
_BESIDE = re.compile(rf"{_OPTION}\(?([A-Z])\)?\s*([=,(—-]|\s)\s*(\S.*)", re.DOTALL)
_BEHIND = re.compile(rf"(\S.*?)\s*[(\[]{_OPTION}([A-Z])[)\]]", re.DOTALL)
_SEVERAL = re.compile(
    r"(?:both\s+)?(?:(?:options?|choices?)\s*:?\s+)?"
    r"[A-Z](?:(?:\s*(?:,|;|&|\band\b)\s*|\s+)(?:and\s+)?[A-Z])*",
    re.I,
)
_TOGETHER = re.compile(r"[A-Z]{2,8}")
# What follows a label names another choice, or takes the first one back.
_FURTHER = re.compile(
    r"\b[A-Z]\b|\b(?:not|and|(?i:or|but|rather|maybe|perhaps|possibly|instead|however|actually|wait"
    r"|scratch that|is (?:wrong|incorrect)))\b"
)
# And so it does where it is none of the choices.
_UNKNOWN = re.compile(
    r"\b(?:unless|cannot|can ?not|none|neither)\b|[^\d}]/\s*\$?\d|\Ano\W*\Z", re.I
)
# Nor does what answers `yes` or `no` go on to say another answer.
_POLAR = re.compile(r"(yes|no)\s*[,.;:]\s+(?!.*\b(?:yes|no)\b)(\S.*)", re.DOTALL | re.IGNORECASE)
_DOUBT = re.compile(
    r"\b(?:or|but|rather|maybe|perhaps|possibly|probably|likely|might|may|instead|however|actually"
    r"|wait|sorry|wrong|incorrect|mind|unless|if|otherwise|except|sometimes|depends|(?:un)?sure"
    r"|(?:un)?certain|(?:un)?clear|\w*determin\w*|\w*know\w*|guess\w*|tell|say|decide|enough|given"
    r"|(?:cannot|can not|can['’]t) be)\b",
    re.IGNORECASE,
)
# A capital that a question asks for, not one that it gives: then `C = 45` is no choice C.
_ASKED = re.compile(
    r"(?i:\b(?:angle|area|volume|perimeter|circumference|mass|charge|current|radius|length|side"
    r"|constant|coefficient|(?:value|measure|size)\s+(?:of|for)|find|determine|solve\s+for"
    r"|(?:what|how\s+\w+)\s+is)\s+(?:the\s+value\s+of\s+|of\s+)?[$({]*(?:m?\s*(?:\\?angle\b|∠)\s*)?)"
    r"([A-Z])\b(?!\s*(?:=|is\b|[.)]\s+\S))"
)
# Words that say something else of the choice before them than what kind of thing it is.
_NO_KIND = re.compile(
    r"(?:and|or|nor|but|than|half|twice|double|others?|another|opposite|minus|plus|times|less|more"
    r"|least|most|fewer|wrong|incorrect|false|never|none|not|cannot|without|except)"
)
# Between the values that stand behind a label, and what a sentence says in front of one.
_BETWEEN_VALUES = re.compile(
    r",\s|\b(?:and|then|finally)\b|[;=≠]|\s\(|\)|!=|\\neq?(?![a-z])|\bvs\b"
)
_THEN = re.compile(
    r"\b(?:then|finally|later|afterwards|followed by|until|before|after)\b", re.IGNORECASE
)
_ALONE = re.compile(r"[\s:/>→–—.-]*(?:(?:an?|the|it)\s+)?([A-Za-z]{2}.*?)[\s:/→–—.-]*", re.I)
_LEADING = re.compile(r"\s*(\$?-?\d[\d./,]*)\s+(?:of|times|as|more|less)\b")
_SAID_TO_BE = re.compile(
    r"\s*(?:(?:[a-z]+\s+){0,5}?(?:is|are|be|equals?|(?:close|equal|next) to|(?:more|less|greater"
    r"|smaller|larger) than|about|around|nearly|approximately|only|just)\s+)+",
    re.IGNORECASE,
)


def lettered(question: str, choices: Sequence[str]) -> str:
    """The question with its choices below, one a line: `A. text`."""
    lines = [f"{letter}. {text}" for letter, text in zip(LETTERS, choices, strict=False)]
    return "\n".join([question, *lines])


def letter_at(index: int) -> str:
    """The letter of a choice, counted from 0."""
    return LETTERS[index]


def read_letter(answer: str, choices: Sequence[str], question: str = "") -> str | None:
    """The one choice that an answer names, or None.

    Args:
        answer: What was taken from the response.
        choices: The texts of the choices, in the order of their letters; empty if not known.
        question: What was asked, perhaps with its choices.

    Returns:
        The letter of `B`, `(b)`, `B. 12 cm` or `B (12 cm)` (unless the text or value is another
        choice's), `12 cm` or `12.0`; None for several letters, for a letter that is no choice, and
        for a text or value of no choice or of two.
    """
    letters = _named(plain(answer), choices, question)
    return letters[0] if letters is not None and len(letters) == 1 else None


def _named(text: str, choices: Sequence[str], question: str) -> list[str] | None:
    """The letters that an answer gives by name, text or value: none if it contradicts itself.

    Returns:
        None if it names no letter, and has the text or value of no choice.
    """
    if (found := _ONE.fullmatch(text)) and (letter := _if_choice(found[1].upper(), choices)):
        return [letter]
    if letters := _alike(text, choices, by=(same_text,)):
        return letters  # `E. coli`
    if labelled := _LABELLED.fullmatch(text):
        named, rest = _if_choice(labelled[1], choices), _alike(labelled[2], choices)
        if rest or named is None:
            return [named] if named in rest else []
        return [] if _is_open(labelled[2], named, choices) else [named]
    if beside := _BESIDE.fullmatch(text):
        named, sign, text_of = beside.groups()
        if sign == "=" and named in _ASKED.findall(without_options(question))[-1:]:
            return _alike(text_of, choices)
        is_text = sign == "(" or (sign == "-" and re.match(r"[A-Za-z]{2}", text_of))
        if not choices and is_text and not is_taken_back(text_of, named, is_labelled=False):
            return [named]
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
    return _alike(text, choices) or _said_at_length(text, choices, question) or None


def _said_at_length(text: str, choices: Sequence[str], question: str) -> list[str]:
    """The choices whose text begins an answer: `No, it is not`, `Tan line` to `which line`."""
    if polar := _POLAR.fullmatch(text):
        said, rest = polar.groups()
        letters = _alike(said, choices, by=(same_text,))
        is_denied = DENIAL.search(rest) is not None
        is_other = _holds_another(rest, letters, choices)
        if is_denied == (said.casefold() == "no") and not (is_other or _DOUBT.search(rest)):
            return letters
    first, _, kind = text.rpartition(" ")
    if not first.isalpha() or not re.fullmatch(r"[a-z]{3,}", kind) or _NO_KIND.fullmatch(kind):
        return []
    asked = re.search(rf"\b(?i:which|what)\s+{kind}s?\b", without_options(question))
    is_of_choices = any(kind in one.casefold() for one in choices)
    return _alike(first, choices, by=(same_text,)) if asked and not is_of_choices else []


def _holds_another(text: str, letters: Sequence[str], choices: Sequence[str]) -> bool:
    """Whether a text holds another letter than these, or the text of its choice."""
    if not set(CAPITAL.findall(text)) <= {*letters, "I"}:
        return True
    others = [plain(one) for of, one in zip(LETTERS, choices, strict=False) if of not in letters]
    said = "|".join(re.escape(one) for one in others if one)
    return bool(said) and re.search(rf"(?<!\w)(?:{said})(?!\w)", text, re.IGNORECASE) is not None


def _is_open(text: str, letter: str, choices: Sequence[str]) -> bool:
    """Whether what stands behind a letter, and is no choice's text or value, takes it back."""
    if not choices:
        return is_taken_back(text, letter, is_labelled=True)
    text = _without_denied(text, letter, choices)
    is_further = _FURTHER.search(_without_own(text, letter, choices)) is not None
    return is_further or _is_unknown(text, letter, choices) or _says_other(text, letter, choices)


def _without_denied(text: str, letter: str, choices: Sequence[str]) -> str:
    """Without the other choices that it denies: `a square, not a rectangle`."""
    others = [plain(one) for other, one in zip(LETTERS, choices, strict=False) if other != letter]
    denied = "|".join(re.escape(one) for one in others if one)
    return re.sub(
        rf",?\s*\b(?:and\s+)?not\s+(?:an?\s+|the\s+)?(?:{denied})(?![\w.]|\s\w)", "", text
    )


def _is_unknown(text: str, letter: str, choices: Sequence[str]) -> bool:
    """Whether a text is none of the choices, and so denies the letter before it.

    `It cannot be determined` may be behind the letter of `Cannot be determined`.
    """
    if _UNKNOWN.search(text) is None:
        return False
    return _UNKNOWN.search(plain(choices[LETTERS.index(letter)])) is None


def _without_own(text: str, letter: str, choices: Sequence[str]) -> str:
    """What stands behind a letter, without capitals that name no further choice.

    They are those of its text alone that are no letters, the S of `B. The S-configuration`.
    """
    told = [set(CAPITAL.findall(plain(choice))) for choice in choices]
    own = told.pop(LETTERS.index(letter)).difference(LETTERS[: len(choices)], *told)
    return CAPITAL.sub(lambda one: " " if one[0] in own else one[0], text)


def _says_other(text: str, letter: str, choices: Sequence[str]) -> bool:
    """Whether what stands behind a letter holds another choice's value, or a part of it begins or
    ends with its words.

    The text of the letter's own choice, which may hold both, is looked over. Behind it, words of
    another one count alone or after `then`: `increases, then decreases`, but `increases, while the
    volume decreases`.
    """
    mine = plain(choices[LETTERS.index(letter)])
    own = rf"(?<![\w./]){re.escape(mine)}(?![\w./])"
    text = text[:MAX_COMPARED_CHARACTERS]
    before, *behind = re.split(own, text, flags=re.IGNORECASE) if mine else [text]
    named: set[str] = set()
    for part in _BETWEEN_VALUES.split(" ".join((before, *behind))):
        value = _SAID_TO_BE.sub("", part, count=1)
        sides = value.split("/")
        values = sides if all(_alike(side, choices) for side in sides) else [value]
        if alone := _ALONE.fullmatch(part):
            named.update(_alike(alone[1], choices, by=(same_text,)))
        if not behind and (leading := _LEADING.match(value)):
            values.append(leading[1])
        named.update(one for value in values for one in _alike(value, choices))
    _, *later = _THEN.split(" ".join(behind))
    for part in _BETWEEN_VALUES.split(", ".join((before, *later))):
        named.update(_beginning_or_ending(part, mine, choices))
    return not named <= {letter}


def _beginning_or_ending(text: str, mine: str, choices: Sequence[str]) -> list[str]:
    """The choices with whose words a text begins or ends, and the own text does not."""
    said, own = _stems(text), _stems(mine)
    return [
        letter
        for letter, one in zip(LETTERS, choices, strict=False)
        if (stems := _stems(plain(one)))
        and stems not in (own[: len(stems)], own[-len(stems) :])
        and stems in (said[: len(stems)], said[-len(stems) :])
    ]


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


def nearest_letter(answer: str, choices: Sequence[str], question: str = "") -> str | None:
    """As `read_letter`, or the letter of the `nearest` text.

    Of choices with the same text, which is the answer's, it is the first.
    """
    letters = _named(plain(answer), choices, question)
    if letters is not None:
        texts = {key(choices[LETTERS.index(letter)]) for letter in letters if choices}
        return letters[0] if len(letters) == 1 or len(texts) == 1 else None
    index = nearest(answer, choices)
    return None if index is None else LETTERS[index]


def same_choice(given: str | None, wanted: str, choices: Sequence[str]) -> bool:
    """Whether a letter is the wanted one, or of a choice with the same text."""
    if given is None or given == wanted or not choices:
        return given == wanted
    mine, theirs = (key(choices[LETTERS.index(letter)]) for letter in (given, wanted))
    return mine == theirs != ""


def _if_choice(letter: str, choices: Sequence[str]) -> str | None:
    return letter if not choices or letter in LETTERS[: len(choices)] else None


def _alike(
    text: str, choices: Sequence[str], by: Sequence[Callable[[str, str], bool]] = WAYS
) -> list[str]:
    """The letters of the choices with this text; if there are none, of those with its value."""
    return [LETTERS[index] for index in alike(text, choices[: len(LETTERS)], by)]
