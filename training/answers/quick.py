"""Deciding whether an answer is the reference, by rule, in bounded time, the same everywhere.

An answer may be an exact result in normal form: a number, a fraction, roots, pi, e, i, polynomials,
sets, intervals, matrices. An operator that still has to be evaluated counts only if the reference
holds it, too: else a question would be answered by repeating it. See docs/answers.md.
"""

import re
from dataclasses import replace
from fractions import Fraction

from training.answers.comparison import RELATIVE_TOLERANCE, Comparison, alike, undone_in
from training.answers.dress import exact_side, undressed, without_integer
from training.answers.echo import is_echo
from training.answers.equations import asked_expression, asked_variable, read, without_asked
from training.answers.expressions import UnreadableError, read_expression
from training.answers.forms import is_other_form
from training.answers.literal import same_date, same_literal, same_ratio, same_time
from training.answers.normal import normalize, split_name
from training.answers.number_forms import asks_to_round
from training.answers.options import (
    labelled,
    letter_meant,
    letter_of,
    read_options,
    same_words,
    without_options,
)
from training.answers.order import is_ordered
from training.answers.outcome import Verdict
from training.answers.pairs import is_other_kind_of_pair, names_points
from training.answers.questions import read_asked
from training.answers.reading import choices, is_enumeration, may_be_several
from training.answers.subjects import is_other_name
from training.answers.tree import Node, undone
from training.answers.values import Items, Words

# A choice with its text, "B. 12 cm", that names no further choice.
_LABELLED = re.compile(r"\(?([A-J])[).:] *(?P<text>.+)", re.DOTALL)
_FURTHER_CHOICE = re.compile(
    r"\b[A-Ja-j][).:]|\b[B-J]\b|\b(?:or|not|and|but|rather|maybe|perhaps|possibly|instead)\b"
)
_BASED = re.compile(r"([0-9A-Za-z]+)\s*_\s*\{?\s*(\d{1,2}|[a-z]{3,7})\s*\}?")
_BASE_NAMES = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven")
_BASE_WORDS = {word: str(base) for base, word in enumerate(_BASE_NAMES, start=2)} | {
    "twelve": "12",
    "sixteen": "16",
}
_RATIOS = frozenset({"ratio", "proportion", "scale"})
# Commands, words and signs that may be an operator to evaluate.
_OPERATOR = re.compile(r"\\[a-zA-Z]+|[a-zA-Z]{2,}|[!|]|\^\s*\{?\s*T\b|'")
_PROSE, _DIGITS = re.compile(r"(?<![{\\a-zA-Z])[a-zA-Z]{4,}"), re.compile(r"\d+")
_FINISHED = frozenset(
    {
        *(r"\frac", r"\sqrt", r"\pi", r"\theta", r"\alpha", r"\beta", r"\begin", r"\end"),
        *("pmatrix", "bmatrix", "matrix", "array", "cases"),
    }
)


def judge(
    answer: str,
    reference: str,
    question: str = "",
    *,
    accept_rounded: bool = False,
    tolerance: Fraction = RELATIVE_TOLERANCE,
) -> Verdict | None:
    """The verdict on an answer; None if only a computer algebra system can tell.

    Args:
        answer: The content of the box.
        reference: The reference answer, perhaps boxed itself or between dollar signs.
        question: What was asked, if known: it may name the variable to solve for.
        accept_rounded: Whether a decimal may stand for an exact reference that it rounds.
        tolerance: By which share of it such a decimal may be off a fraction all the same; 0 where
            it must be exact, unless the question asks to round.
    """
    given, wanted = normalize(answer), normalize(reference)
    if given == wanted:
        return Verdict("right")
    if not tolerance and asks_to_round(question):
        tolerance = RELATIVE_TOLERANCE
    comparison = Comparison(accept_rounded, question, read_asked(question), tolerance)
    try:
        return _judged(given, wanted, comparison)
    except UnreadableError as error:
        return Verdict("unparseable", str(error))


def _judged(given: str, wanted: str, comparison: Comparison) -> Verdict | None:
    """The first rule's verdict that applies."""
    question = comparison.question
    if found := _in_base(given, wanted, question):
        return found
    if found := _chosen(given, wanted, question, comparison.tolerance):
        return found
    if found := _written_out(given, wanted, comparison):
        return found
    wanted = without_integer(wanted)
    if not comparison.tolerance:
        given = exact_side(given, wanted, "=")  # `2/3 = 0.667`
    given = undressed(given, wanted, question, comparison.asked.sentence)
    verdict = _compared(given, wanted, comparison)
    if verdict is None or verdict.outcome == "right":
        return _refused(given, wanted, question) or verdict
    return verdict


def _refused(given: str, wanted: str, question: str) -> Verdict | None:
    """Why an equal value is not paid, if it is not."""
    if is_echo(given, wanted, question):
        return Verdict("wrong", "it repeats the question")
    if is_other_form(given, wanted, question):
        return Verdict("wrong", "not in the form that is asked for")
    return None


def _compared(given: str, wanted: str, comparison: Comparison) -> Verdict | None:
    """The verdict by the values of both, and by what the answer says it is the value of."""
    question = comparison.question
    variable = asked_variable(question) or asked_expression(question)
    given = without_asked(given, variable, question)
    if is_enumeration(given):
        if not may_be_several(wanted):
            return Verdict("wrong", "several answers where one is asked for")
        comparison = replace(comparison, asked=replace(comparison.asked, is_sum=False))
    expected = read(wanted)
    if expected.value is None:
        return _for_algebra(given, wanted)
    actual = read(given, like=expected)
    name = expected.name or variable
    if actual.name and is_other_name(actual.name, name, question, comparison.asked):
        return Verdict("wrong", f"a value of {actual.name}")
    if actual.value is None:
        if isinstance(expected.value, Words):
            return _verdict(_is_choice(given, expected.value))
        return Verdict("unparseable", _reason(actual.text))
    mine, theirs = alike(actual, expected, may_be_choices=not names_points(question))
    if comparison.equal(mine, theirs):
        if is_other_kind_of_pair(given, wanted, question):
            return Verdict("wrong", "an interval for a point, or a point for an interval")
        is_hedge = isinstance(mine, Items) and _is_one_or_the_other(mine, given, wanted, question)
        return Verdict("wrong", "one or the other") if is_hedge else Verdict("right")
    left = undone_in(mine) - undone_in(theirs)
    return Verdict("wrong", f"it leaves {min(left)} to be evaluated" if left else "")


def _is_one_or_the_other(items: Items, given: str, wanted: str, question: str) -> bool:
    """`A or C` where the reference is both: `or` between words leaves open which one it is; and
    between values that are asked for one by one.
    """
    says_or = re.compile(r"\bor\b|/")
    is_open = says_or.search(given) and not says_or.search(wanted)
    is_words = all(isinstance(item, Words) for item in items.items)
    return bool(is_open) and (is_words or is_ordered(question))


def _written_out(given: str, wanted: str, comparison: Comparison) -> Verdict | None:
    """The verdict where the reference is a ratio, a time of day, a range, a date or a size."""
    (name, mine), (expected, theirs) = split_name(given), split_name(wanted)
    same = same_ratio(mine, theirs) if _RATIOS & comparison.asked.sentence else None
    for compare in (same_date, same_time, same_literal):
        same = compare(mine, theirs) if same is None else same
    if same is None:
        return None
    expected = expected or asked_variable(comparison.question)
    if name and is_other_name(name, expected, comparison.question, comparison.asked):
        return Verdict("wrong", f"a value of {name}")
    return (_refused(given, wanted, comparison.question) if same else None) or _verdict(same)


def _in_base(given: str, wanted: str, question: str) -> Verdict | None:
    """The verdict where a number says its base, `12_8`; None where none does.

    Digits count, not values: a conversion is what such a question asks for.
    """
    actual, expected = _BASED.fullmatch(given), _BASED.fullmatch(wanted)
    if actual is None and expected is None:
        return None
    digits = [match[1] if match else text for match, text in ((actual, given), (expected, wanted))]
    bases = {_BASE_WORDS.get(match[2], match[2]) for match in (actual, expected) if match}
    words = {word for word, base in _BASE_WORDS.items() if base in bases}
    target = rf"\b(?:to|in|into|as) (?:a )?base (?:{'|'.join(sorted(words | bases))})\b"
    if expected is None and not re.search(target, re.sub(r"[-${}]", " ", question)):
        return Verdict("wrong", "a base that nobody asked for")
    same = digits[0].lstrip("0").lower() == digits[1].lstrip("0").lower()
    return _verdict(same and len(bases) == 1)


def _chosen(given: str, wanted: str, question: str, tolerance: Fraction) -> Verdict | None:
    """The verdict where the reference is a choice that the question lists, and the answer a letter
    with a text: the text must be that choice's. None elsewhere.

    Where the reference is the choice's text, the letter will do; a text never does for a letter.
    """
    options = read_options(question)
    mine, theirs = choices(given), choices(wanted)
    if options and mine and theirs:  # `CA` for `AC`
        return _verdict(set(mine.items) == set(theirs.items))
    letter, label = letter_of(wanted), labelled(given)
    if letter is None and (meant := letter_meant(wanted, options)) and "=" not in given:
        if alone := letter_of(given):
            return _verdict(alone == meant)
        letter = meant
        if label is None and labelled(wanted):
            return judge(given, options[meant], without_options(question), tolerance=tolerance)
    option = options.get(letter) if letter and label else None
    if label is None or option is None:
        return None
    if label[0] != letter:
        return Verdict("wrong", f"choice {label[0]}")
    if same_words(label[1], option):
        return Verdict("right")
    found = judge(label[1], option, without_options(question), tolerance=tolerance)
    right = found is not None and found.outcome == "right"
    return Verdict("right") if right else Verdict("wrong", f"not the text of choice {letter}")


def _verdict(right: bool) -> Verdict:
    return Verdict("right" if right else "wrong")


def _for_algebra(given: str, wanted: str) -> Verdict | None:
    """Refuses operators that the reference, which we can't read, does not hold."""
    if given.count(":") != wanted.count(":"):
        return Verdict("wrong", "another number of parts")
    if _PROSE.search(wanted) and len(_DIGITS.findall(given)) < len(_DIGITS.findall(wanted)):
        return Verdict("wrong", "a part of the reference")
    tree = read_expression(given)
    if isinstance(tree, str) and tree.startswith("unverifiable"):
        return Verdict("unparseable", tree)
    held = frozenset(_OPERATOR.findall(wanted))
    found = frozenset(_OPERATOR.findall(given)) - _FINISHED - held
    if isinstance(tree, Node):
        found |= {work for work in undone(tree) if f"\\{work}" not in held}
    if found:
        return Verdict("wrong", f"it leaves `{min(found)[:20]}` to be evaluated")
    return None


def _reason(text: str) -> str:
    found = read_expression(text)
    return found if isinstance(found, str) else "it cannot be read"


def _is_choice(given: str, expected: Words) -> bool:
    label = _LABELLED.fullmatch(given)
    if label is None or _FURTHER_CHOICE.search(label["text"]):
        return False
    return label[1].lower() == expected.text
