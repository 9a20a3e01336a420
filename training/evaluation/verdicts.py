r"""From a response to a verdict: the answer in it, and whether the item's rule takes it.

The answer is the content of the last `\boxed{}`; where no box was written, what follows the last
`the answer is` or `Answer:`, up to a reason or a further sentence. Nothing is guessed from the rest
of a response, and thoughts count only where nothing is told behind them (`told`). The rule `boxed`
reads whole responses, as rewards do, but judges by `EXACT`.
"""

import hashlib
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from math import inf, trunc

from training.answers import Outcome, Verifier, extract_boxed
from training.answers.boxed import extract_labelled, extract_listed
from training.answers.normal import normalize
from training.answers.reading import is_enumeration
from training.evaluation.alike import plain
from training.evaluation.choices import LETTERS, read_letters, same_choice
from training.evaluation.items import Item, Rule, RuleKind
from training.evaluation.phrases import answer_said
from training.evaluation.quantities import (
    Quantity,
    read_asked_quantity,
    read_list,
    read_quantity,
    value_in,
)
from training.evaluation.readable import CHOOSING, chosen, reads
from training.evaluation.same_words import same_words
from training.evaluation.told import told

ALGEBRA: tuple[RuleKind, ...] = ("boxed", "math")  # the rules of `training.answers`
# A rounded decimal is no fraction to the scorers of mathematics. Rewards let it be 0.1 % off: so an
# answer may be paid and, in the same text, be wrong here.
EXACT = Fraction(0)
_EULER = Quantity(Fraction("2.71828182845904523536028747135266249775724709369995"))
# A function and the beginning of its argument, in a normalised text: no `5 sec`, no `5 tan blocks`.
_FUNCTION = re.compile(
    r"(?<![a-z])(?!(?<=[\w/])sec|(?<=[\w/] )sec)((?:arc)?(?:sin|cos|tan|cot|sec|csc|log)|ln)"
    r"(?=\s*(?:[\\({^_√π]|-?\d)|\s+[^\W\d_]\b)"
)
MAX_BINARY = Fraction(sys.float_info.max)
# A phrase that leaves the answer open is an answer, and wrong; a judge is not asked of it.
_HEDGE = re.compile(r"\b(?:or|not|either|neither|nor|maybe|perhaps|possibly|cannot)\b|n['’]t\b")
# Boxes of one choice each, which are a set: `\boxed{B} and \boxed{D}`. White space is not tried
# twice (`*+`): it runs over whole responses, and a model may end in a loop of line ends.
_BOX = r"\\boxed\s*+\{\s*+(?:\\(?:text|math)[a-z]*+\s*+\{)?\s*+\(?[A-Z][.)]?\s*+\}?\s*+\}"
_BOXES = re.compile(rf"{_BOX}(?:[\s$]*+(?:[,;&](?:\s*+and\b)?|and\b)[\s$]*+{_BOX})+")

# A letter behind a box is as if it stood in it, if the sentence ends with it: `\boxed{B}, A`. In
# `\boxed{B}, and A, C are wrong` it does not. Behind `or` or `maybe` it is, whatever follows.
_MAYBE = r"(?:or|maybe|perhaps|possibly)\b"
_FILLER = r"(?:but|else|also|even|either|the|answer|is|it|might|may|could|be|option|choice)\b"
_ANOTHER = re.compile(
    rf"{_BOX}[ \t$*]*+(?:"
    rf"(?:[,;/]|(?:,[ \t]*+)?(?:or|and)\b)[ \t$]*+(?:(?:option|choice)\s+)?\(?[A-Z]\b\)?"
    r"(?=[ \t$]*+(?:[.;!\n]|\Z))"
    rf"|[ \t,;(\[–—-]*+(?:{_FILLER}[ \t,]++)*+{_MAYBE}(?:[ \t,]++(?:{_MAYBE}|{_FILLER}))*+"
    r"[ \t$*(]*+(?!I[ \t]++[a-z])[A-Z]\b(?!['’]))"
)
# And so is a value that stands behind it as behind a label: `\boxed{C}: 3`, `\boxed{C} = x`.
_VALUE_BEHIND = re.compile(
    rf"({_BOX})[ \t$]*+(?::[ \t$]*+(?=-?\d)|=(?!=)[ \t$]*+)([^\n:=]{{1,200}}?)"
    r"(?=[.]?[ \t$]*+(?:\n|\Z))"
)
_OPEN_CHOICE = re.compile(rf"\b{_MAYBE}")


def scorer(
    *,
    accept_rounded: bool = False,
    num_processes: int = 2,
    on_wait: Callable[[], None] | None = None,
) -> Verifier:
    """The verifier that evaluation judges by; the arguments are `Verifier`'s.

    There is no limit for answers that come together: a score does not depend on how busy a machine
    is.
    """
    return Verifier(
        num_processes,
        accept_rounded=accept_rounded,
        tolerance=EXACT,
        batch_seconds=inf,
        on_wait=on_wait,
    )


def extract(response: str, rule: Rule) -> str | None:
    """The answer in a response, or None if there is none; by algebra's rules with its name."""
    return _extracted(_read(response, rule.kind), rule)


def _read(response: str, kind: RuleKind) -> str:
    """What of a response its rule reads."""
    return response if kind == "boxed" else told(response)


def _has_box(read: str, kind: RuleKind) -> bool:
    return kind == "boxed" or "\\boxed" in read


def _extracted(read: str, rule: Rule) -> str | None:
    if _has_box(read, rule.kind):
        read = _with_whole_choices(read, rule.kind)
        return extract_labelled(read) if rule.kind in ALGEBRA else extract_boxed(read)
    letters = LETTERS[: len(rule.choices) or None] if rule.kind in CHOOSING else ""
    return answer_said(read, (*rule.choices, rule.answer), letters)


def _with_whole_choices(read: str, kind: RuleKind) -> str:
    """With what belongs to a choice, or to a set of choices, in one box."""
    if kind == "letters":
        read = _BOXES.sub(_in_one_box, read)
    if kind in CHOOSING:
        read = _ANOTHER.sub(_in_one_box, _VALUE_BEHIND.sub(_labelled, read))
    return read


def rules_digest(items: Sequence[Item], *, accept_rounded: bool) -> str:
    """SHA-256, in hex, of how each item is judged, whatever their order.

    Args:
        items: What a benchmark asks.
        accept_rounded: What the recipe says of rounded numbers; only algebra heeds it.
    """
    rules = sorted((item.problem["id"], item.rule.to_json()) for item in items)
    rounded = accept_rounded and any(item.rule.kind in ALGEBRA for item in items)
    return hashlib.sha256(json.dumps([rules, rounded]).encode()).hexdigest()


def _in_one_box(boxes: re.Match[str]) -> str:
    letters = dict.fromkeys(re.findall(r"\b[A-Z]\b", boxes[0]))
    joined = " or " if _OPEN_CHOICE.search(boxes[0]) else ", "
    return f"\\boxed{{{joined.join(letters)}}}"


def _labelled(found: re.Match[str]) -> str:
    (letter,) = set(re.findall(r"\b[A-Z]\b", found[1]))
    is_whole = extract_boxed(f"\\boxed{{{found[2]}}}") is not None  # its braces are closed
    return f"\\boxed{{{letter}: {found[2]}}}" if is_whole else found[0]


def is_boxed(response: str, kind: RuleKind) -> bool:
    """Whether a box alone can hold the answer: where there is one, what is said does not count."""
    return _has_box(_read(response, kind), kind)


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
        `right`, `wrong`, `unparseable` (there is no answer, or what a phrase announces is none of
        the rule's kind, and no hedge), `timeout` or `crashed`, as the verifier's.
    """
    verdicts: dict[int, Outcome] = {}
    algebra: dict[int, str] = {}
    said: dict[int, str] = {}
    for index, (rule, response) in enumerate(zip(rules, responses, strict=True)):
        read = _read(response, rule.kind)
        boxed = _has_box(read, rule.kind)
        if boxed and rule.kind in ALGEBRA:
            algebra[index] = read
            continue
        answer = _extracted(read, rule)
        if answer is not None and not boxed:
            said[index] = answer
        if rule.kind in ALGEBRA:
            algebra[index] = _in_a_box(answer)
        else:
            verdicts[index] = verdict(rule, answer, questions[index])
            if (
                boxed
                and verdicts[index] == "wrong"
                and _each_is_right(read, rule, questions[index])
            ):
                verdicts[index] = "right"
    found = verifier.verify(
        list(algebra.values()),
        [rules[index].answer for index in algebra],
        [questions[index] for index in algebra],
    )
    verdicts.update(zip(algebra, found, strict=True))
    for index, answer in said.items():
        verdicts[index] = _of_said(verdicts[index], rules[index], answer, questions[index])
    return [verdicts[index] for index in range(len(rules))]


def _each_is_right(read: str, rule: Rule, question: str) -> bool:
    r"""Whether each of several boxes is right by itself: `\boxed{800}. The answer is \boxed{C}`."""
    parts = extract_listed(_with_whole_choices(read, rule.kind))
    return len(parts) > 1 and all(verdict(rule, part, question) == "right" for part in parts)


def _in_a_box(answer: str | None) -> str:
    """An answer without a box as the verifier takes it."""
    # With a space: an answer may end with a backslash, which would escape the brace.
    return "" if answer is None else f"\\boxed{{{answer} }}"


def _of_said(found: Outcome, rule: Rule, answer: str, question: str) -> Outcome:
    """The verdict on what a phrase announces: a hedge is wrong, what is no answer unparseable."""
    if found not in ("wrong", "unparseable"):
        return found
    if _HEDGE.search(answer) or is_enumeration(normalize(answer)):
        return "wrong"
    return found if reads(rule, answer, question) else "unparseable"


def verdict(rule: Rule, answer: str | None, question: str = "") -> Outcome:
    """The verdict on an answer, by a rule that needs no algebra."""
    if answer is None or not answer.strip() or rule.kind == "none":
        return "unparseable"
    return "right" if _MATCHES[rule.kind](rule, answer, question) else "wrong"


def _letter(rule: Rule, answer: str, question: str) -> bool:
    return chosen(rule, answer, question) == rule.answer


def _nearest(rule: Rule, answer: str, question: str) -> bool:
    return same_choice(chosen(rule, answer, question), rule.answer, rule.choices)


def _letters(rule: Rule, answer: str, question: str) -> bool:
    given = chosen(rule, answer, question)
    return given is not None and given == read_letters(rule.answer)


def _number(rule: Rule, answer: str, question: str) -> bool:
    given, wanted = read_asked_quantity(answer, question), read_quantity(rule.answer)
    if wanted is not None and wanted.value.denominator > 1 and plain(answer) == "e":
        given = _EULER  # of a whole number it is a letter
    if given is None or wanted is None or _repeats(answer, question):
        return False
    value = value_in(given, wanted, rule.unit, question)
    return value is not None and _near(value, wanted.value, rule)


def _repeats(answer: str, question: str) -> bool:
    r"""Whether an answer leaves a function to be evaluated that the question asks for.

    `\sin 30^\circ = 0.5` does not: what it is said to be counts.
    """
    value = re.split("[=≈]", normalize(answer))[-1]
    return any(
        re.search(rf"(?<![a-zA-Z]){name}(?:i?ne|e|gent|arithm)?(?![a-z])", question)
        for name in set(_FUNCTION.findall(value))
    )


def _list(rule: Rule, answer: str, question: str) -> bool:
    given, wanted = read_list(answer), read_list(rule.answer)
    if given is None or wanted is None or len(given) != len(wanted):
        return False
    values = [
        value_in(mine, theirs, rule.unit, question)
        for mine, theirs in zip(given, wanted, strict=True)
    ]
    return all(
        value is not None and _near(value, theirs.value, rule)
        for value, theirs in zip(values, wanted, strict=True)
    )


def _near(given: Fraction, wanted: Fraction, rule: Rule) -> bool:
    if rule.kind == "integer" or rule.decimals is not None:
        return settled(given, rule) == settled(wanted, rule)
    # As written: 0.001 is a thousandth here, and not the nearest binary fraction.
    return abs(given - wanted) <= Fraction(json.dumps(rule.tolerance))


def settled(value: Fraction, rule: Rule) -> Fraction:
    """A number as its rule compares it: truncated, rounded, or as it is."""
    if rule.kind == "integer":
        return Fraction(trunc(value))
    return value if rule.decimals is None else _rounded(value, rule.decimals)


def _rounded(value: Fraction, decimals: int) -> Fraction:
    """As binary fractions, by which the official scorers round; exactly beyond their range."""
    if abs(value) > MAX_BINARY:
        return round(value, decimals)
    return Fraction(round(float(value), decimals))


def _text(rule: Rule, answer: str, _: str) -> bool:
    return same_words(answer, rule.answer)


_MATCHES: Mapping[RuleKind, Callable[[Rule, str, str], bool]] = {
    "letter": _letter,
    "nearest": _nearest,
    "letters": _letters,
    "number": _number,
    "integer": _number,
    "list": _list,
    "text": _text,
}
