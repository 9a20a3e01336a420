"""Whether an answer, or a reference, is of the kind that its rule compares."""

from training.answers.normal import normalize, split_name
from training.answers.reading import parse
from training.answers.values import Words
from training.evaluation.choices import LETTERS, nearest_letter, read_letter, read_letters
from training.evaluation.items import Rule, RuleKind
from training.evaluation.quantities import read_list, read_number, read_quantity

CHOOSING: tuple[RuleKind, ...] = ("letter", "nearest", "letters")


def chosen(rule: Rule, answer: str, question: str) -> str | None:
    """Which choice an answer to a question names by a rule of choices, or which set; None if none,
    or another rule.
    """
    if rule.kind == "letter":
        return read_letter(answer, rule.choices, question)
    if rule.kind == "nearest":
        return nearest_letter(answer, rule.choices, question)
    return read_letters(answer) if rule.kind == "letters" else None


def reads(rule: Rule, answer: str, question: str) -> bool:
    """Whether an answer is of the kind that its rule compares, right or not."""
    if rule.kind in CHOOSING:
        return chosen(rule, answer, question) is not None
    if rule.kind in ("number", "integer"):
        return read_number(answer) is not None
    if rule.kind == "list":
        return read_list(answer) is not None
    return rule.kind == "text" or _is_value(answer) or not _is_value(rule.answer)


def _is_value(answer: str) -> bool:
    """Whether it is a number, a list, an expression or the like, and no words."""
    return not isinstance(parse(split_name(normalize(answer))[1]), Words | None)


def readable(rule: Rule) -> bool:
    """Whether the reference is an answer that its rule could take."""
    if rule.kind in ("letter", "nearest"):
        known = LETTERS[: len(rule.choices)] if rule.choices else LETTERS
        return len(rule.answer) == 1 and rule.answer in known
    if rule.kind == "letters":
        return read_letters(rule.answer) is not None
    if rule.kind in ("number", "integer"):
        return read_quantity(rule.answer) is not None
    if rule.kind == "list":
        return read_list(rule.answer) is not None
    return rule.kind == "none" or normalize(rule.answer) != ""
