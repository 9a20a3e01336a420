"""What an answer may count or be measured in, by what its question asks for and says."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import takewhile

from training.answers.kinds import COUNT, FIGURE, MONEY
from training.answers.nouns import ANY_THING, RESULTS, are_alike
from training.answers.units import Unit, noun_of, parse_unit, singular

VERBS = frozenset(
    {
        *("is", "are", "was", "were", "do", "does", "did", "will", "would", "can", "could"),
        *("has", "have", "had", "must", "should", "may"),
    }
)
# Words that end the name of what is counted.
JOINS = frozenset(
    {
        *("of", "in", "on", "at", "for", "to", "from", "with", "per", "than", "that", "which"),
        *("who", "there", "and", "or", "left", "remaining", "he", "she", "they", "it", "we", "you"),
    }
)
# Groups that are counted as such: `dozens of eggs` and `dozen eggs` are no eggs.
GROUPS = frozenset({"dozen", "hundred", "thousand", "million", "couple", "pair", "score", "gross"})
# Words that make another number of the one before, whatever the question says.
NO_THINGS = GROUPS | {
    *("half", "third", "quarter", "fourth", "fifth", "square", "squared", "cube", "cubed"),
    *("minus", "plus", "times", "over", "by", "more", "less", "than", "to", "out", "factorial"),
    *("percent", "negative", "root", "power", "wrong", "no", "mod", "divided", "multiplied"),
    "double",
}
# Words beside what is counted that change nothing: `5 apples in total`.
_TAIL = frozenset({"in", "total", "all", "altogether", "of", "the"})
# Words behind a unit that only repeat the question, and what it says then.
_LEFT = frozenset({"left", "leave", "remain", "remaining", "still"})
_COMPARISONS = """
    shorter taller longer older younger heavier lighter wider deeper higher lower faster slower
    farther further more less fewer away deep high wide tall long each
"""
_COMPARED = frozenset(_COMPARISONS.split())
_SAID_AGAIN = {
    **{word: frozenset({word}) for word in _COMPARED},
    **dict.fromkeys(("left", "remaining", "remain"), _LEFT),
    "old": frozenset({"old", "age"}),
    "ago": frozenset({"ago"}),
    "altogether": frozenset({"altogether", "total", "all", "together"}),
}
# Words without which nobody asks for so much of one thing per another.
_RATES = frozenset(
    {
        *("rate", "speed", "velocity", "acceleration", "density", "fast", "flow", "gradient"),
        *("concentration", "daily", "hourly"),
    }
)
_OF_ANGLES = frozenset({"angle", "arc", "pi", "radian", "rotation", "sector", "triangle"})
_SAY_NOTHING = frozenset({"total", "possible", "different", "distinct", "correct", "whole"})
DEGREES = frozenset({"angle", "temperature C", "temperature F"})  # named alike


@dataclass(frozen=True)
class Asked:
    """What the answer to a question may be measured in, where the reference has no unit.

    Attributes:
        is_known: Whether there is a question.
        unit: The unit that is asked for, as in `how many metres` or `in minutes`; None if none is.
            Of `miles per hour` it is miles.
        nouns: The thing that is asked for, `apple` of `how many apples`, in one or more words for
            it, in the singular; empty if none is.
        is_sum: Whether several things are asked for together, `boys and girls`: one number is of
            none of them.
        things: The words after `how many`, in the singular.
        sentence: Words of the sentence that asks, in the singular, but for what follows `than` or
            `if`.
        per: Dimensions and factors of the units after `per`, `a`, `each` and `every`.
        units: Units that the question names behind a number.
        counted: What stands behind its numbers, a few words each, in the singular.
        said: All of its words, in the singular, and abbreviations in brackets, `(WPM)`.
        denied: Words right behind its `not`.
        money: Whether it speaks of money.
        per_cent: Whether it speaks of per cent.
        whole: The unit that is asked for as a whole, `miles per hour`, if it is a rate.
        kind: The dimensions of what is asked for where no unit is named; None if they are open.
    """

    is_known: bool = False
    unit: Unit | None = None
    nouns: frozenset[str] = frozenset()
    is_sum: bool = False
    things: frozenset[str] = frozenset()
    sentence: frozenset[str] = frozenset()
    per: frozenset[tuple[str, Fraction]] = frozenset()
    units: frozenset[Unit] = frozenset()
    counted: frozenset[str] = frozenset()
    said: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()
    money: bool = False
    per_cent: bool = False
    whole: Unit | None = None
    kind: frozenset[str] | None = None

    @property
    def allows_shares(self) -> bool:
        """Whether the answer may have a percent sign."""
        if self.unit is not None:
            return self.unit.dimension == "share"
        return not self.nouns and (self.kind is None or "share" in self.kind)

    @property
    def allows_per_cent(self) -> bool:
        """Whether `50%` may stand for a plain 50."""
        return not self.is_known or self.per_cent

    def allows(self, actual: Unit) -> bool:
        """Whether an answer may be in a unit, or count a noun; never one to convert from.

        What a question gives would else be paid as the answer to it: `2 h` for 120 minutes.
        """
        if not self.is_known:
            return actual.known
        if not self.tells(actual):
            return False
        if self.unit is None and not self.nouns:
            return self._leaves_open(actual) and self.is_of_kind(actual)
        if self.whole is not None and not actual.dimension.startswith("unit"):
            return (self.whole.dimension, self.whole.factor) == (actual.dimension, actual.factor)
        if actual.rate:
            actual, below = actual.rate
            if (below.dimension, below.factor) not in self.per:
                return False
        if actual.known and actual.dimension.partition("^")[0] == "unit":
            wanted = self.unit.dimension if self.unit else ""
            return wanted == actual.dimension.replace("unit", "length") or "unit" in self.nouns
        if self.unit is not None:
            dimensions = {self.unit.dimension, actual.dimension}
            if "angle" in dimensions and dimensions <= DEGREES:
                return len(dimensions) == 1 or not self.said & _OF_ANGLES
            return (self.unit.dimension, self.unit.factor) == (actual.dimension, actual.factor)
        return self._counts(actual)

    def tells(self, actual: Unit) -> bool:
        """Whether the question says, too, what a unit says of its thing: the red of `red balls`."""
        told = actual.beside - _SAY_NOTHING
        return not self.is_known or (told <= self.said and not told & self.denied)

    def is_of_kind(self, actual: Unit) -> bool:
        """Whether a unit measures what is asked for: an area is in no plain metres."""
        if self.kind is None and actual.rate is not None:
            below = actual.rate[1]
            is_per = (below.dimension, below.factor) in self.per
            return is_per or actual in self.units or bool(self.said & _RATES)
        if self.kind is None or not actual.known:
            return self.kind in (None, COUNT) or self._is_said(actual)
        if self.kind == FIGURE and (self._is_said(actual) or noun_of(actual) in self.said):
            return True
        if noun_of(actual.rate[0] if actual.rate else actual) is not None:
            return self.kind == COUNT or (actual.rate is not None and actual in self.units)
        if actual.rate and actual.dimension not in self.kind:
            actual, below = actual.rate
            if (below.dimension, below.factor) not in self.per:
                return False
        return actual.dimension in self.kind

    def without_tail(self, actual: Unit) -> Unit:
        """`apples left` or `years old` as the unit before, if the question says so, too."""
        words = actual.dimension.split()
        if actual.known or not words or words[-1] not in _SAID_AGAIN:
            return actual
        while words and (words[-1] in _SAID_AGAIN or words[-1] in VERBS):
            last = words.pop()
            if last not in VERBS and not _SAID_AGAIN[last] & self.sentence:
                return actual
        return parse_unit(" ".join(words), separated=True) or actual

    def _counts(self, actual: Unit) -> bool:
        """Whether an answer counts what is to be counted."""
        noun = noun_of(actual)
        if self.is_sum and noun in self.nouns:
            return False
        if noun is None:
            listed = [singular(word) for word in actual.dimension.split()]
            counted = set(takewhile(lambda word: word not in JOINS, listed))
            rest = set(listed) - counted
            named = self.things | _TAIL | (_COMPARED & self.sentence)
            names_it = counted <= named and bool(counted & self.nouns)
            return not actual.known and names_it and rest <= self.said | _TAIL
        if "prime" in self.things:
            return noun in self.nouns  # a number has fewer prime factors than divisors
        return noun in ANY_THING or any(are_alike(noun, each) for each in self.nouns)

    def _leaves_open(self, actual: Unit) -> bool:
        """Whether nothing contradicts a unit: a picture may name one that the question doesn't."""
        actual = actual.rate[0] if actual.rate else actual
        noun = noun_of(actual)
        if noun is not None:
            if noun in RESULTS:
                return noun in self.sentence
            return noun in ANY_THING or noun in self.said or not self._counts_things
        if not actual.known:
            return self._is_said(actual) or self._counts_words(actual.dimension)
        named = frozenset[tuple[str, Fraction]]().union(*(unit.parts for unit in self.units))
        if actual.dimension in MONEY:
            currencies = {part for part in named if part[0] in MONEY}
            same = any(dimension == actual.dimension for dimension, _ in currencies)
            is_named = same and (actual.factor == 1 or not actual.parts.isdisjoint(currencies))
            return self.money and (is_named or not currencies)
        kinds = {_quantity(dimension) for dimension, _ in named}
        return not any(_quantity(part[0]) in kinds and part not in named for part in actual.parts)

    @property
    def _counts_things(self) -> bool:
        """Whether the question has a noun of ours behind a number, `12 apples`."""
        units = (parse_unit(words, separated=True) for words in self.counted)
        return any(unit is not None and noun_of(unit) for unit in units)

    def _is_said(self, actual: Unit) -> bool:
        """A letter such as K where the question speaks of it; `WPM` after `(WPM)`."""
        same = any(actual.dimension == unit.dimension for unit in self.units)
        return same or f"({actual.dimension.upper()})" in self.said

    def _counts_words(self, words: str) -> bool:
        """Whether words that are no unit of ours stand behind a number of the question, too."""
        listed = [singular(word) for word in words.split()]
        return listed[0] not in NO_THINGS and " ".join(listed) in self.counted


def _quantity(dimension: str) -> str:
    """What is measured: degrees Celsius and Fahrenheit contradict one another."""
    return "degrees" if dimension in ("temperature C", "temperature F") else dimension
