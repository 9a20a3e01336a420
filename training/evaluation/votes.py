"""Which of several answers to an item is the most frequent: what counts as one answer."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import combinations, islice
from typing import NamedTuple

from training.answers.canonical import canonical
from training.answers.expressions import read_expression
from training.answers.outcome import Verdict
from training.answers.quick import judge
from training.answers.tree import Node
from training.evaluation.alike import key, plain
from training.evaluation.items import Rule, RuleKind
from training.evaluation.quantities import (
    Quantity,
    read_asked_quantity,
    read_list,
    read_quantity,
    value_in,
)
from training.evaluation.readable import CHOOSING, chosen
from training.evaluation.same_words import spelled
from training.evaluation.verdicts import ALGEBRA, EXACT, settled

RIGHT = Verdict("right")
MOST_COMPARED = 200  # characters of an answer that a vote compares by the verifier
MOST_PAIRS = 60  # of texts of one item that the verifier is asked of
NUMERIC: tuple[RuleKind, ...] = ("number", "integer", "list")
_BARE = Quantity(Fraction(0))


class Ballot(NamedTuple):
    """What one sample gives to a vote.

    Attributes:
        text: Its answer as it stands in the response; None if there is none, which is no vote.
        right: Whether it was judged right.
        reading: The `reading` of it; None where its rule reads nothing, and the text counts.
    """

    text: str | None
    right: bool
    reading: str | None = None


def reading(rule: Rule, answer: str, question: str) -> str | None:
    """What an answer is to its rule, in one writing.

    Returns:
        The choice, or the set of choices, that it names. A number, or the numbers of a list, as the
        rule rounds or truncates them: in the reference's unit if that has one, else with what it
        measures (`12 length 1/100` for `12 cm`). None where the rule reads nothing, and where words
        or algebra decide.
    """
    if rule.kind in CHOOSING:
        return chosen(rule, answer, question)
    if rule.kind not in NUMERIC:
        return None
    if rule.kind == "list":
        given, wanted = read_list(answer) or [], read_list(rule.answer) or []
    else:
        found = read_asked_quantity(answer, question), read_quantity(rule.answer)
        given, wanted = ([one] if one else [] for one in found)
    wanted = wanted if len(wanted) == len(given) else [_BARE] * len(given)
    written = [
        _written(mine, theirs, rule, question) for mine, theirs in zip(given, wanted, strict=True)
    ]
    return None if None in written or not written else ", ".join(map(str, written))


def _written(given: Quantity, wanted: Quantity, rule: Rule, question: str) -> str | None:
    value, unit = value_in(given, wanted, rule.unit, question), given.unit
    is_in_its_unit = bool(rule.unit or wanted.unit) and value is not None
    if unit is not None and unit.parts and not is_in_its_unit:
        return f"{settled(given.value, rule)} {unit.dimension} {unit.factor}"
    return None if value is None else str(settled(value, rule))


def majority_right(ballots: Sequence[Ballot], rule: RuleKind = "math") -> float:
    """Whether the most frequent answer is right; of a tie, the share that is.

    Args:
        ballots: One of each sample; their order makes no difference.
        rule: By which they were judged. What it found right is one answer, however written. Of
            what is wrong, values count once, and so do texts; and by algebra, texts that the rule
            takes for one another, be it by way of others.
    """
    # The rule knows more ways to write the right answer than a vote does, and fewer: `12 mm` is no
    # `12 cm`.
    given = [ballot for ballot in ballots if ballot.text is not None]
    num_right = sum(ballot.right for ballot in given)
    wrong = [ballot for ballot in given if not ballot.right]
    if num_right > len(wrong):
        return 1.0
    if num_right == 0:
        return 0.0
    votes = Counter(_vote(ballot, rule) for ballot in wrong)
    counts = _of_measures(votes)
    texts = Counter({vote: num for vote, num in votes.items() if isinstance(vote, str)})
    counts += _joined(texts) if rule in ALGEBRA else texts.values()
    return 0.0 if num_right < max(counts, default=0) else 1.0 / (1 + counts.count(num_right))


# A number as it is written, what it measures, empty if nothing is said, and by how many base units.
Measured = tuple[Fraction, str, Fraction]
_READING = re.compile(r"(-?\d+(?:/\d+)?)(?: ([^\s,][^,]*) (\d+(?:/\d+)?))?")  # one number's


def _vote(ballot: Ballot, rule: RuleKind) -> str | Measured:
    """What counts as the same answer: a number with its unit, else the text, as a letter is."""
    text = ballot.text or ""
    if rule not in ALGEBRA:
        # A text that was not read may look like a reading and be no number: `5/0`.
        if ballot.reading is None:
            return spelled(text) if rule == "text" else key(plain(text))
        found = _READING.fullmatch(ballot.reading) if rule in NUMERIC else None
        if found is None:
            return ballot.reading
        return Fraction(found[1]), found[2] or "", Fraction(found[3] or 1)
    number = read_quantity(text)
    if number is None or not number.is_counted_or_measured:
        return plain(text)
    unit = number.unit
    return (number.value, unit.dimension, unit.factor) if unit else (number.value, "", Fraction(1))


def _of_measures(votes: Mapping[str | Measured, int]) -> list[int]:
    """How often each number was given: `12 cm` and `120 mm` are one, and so is 12 beside no other
    kind of 12.
    """
    counts: dict[tuple[str, Fraction], int] = defaultdict(int)
    written: dict[Fraction, set[tuple[str, Fraction]]] = defaultdict(set)
    numbers = [(vote, num) for vote, num in votes.items() if not isinstance(vote, str)]
    for (value, dimension, factor), num in numbers:
        if dimension:
            counts[dimension, value * factor] += num
            written[value].add((dimension, value * factor))
    for (value, dimension, _), num in numbers:
        if not dimension:
            kinds = written[value]
            counts[next(iter(kinds)) if len(kinds) == 1 else ("", value)] += num
    return [*counts.values()]


def _joined(votes: Mapping[str, int]) -> list[int]:
    """The counts, those of texts that are the same or are so by way of others as one.

    Texts in one normal form are the same. Of the rest the verifier is asked in pairs with the same
    numbers, the most frequent ones first, and of no more than `MOST_PAIRS`.
    """
    forms: dict[object, str] = {}
    counts: Counter[str] = Counter()
    for text in sorted(votes):
        counts[forms.setdefault(_form(text), text)] += votes[text]
    order = [text for text, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0]))]
    group = {text: text for text in order}
    pairs = (pair for pair in combinations(order, 2) if _may_be_same(*pair))
    for first, second in islice(pairs, MOST_PAIRS):
        if group[first] != group[second] and _is_same(min(first, second), max(first, second)):
            old, new = group[second], group[first]
            group = {text: new if name == old else name for text, name in group.items()}
    totals: Counter[str] = Counter()
    for text, name in group.items():
        totals[name] += counts[text]
    return [*totals.values()]


def _form(text: str) -> object:
    tree = read_expression(text) if len(text) <= MOST_COMPARED else None
    return canonical(tree) if isinstance(tree, Node) else "".join(text.split())


def _may_be_same(first: str, second: str) -> bool:
    """Whether both are short and hold the same digits: `x=5,y=2` and `(5, 2)`."""
    is_short = bool(first and second) and max(len(first), len(second)) <= MOST_COMPARED
    return is_short and sorted(re.findall(r"\d+", first)) == sorted(re.findall(r"\d+", second))


@lru_cache(maxsize=4096)  # several measures ask of the same votes
def _is_same(first: str, second: str) -> bool:
    """Whether each of two texts is right where the other is.

    Both ways: `2/3` is right for `0.667`, which it rounds to, but not the other way round.
    """
    pairs = ((first, second), (second, first))
    return all(judge(*pair, tolerance=EXACT) == RIGHT for pair in pairs)
