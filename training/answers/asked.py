"""What a question asks to be counted or measured: the unit that a bare reference leaves out."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from training.answers.kinds import is_money, kind_of
from training.answers.nouns import ADJECTIVES, ANY_THING, RESULTS, SAME_THINGS
from training.answers.units import Unit, is_sign, noun_of, parse_unit, singular

_TEMPERATURES = ("Celsius", "Fahrenheit", "Kelvin")  # units with the capital of a name
_MOST_CHARACTERS = 4000  # of a question, from its end
# A dollar of money: escaped, or before a number that a word or the end of a sentence follows.
_MONEY = re.compile(
    r"\\\$\s*(\d[\d,]*(?:\.\d+)?)|\$(\d[\d,]*(?:\.\d+)?)(?=\s+[a-zA-Z]{2}|\s*[.,;?!)](?:\s|$)|\s*$)"
)
_MARKUP = re.compile(r"\\(?:text|mathrm|mbox|operatorname|,|;|!)|[$\\{}()\[\]*~]")
_SENTENCE = re.compile(r"(?<=[.?!])\s+(?=\S)")
_HOW_MANY = re.compile(r"\bhow many\s+", re.IGNORECASE)
_NUMBER_OF = re.compile(
    r"\b(?:what is|find|determine|compute|calculate|give|state) the (?:total )?number of\s+",
    re.IGNORECASE,
)
_PER_CENT = re.compile(r"\b(?:what|as|by what) (?:is the |an? )?per ?cent(?:age)?\b", re.IGNORECASE)
_HOW_OLD = re.compile(r"\bhow old\b", re.IGNORECASE)
_IN = re.compile(r"\b(?:in|into)\s+")
_TO = re.compile(r"\bto\s+")
_CONVERTS = re.compile(r"\b(?:convert|change|express|write|rewrite)\b", re.IGNORECASE)
_PER = re.compile(r"\b(?:per|an?|each|every)\s+([a-z]+)", re.IGNORECASE)
_CONDITION = re.compile(r"\b(?:than|if|when|while)\b", re.IGNORECASE)
_BEHIND_A_NUMBER = re.compile(r"\d\s?((?:square |cubic )?[A-Za-z°]+(?:\^?[23²³])?)(?![\w-])")
_MOLAR = re.compile(r"\bmolar(?:ity)?\b|\bconcentration\b", re.IGNORECASE)
_KELVIN = re.compile(r"\bkelvins?\b|\btemperature\b", re.IGNORECASE)
# Hyphens join: `six-inch tiles` are counted, and no inches.
_WORD = re.compile(
    r"[^\W\d_]+(?:-[^\W\d_]+)*(?:\^?[23²³])?(?:\s?/\s?[^\W\d_]+(?:\^?[23²³])?)?|[%°€£¥¢]"
)
_VERBS = frozenset(
    {
        *("is", "are", "was", "were", "do", "does", "did", "will", "would", "can", "could"),
        *("has", "have", "had", "must", "should", "may"),
    }
)
_BEFORE_NOUNS = ADJECTIVES | {
    *("more", "other", "of", "the", "these", "those", "his", "her", "its", "their", "your", "my"),
    *("additional", "extra", "fewer", "less", "remaining", "such", "a", "an", "positive"),
    *("negative", "non-negative", "whole", "full"),
}
# Words behind what is counted that change nothing: `5 apples left`.
_TAIL = frozenset(
    {
        *("left", "remaining", "more", "in", "total", "all", "altogether", "of", "the", "each"),
        *("away", "ago", "old", "tall", "long"),
    }
)
# Words behind a unit that only repeat the question, and what it says then.
_LEFT = frozenset({"left", "leave", "remain", "remaining", "still"})
_SAID_AGAIN = {
    **dict.fromkeys(("left", "remaining", "remain"), _LEFT),
    "old": frozenset({"old", "age"}),
    "ago": frozenset({"ago"}),
    "altogether": frozenset({"altogether", "total", "all", "together"}),
}
_COUNT: frozenset[str] = frozenset()  # `how many are left`: nothing that is measured
_LONGEST_UNIT = 4  # words, `cubic metres per second`
_FARTHEST_NOUN, _NUM_THINGS = 5, 8  # words after `how many`
_DEGREES = frozenset({"angle", "temperature C", "temperature F"})  # named alike
_YEAR, _SHARE, _DOLLAR, _KELVINS, _MOLES_PER_LITRE = (
    parse_unit(name, separated=True) for name in ("years", "percent", "dollars", "kelvin", "M")
)


@dataclass(frozen=True)
class Asked:
    """What the answer to a question may be measured in, where the reference has no unit.

    Attributes:
        is_known: Whether there is a question.
        unit: The unit that is asked for, as in `how many metres` or `in minutes`; None if none is.
            Of `miles per hour` it is miles.
        noun: The thing that is asked for, as in `how many apples`; None if none is.
        things: The words after `how many`, in the singular.
        sentence: Words of the sentence that asks and of what follows, in the singular, but for what
            follows `than` or `if`.
        per: Dimensions and factors of the units after `per`, `a`, `each` and `every`.
        units: Units that the question names behind a number.
        whole: The unit that is asked for as a whole, `miles per hour`, if it is a rate.
        kind: The dimensions of what is asked for where no unit is named; None if they are open.
    """

    is_known: bool = False
    unit: Unit | None = None
    noun: str | None = None
    things: frozenset[str] = frozenset()
    sentence: frozenset[str] = frozenset()
    per: frozenset[tuple[str, Fraction]] = frozenset()
    units: frozenset[Unit] = frozenset()
    whole: Unit | None = None
    kind: frozenset[str] | None = None

    @property
    def allows_shares(self) -> bool:
        """Whether the answer may have a percent sign."""
        if self.unit is not None:
            return self.unit.dimension == "share"
        return self.noun is None and self.kind is None

    def allows(self, actual: Unit) -> bool:
        """Whether an answer may be in a unit, or count a noun; never one to convert from.

        What a question gives would else be paid as the answer to it: `2 h` for 120 minutes.
        """
        if not self.is_known:
            return actual.known
        if self.unit is None and self.noun is None:
            return self._leaves_open(actual) and self._is_of_kind(actual)
        if self.whole is not None and not actual.dimension.startswith("unit"):
            return (self.whole.dimension, self.whole.factor) == (actual.dimension, actual.factor)
        if actual.rate:
            actual, below = actual.rate
            if (below.dimension, below.factor) not in self.per:
                return False
        if actual.dimension.startswith("unit"):
            return True
        if self.unit is not None:
            dimensions = {self.unit.dimension, actual.dimension}
            if "angle" in dimensions and dimensions <= _DEGREES:
                return True
            return (self.unit.dimension, self.unit.factor) == (actual.dimension, actual.factor)
        return self._counts(actual)

    def _is_of_kind(self, actual: Unit) -> bool:
        """Whether a unit measures what is asked for: an area is in no plain metres."""
        if self.kind is None:
            return True
        if noun_of(actual) is not None:
            return not is_money(self.kind)
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
        while words and (words[-1] in _SAID_AGAIN or words[-1] in _VERBS):
            last = words.pop()
            if last not in _VERBS and not _SAID_AGAIN[last] & self.sentence:
                return actual
        return parse_unit(" ".join(words), separated=True) or actual

    def _counts(self, actual: Unit) -> bool:
        """Whether an answer counts what is to be counted."""
        noun = noun_of(actual)
        if noun is None:
            words = {singular(word) for word in actual.dimension.split()}
            return not actual.known and words <= self.things | _TAIL and bool(words & self.things)
        if noun in RESULTS:
            return noun in self.things
        return (
            noun in ANY_THING
            or noun in self.sentence
            or any({noun, self.noun} <= same for same in SAME_THINGS)
        )

    def _leaves_open(self, actual: Unit) -> bool:
        """Whether nothing contradicts a unit: a picture may name one that the question doesn't."""
        noun = noun_of(actual)
        if noun is not None:
            return noun not in RESULTS or noun in self.sentence
        if not actual.known:
            return actual.dimension in {unit.dimension for unit in self.units}
        if actual == _DOLLAR:
            return True
        actual = actual.rate[0] if actual.rate else actual
        named = frozenset[tuple[str, Fraction]]().union(*(unit.parts for unit in self.units))
        kinds = {_quantity(dimension) for dimension, _ in named}
        return not any(_quantity(part[0]) in kinds and part not in named for part in actual.parts)


def _quantity(dimension: str) -> str:
    """What is measured: degrees Celsius and Fahrenheit contradict one another."""
    return "degrees" if dimension in ("temperature C", "temperature F") else dimension


@lru_cache(maxsize=4096)
def read_asked(question: str) -> Asked:
    """Reads what a question asks for; nothing of an empty one."""
    if not question.strip():
        return Asked()
    money = _MONEY.sub(r" \1\2 dollars ", question[-_MOST_CHARACTERS:])
    text = re.sub(r"\s+(?=\^)", "", _MARKUP.sub(" ", money))
    sentences = _SENTENCE.split(text)
    first = max((i for i, each in enumerate(sentences) if "?" in each), default=-1)
    end = " ".join(sentences[first:])
    unit, noun, things = _asked_for(end)
    below = [unit.rate[1]] if unit and unit.rate else []
    below += filter(None, (parse_unit(word, separated=True) for word in _PER.findall(end)))
    how_many = _HOW_MANY.search(end)
    start = how_many.end() if how_many else 0
    said = end[:start] + _CONDITION.split(end[start:])[0]
    return Asked(
        is_known=True,
        unit=unit.rate[0] if unit and unit.rate else unit,
        noun=noun,
        things=frozenset(things),
        sentence=frozenset(singular(word.lower()) for word in _WORD.findall(said)),
        per=frozenset((each.dimension, each.factor) for each in below),
        units=frozenset(_units(text)),
        whole=unit if unit and unit.rate and not things else None,
        kind=kind_of(end) or kind_of(text) or (_COUNT if how_many and not (unit or noun) else None),
    )


def _asked_for(text: str) -> tuple[Unit | None, str | None, list[str]]:
    """The unit or the noun that a text asks for, and the words after `how many`."""
    if _PER_CENT.search(text):
        return _SHARE, None, []
    places = [*_IN.finditer(text), *(_TO.finditer(text) if _CONVERTS.search(text) else ())]
    for match in reversed(places):
        words = _words(text[match.end() :])
        unit = _longest_unit(words)
        if unit is not None and _is_measure(unit) and _is_plural_or_sign(words[0]):
            return unit, None, []
    counted = _HOW_MANY.search(text) or _NUMBER_OF.search(text)
    if counted is None:
        return (_YEAR if _HOW_OLD.search(text) else None), None, []
    words = _words(text[counted.end() :])
    verb = next((i for i, word in enumerate(words) if word.lower() in _VERBS), len(words))
    things = [singular(word.lower()) for word in words[:verb]][:_NUM_THINGS]
    for start, word in enumerate(words[: min(verb, _FARTHEST_NOUN)]):
        unit = _longest_unit(words[start:])
        if unit is not None and _is_measure(unit.rate[0] if unit.rate else unit):
            return unit, None, things
        if word.lower() not in _BEFORE_NOUNS and "-" not in word:
            return None, singular(word.lower().partition("/")[0]), things
    return None, None, things


def _words(text: str) -> list[str]:
    """The first words of a text, up to a number or the end of a sentence."""
    run = re.split(r"[.?!,;:](?:\s|$)|(?<![\w^])\d", text, maxsplit=1)[0]
    return _WORD.findall(run)[: _NUM_THINGS + _LONGEST_UNIT]


def _longest_unit(words: Sequence[str]) -> Unit | None:
    """The unit that a text begins with; None if another one goes with it (`feet and inches`)."""
    for length in range(min(_LONGEST_UNIT, len(words)), 0, -1):
        last = words[length - 1]
        is_name = last != last.lower() and len(last) > 1 and not is_sign(last)
        if is_name and last not in _TEMPERATURES:
            continue  # `to Miles`
        unit = parse_unit(" ".join(words[:length]), separated=True)
        if unit is not None and unit.known:
            beside = words[length : length + 1]
            return None if beside in (["and"], ["or"]) else unit
    return None


def _is_measure(unit: Unit) -> bool:
    top = unit.rate[0] if unit.rate else unit
    return noun_of(top) is None and not top.dimension.startswith("unit")


def _is_plural_or_sign(word: str) -> bool:
    """Whether a word after `in` is a unit: `in seconds` or `in cm`, no `in second place`."""
    if word in ("square", "cubic", "sq", *_TEMPERATURES) or is_sign(word):
        return True
    letters = re.sub(r"[\W\d].*", "", word)
    return singular(word) != word or len(letters) == 2 or letters != word


def _units(text: str) -> Iterator[Unit]:
    """Measures that a text names behind numbers."""
    for match in _BEHIND_A_NUMBER.finditer(text):
        unit = None if match[1].lower() == "in" else parse_unit(match[1], separated=True)
        if unit is not None and (unit.known or match[1] == "K") and _is_measure(unit):
            yield unit
    if _KELVIN.search(text) and _KELVINS is not None:
        yield _KELVINS
    if _MOLAR.search(text) and _MOLES_PER_LITRE is not None:
        yield _MOLES_PER_LITRE
