r"""From a response to a verdict: the answer in it, and whether the item's rule takes it.

The answer is the content of the last `\boxed{}`; where no box was written, what follows the last
`the answer is` or `Answer:`. Nothing is guessed from the rest of a response.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from math import trunc

from training.answers import MAX_ANSWER_CHARS, Outcome, Verifier, extract_boxed
from training.answers.boxed import extract_labelled
from training.answers.normal import normalize
from training.evaluation.choices import nearest_letter, read_letter, read_letters
from training.evaluation.items import Rule, RuleKind
from training.evaluation.quantities import read_list, read_number

# What is left of the line after `The final answer is: `, `Answer: ` and the like, if it says
# anything. Nothing is tried twice (`*+`): a long run of spaces takes as long as it is.
_PHRASE = re.compile(
    r"(?:\banswer\s*+(?:\*\*)?+\s*+(?:is\b|:|=)|\bcorrect\s++(?:option|choice)\s*+(?:is\b|:))"
    r"[ \t:*]*+((?=[^\n]*[^\W_]|[^\n]*[∞∅])[^\n]++)",
    re.IGNORECASE,
)
ALGEBRA: tuple[RuleKind, ...] = ("boxed", "math")  # the rules of `training.answers`, as for rewards
MAX_BINARY = Fraction(sys.float_info.max)
_TRAILING = re.compile(r"[\s*.]+$")


def extract(response: str, kind: RuleKind) -> str | None:
    """The answer in a response, or None if there is none; by algebra's rules with its name."""
    if kind == "boxed" or "\\boxed" in response:
        return extract_labelled(response) if kind in ALGEBRA else extract_boxed(response)
    return _behind_phrase(response)


def _behind_phrase(response: str) -> str | None:
    found = _PHRASE.findall(response[-20 * MAX_ANSWER_CHARS :])
    if not found or len(found[-1]) > MAX_ANSWER_CHARS:
        return None
    return _TRAILING.sub("", found[-1]) or None


def judge(
    rules: Sequence[Rule], responses: Sequence[str], questions: Sequence[str], verifier: Verifier
) -> list[Outcome]:
    """The verdict on one response to each item.

    Args:
        rules: The items' rules.
        responses: Whole responses.
        questions: What was asked: it may name the variable to solve for.
        verifier: Decides what is equal in mathematics.

    Returns:
        `right`, `wrong`, `unparseable` (there is no answer), or `timeout`, as the verifier's.
    """
    verdicts: dict[int, Outcome] = {}
    algebra: dict[int, str] = {}
    for index, (rule, response) in enumerate(zip(rules, responses, strict=True)):
        if rule.kind in ALGEBRA:
            algebra[index] = _boxed(response, rule.kind)
        else:
            verdicts[index] = verdict(rule, extract(response, rule.kind))
    found = verifier.verify(
        list(algebra.values()),
        [rules[index].answer for index in algebra],
        [questions[index] for index in algebra],
    )
    verdicts.update(zip(algebra, found, strict=True))
    return [verdicts[index] for index in range(len(rules))]


def _boxed(response: str, kind: RuleKind) -> str:
    """A response as the verifier takes it: as a reward does, or an answer without a box in one."""
    if kind == "boxed" or "\\boxed" in response:
        return response
    answer = _behind_phrase(response)
    # With a space: an answer may end with a backslash, which would escape the brace.
    return "" if answer is None else f"\\boxed{{{answer} }}"


def verdict(rule: Rule, answer: str | None) -> Outcome:
    """The verdict on an answer, by a rule that needs no algebra."""
    if answer is None or not answer.strip() or rule.kind == "none":
        return "unparseable"
    return "right" if _MATCHES[rule.kind](rule, answer) else "wrong"


def _letters(rule: Rule, answer: str) -> bool:
    given = read_letters(answer)
    return given is not None and given == read_letters(rule.answer)


def _number(rule: Rule, answer: str) -> bool:
    given, wanted = read_number(answer, rule.unit), read_number(rule.answer)
    if given is None or wanted is None:
        return False
    return _near(given, wanted, rule)


def _integer(rule: Rule, answer: str) -> bool:
    given, wanted = read_number(answer, rule.unit), read_number(rule.answer)
    return given is not None and wanted is not None and trunc(given) == trunc(wanted)


def _list(rule: Rule, answer: str) -> bool:
    given, wanted = read_list(answer), read_list(rule.answer)
    if given is None or wanted is None or len(given) != len(wanted):
        return False
    return all(_near(mine, theirs, rule) for mine, theirs in zip(given, wanted, strict=True))


def _near(given: Fraction, wanted: Fraction, rule: Rule) -> bool:
    if rule.decimals is not None:
        return _rounded(given, rule.decimals) == _rounded(wanted, rule.decimals)
    # As written: 0.001 is a thousandth here, and not the nearest binary fraction.
    return abs(given - wanted) <= Fraction(json.dumps(rule.tolerance))


def _rounded(value: Fraction, decimals: int) -> Fraction:
    """As binary fractions, by which the official scorers round; exactly beyond their range."""
    if abs(value) > MAX_BINARY:
        return round(value, decimals)
    return Fraction(round(float(value), decimals))


def _text(rule: Rule, answer: str) -> bool:
    given, wanted = (" ".join(normalize(text).casefold().split()) for text in (answer, rule.answer))
    return given == wanted != ""


_MATCHES: Mapping[RuleKind, Callable[[Rule, str], bool]] = {
    "letter": lambda rule, answer: read_letter(answer, rule.choices) == rule.answer,
    "nearest": lambda rule, answer: nearest_letter(answer, rule.choices) == rule.answer,
    "letters": _letters,
    "number": _number,
    "integer": _integer,
    "list": _list,
    "text": _text,
}
