"""What a question asks to be counted or measured: the unit that a bare reference leaves out."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from training.answers.nouns import ANY_THING, NOUNS, RESULTS
from training.answers.units import Unit, noun_of, parse_unit, singular

_MOST_CHARACTERS = 4000  # of a question, from its end
_MARKUP = re.compile(r"\\(?:text|mathrm|mbox|operatorname|,|;|!)|[$\\{}()\[\]*~]")
_SENTENCE = re.compile(r"(?<=[.?!])\s+(?=\S)")
_HOW_MANY = re.compile(r"\b(?:how many|(?:the|what) number of)\s+", re.IGNORECASE)
_IN = re.compile(r"\b(?:in|into|to)\s+", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+(?:\^?[23²³])?(?:\s?/\s?[^\W\d_]+(?:\^?[23²³])?)?|[%°$€£¥¢]")
_VERBS = frozenset(
    [
        "is",
        "are",
        "was",
        "were",
        "do",
        "does",
        "did",
        "will",
        "would",
        "can",
        "could",
        "has",
        "have",
        "had",
        "must",
    ]
)
_LONGEST_UNIT = 4  # words, `cubic metres per second`
_FARTHEST_NOUN = 5  # words after `how many`
# Measures that are named alike: degrees.
_DEGREES = frozenset({"angle", "temperature C", "temperature F"})


@dataclass(frozen=True)
class Asked:
    """What the answer to a question may be measured in, where the reference has no unit.

    Attributes:
        unit: The unit that is asked for, as in `how many metres` or `in minutes`; None if none is.
        noun: The thing that is asked for, as in `how many apples`; None if none is.
        sentence: Words of the question's end, from the sentence that asks, in the singular.
        units: Units that the question names.
    """

    unit: Unit | None = None
    noun: str | None = None
    sentence: frozenset[str] = frozenset()
    units: frozenset[Unit] = frozenset()

    def ratio(self, actual: Unit) -> Fraction | None:
        """What an answer's value is multiplied by; None if it measures something else.

        Args:
            actual: The answer's unit or noun.
        """
        noun = noun_of(actual)
        if noun in RESULTS and self.sentence:
            return _one_if(noun in self.sentence)
        if noun in ANY_THING or actual.dimension == "unit":
            return Fraction(1)
        if self.unit is not None and (noun is None or noun not in self.sentence):
            if {self.unit.dimension, actual.dimension} <= _DEGREES:
                return Fraction(1)
            is_same = actual.dimension == self.unit.dimension
            return actual.factor / self.unit.factor if is_same else None
        if self.noun is not None:
            return _one_if(noun in self.sentence)
        if not actual.known:
            return _one_if(actual.dimension in {unit.dimension for unit in self.units})
        return _one_if(not self._contradicts(actual))

    def _contradicts(self, actual: Unit) -> bool:
        """Whether the question names other units of that kind only; a picture may name any."""
        named = frozenset[tuple[str, Fraction]]().union(*(unit.parts for unit in self.units))
        kinds = {dimension for dimension, _ in named}
        return any(part[0] in kinds and part not in named for part in actual.parts)


def _one_if(condition: bool) -> Fraction | None:
    return Fraction(1) if condition else None


@lru_cache(maxsize=4096)
def read_asked(question: str) -> Asked:
    """Reads what a question asks for; nothing of an empty one."""
    text = re.sub(r"\s+(?=\^)", "", _MARKUP.sub(" ", question[-_MOST_CHARACTERS:]))
    sentences = _SENTENCE.split(text)
    first = max((i for i, each in enumerate(sentences) if "?" in each), default=-1)
    end = " ".join(sentences[first:])
    unit, noun = _asked_for(end)
    return Asked(
        unit=unit,
        noun=noun,
        sentence=frozenset(singular(word.lower()) for word in _WORD.findall(end)),
        units=frozenset(_units(text)),
    )


def _asked_for(text: str) -> tuple[Unit | None, str | None]:
    """The unit or the noun that a text asks for; the last `in metres` decides."""
    for match in reversed(list(_IN.finditer(text))):
        words = _words(text[match.end() :])
        unit = _longest_unit(words)
        if unit is not None and _is_measure(unit) and _is_plural_or_sign(words[0]):
            return unit, None
    how_many = _HOW_MANY.search(text)
    words = _words(text[how_many.end() :])[:_FARTHEST_NOUN] if how_many else []
    for start, word in enumerate(words):
        if word.lower() in _VERBS:
            break
        unit = _longest_unit(words[start:])
        if unit is not None and _is_measure(unit):
            return unit, None
        if singular(word.lower()) in NOUNS:
            noun = singular(word.lower())
            return None, None if noun in ANY_THING else noun
    return None, None


def _words(text: str) -> list[str]:
    """The first words of a text, up to a number or the end of a sentence."""
    run = re.split(r"[.?!,;:](?:\s|$)|(?<![\w^])\d", text, maxsplit=1)[0]
    return _WORD.findall(run)[: 2 * _LONGEST_UNIT]


def _longest_unit(words: Sequence[str]) -> Unit | None:
    """The unit that a text begins with; None if another one goes with it (`feet and inches`)."""
    for length in range(min(_LONGEST_UNIT, len(words)), 0, -1):
        unit = parse_unit(" ".join(words[:length]), separated=True)
        if unit is not None and unit.known:
            beside = words[length : length + 1]
            return None if beside in (["and"], ["or"]) else unit
    return None


def _is_measure(unit: Unit) -> bool:
    return noun_of(unit) is None and not unit.dimension.startswith(("unit", "share"))


def _is_plural_or_sign(word: str) -> bool:
    """Whether a word after `in` is a unit: `in seconds` or `in cm`, no `in second place`."""
    if word.lower() in ("square", "cubic", "sq"):
        return True
    letters = re.sub(r"[\W\d].*", "", word)
    return singular(word.lower()) != word.lower() or len(letters) == 2 or letters != word


def _units(text: str) -> Iterator[Unit]:
    """Units that a text names: behind numbers, in words, or asked for."""
    for word in _WORD.findall(text):
        if len(word) > 1 and word.lower() != "in":
            unit = parse_unit(word, separated=True)
            if unit is not None and unit.known and _is_measure(unit):
                yield unit
    for match in re.finditer(r"\d\s?([a-zA-Z])\b", text):
        unit = parse_unit(match[1], separated=True)
        if unit is not None and _is_measure(unit):
            yield unit
    if re.search(r"\bkelvins?\b|\d\s?K\b|\btemperature\b", text):
        yield from filter(None, [parse_unit("kelvin", separated=True)])
