"""Whether an answer is the text or the value of a choice, however it is written."""

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache

from training.answers.literal import same_ratio
from training.answers.normal import normalize, split_name
from training.answers.quick import judge
from training.answers.reading import parse
from training.answers.values import Items, Words
from training.evaluation.quantities import read_quantity, value_in

# What a box, or a text in it, may begin with: `Answer: B`, `The correct option is B`.
_ANNOUNCED = re.compile(
    r"(?:(?:so|thus|hence|therefore)[\s,]+)?(?:the\s+|my\s+)?(?:(?:final|correct|right|best)\s+)*"
    r"(?:answer|option|choice)s?\s*(?:(?:is|are)\b\s*:?|[:=])\s*(?=\S)",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"\"([^\"]+)\"|“([^”]+)”|`+([^`']+)(?:`|'')|'([^']+)'")
_ALTERNATIVES = re.compile(r"\b(?:or|not|maybe|perhaps|possibly)\b|±", re.IGNORECASE)
# `3 & 4`, and a unit in Chinese behind a number: `4.40米`.
_AND = re.compile(r"\s*\\?&\s*")
_CHINESE_UNIT = re.compile(r"(?<=[\d}])\s*[\u4e00-\u9fff]{1,3}\Z")
_ROUNDING = Fraction(1, 10**30)  # roots and pi are known to 50 digits


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


@lru_cache(maxsize=4096)  # choices come up with every answer
def key(text: str) -> str:
    """What two writings of one text share: no styles, spaces or capitals."""
    return re.sub(r"\s+", "", normalize(text)).casefold()


def is_value(text: str) -> bool:
    """Whether it is a number, an expression, an equation or the like, and no words."""
    value = parse(split_name(normalize(text))[1])
    if isinstance(value, Items):
        return not all(isinstance(item, Words) for item in value.items)
    return not isinstance(value, Words | None)


def same_text(text: str, choice: str) -> bool:
    """Whether both are one text apart from styles, spaces and capitals, and no empty one."""
    return key(text) == key(choice) != ""


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
    if not is_value(text) or (_ALTERNATIVES.search(text) and not _ALTERNATIVES.search(choice)):
        return False
    verdict = judge(text, choice)
    return verdict is not None and verdict.outcome == "right"


def _same_ratio(text: str, choice: str) -> bool:
    r"""`2/3` and `2 to 3` for the choice `2:3`, 1 for `1:1`, `\frac{6}{\pi}` for `6:\pi`."""
    first, colon, second = (part.strip() for part in normalize(choice).partition(":"))
    if not colon:
        return False
    if same_ratio(_on_a_line(text), normalize(choice)) is True:
        return True
    return ":" not in second and _same_value(text, f"\\frac{{{first}}}{{{second}}}")


def _on_a_line(text: str) -> str:
    return re.sub(r"\\frac\s*\{(\d+)\}\s*\{(\d+)\}|(\d+) to (\d+)", _as_quotient, normalize(text))


def _as_quotient(found: re.Match[str]) -> str:
    return "/".join(number for number in found.groups() if number)


WAYS = (same_text, _same_value, _same_answer, _same_ratio)


def alike(
    text: str, choices: Sequence[str], by: Sequence[Callable[[str, str], bool]] = WAYS
) -> list[int]:
    """Which of the choices have this text; if there are none, which have its value."""
    written = [text, *choices]
    spelled = [_spelled(one) for one in written]
    # As they are written first: `3米` and `3厘米` are two choices.
    for given, *those in [written] if spelled == written else [written, spelled]:
        for is_same in by:
            if found := [index for index, one in enumerate(those) if is_same(given, one)]:
                return found
    return []


def _spelled(text: str) -> str:
    """Without a Chinese unit, and with `and` for its sign, which also parts a matrix's columns."""
    text = _CHINESE_UNIT.sub("", text)
    return text if "&" not in text or "\\begin" in text else _AND.sub(" and ", text)
