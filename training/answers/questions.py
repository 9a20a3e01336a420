"""Reading what a question asks to be counted or measured, and what it says of things and units."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import dropwhile, takewhile

from training.answers.asked import GROUPS, JOINS, VERBS, Asked
from training.answers.kinds import COUNT, FIGURE, LENGTH_OR_TIME, MONEY, NUMBER, kind_of
from training.answers.nouns import ADJECTIVES, NOUNS
from training.answers.units import Unit, is_sign, noun_of, parse_unit, singular

_TEMPERATURES = ("Celsius", "Fahrenheit", "Kelvin")  # units with the capital of a name
_MOST_CHARACTERS = 4000  # of a question, from its end
# A dollar of money: escaped, or before a number that a word or the end of a sentence follows.
_MONEY = re.compile(
    r"\\\$\s*(\d[\d,]*(?:\.\d+)?)|\$(\d[\d,]*(?:\.\d+)?)(?=\s+[a-zA-Z]{2}|\s*[.,;?!)](?:\s|$)|\s*$)"
)
_CURRENCY = re.compile(r"([€£¥]) ?(\d+(?:[.,]\d+)*)")
_IN_BRACKETS = re.compile(r"\((?:in |unit: ?)?\\?([$%])\)", re.IGNORECASE)  # `(Unit: $)`
_MARKUP = re.compile(r"\\(?:text|mathrm|mbox|operatorname|,|;|!)|[$\\{}()\[\]*~]")
_SENTENCE = re.compile(r"(?<=[.?!])\s+(?=\S)")
_HOW_MANY = re.compile(r"\bhow many\s+", re.IGNORECASE)
_NUMBER_OF = re.compile(
    r"\b(?:what is|find|determine|compute|calculate|give|state) the (?:total )?number of\s+",
    re.IGNORECASE,
)
PER_CENT = re.compile(
    r"\b(?:what|as|in|into|to|by what|how many) (?:is the |an? )?per ?cent(?:age)?\b"
    r"|\bper ?cent(?:age)? (?:form|equivalent)\b",
    re.IGNORECASE,
)
_HOW_OLD = re.compile(r"\bhow old\b", re.IGNORECASE)
_IN = re.compile(r"\b(?:in|into)\s+")
_TO = re.compile(r"\bto\s+")
_CONVERTS = re.compile(r"\b(?:convert|change|express|write|rewrite)\b", re.IGNORECASE)
_PER = re.compile(r"\b(?:per|an?|each|every)\s+([a-z]+)", re.IGNORECASE)
# A condition or comparison, up to what is asked for.
_CONDITION = re.compile(r"\b(?:than|if|when|while)\b[^,?]*(?:,|(?=\?)|$)", re.IGNORECASE)
_BEHIND_A_NUMBER = re.compile(r"\d\s?((?:square |cubic )?[A-Za-z°€£¥¢]+(?:\^?[23²³])?)(?![\w-])")
_MOLAR = re.compile(r"\bmolar(?:ity)?\b|\bconcentration\b", re.IGNORECASE)
_KELVIN = re.compile(r"\bkelvins?\b|\btemperature\b", re.IGNORECASE)
# Hyphens join: `six-inch tiles` are counted, and no inches.
_WORD = re.compile(
    r"[^\W\d_]+(?:-[^\W\d_]+)*(?:\^?[23²³])?(?:\s?/\s?[^\W\d_]+(?:\^?[23²³])?)?|[%°€£¥¢]"
)
_BEFORE_NOUNS = ADJECTIVES | {
    *("more", "other", "of", "the", "these", "those", "his", "her", "its", "their", "your", "my"),
    *("additional", "extra", "fewer", "less", "remaining", "such", "a", "an", "positive"),
    *("negative", "non-negative", "whole", "full"),
}
_LONGEST_UNIT, _LONGEST_NAME = 4, 3  # words, `cubic metres per second`, `red vacuum cleaners`
_MOST_BEHIND = 200  # of what stands behind a number or `in`
_TWO_UNITS = re.compile(r"\bin ([a-z]+) (?:and|or) ([a-z]+)")
_FARTHEST_NOUN, _NUM_THINGS = 5, 8  # words after `how many`
_SAYS_MONEY = re.compile(
    r"[€£¥¢]|\bhow much (?:is|are|was|were)\b"
    r"|\b(?:dollars?|cents?|euros?|usd|pric\w+|costs?|pa(?:y|ys|ying|id)|spen[dt]\w*|money"
    r"|earn\w*|owe[sd]?|profits?|salary|wages?|income|sell\w*|sold|sales?|bought|buy\w*"
    r"|charg\w+|bill|budget|revenue|worth|fees?|tax\w*|discount\w*|loan|interest)\b",
    re.IGNORECASE,
)
# One of these stands wherever it matches.
_STEMS = """
    € £ ¥ ¢ how dollar cent euro usd pric cost pay paid spen money earn owe profit salary wage
    income sell sold sale bought buy charg bill budget revenue worth fee tax discount loan interest
"""
_MONEY_STEMS = tuple(_STEMS.split())
_IN_DOLLARS = re.compile(r"\(?\bin \\?\$(?=[)?.,]| (?!\d))|\(\\?\$\)")
# A formula or an operation; and words of what a figure shows.
_MATHEMATICS = re.compile(
    r"\$[^$]*[=^_+*/\\(][^$]*\$|\\[(\[]|\d ?[-+*/^=×÷] ?\d|\b[a-z] ?= ?-?\d|\b[fg]\([a-z\d]\)"
)
_FIGURES = """
    figure picture diagram graph image shown below above triangle circle square rectangle angle side
    radius diameter line segment polygon cube cone cylinder sphere prism pyramid trapezoid rhombus
    parallelogram quadrilateral hexagon pentagon octagon tangent chord arc perimeter area volume
    length height width distance base diagonal leg hypotenuse altitude widehat overline
"""
_OF_FIGURES = frozenset(_FIGURES.split())
_POINTS = re.compile(r"\b[A-Z]{2,3}\b")
_DENIED = re.compile(r"(?:\bnot |n't |\bnon-)(?:an? |the )?([a-z]+)", re.IGNORECASE)
_PART_OF = re.compile(r"\b(?:what is|find|calculate|compute)\s+[\d.]+\s?(?:%|per ?cent) of\b", re.I)
_ABBREVIATION = re.compile(r"\([A-Z]{2,5}\)")
_SAYS_PER_CENT = re.compile(r"%|\bper ?cent", re.IGNORECASE)
_NUMBER = re.compile(r"\d(?![\d.,]*\d)\s?")
_OF_THESE = re.compile(r"(?:of|among|in) (?:the|these|those|them|his|her|their|its|all)\b", re.I)
_YEAR, _SHARE, _KELVINS, _MOLES_PER_LITRE = (
    parse_unit(name, separated=True) for name in ("years", "percent", "kelvin", "M")
)


@lru_cache(maxsize=4096)
def read_asked(question: str) -> Asked:
    """Reads what a question asks for; nothing of an empty one."""
    if not question.strip():
        return Asked()
    money = _MONEY.sub(r" \1\2 dollars ", question[-_MOST_CHARACTERS:])
    money = _CURRENCY.sub(r"\2 \1 ", _IN_BRACKETS.sub(_in_words, money))
    text = re.sub(r"\s+(?=\^)|(?<=\^) +(?=[23]\b)| +(?= )", "", _MARKUP.sub(" ", money))
    sentences = _SENTENCE.split(text)
    first = max((i for i, each in enumerate(sentences) if "?" in each), default=-1)
    end = " ".join(sentences[first:])
    unit, nouns, things = _asked_for(end)
    below = [unit.rate[1]] if unit and unit.rate else []
    below += filter(None, (parse_unit(word, separated=True) for word in _PER.findall(end)))
    how_many = _HOW_MANY.search(end)
    start = how_many.end() if how_many else 0
    said = end[:start] + _CONDITION.sub(" ", end[start:])
    said = said.rpartition("?")[0] or said
    words = frozenset(singular(word.lower()) for word in _WORD.findall(text))
    behind = [_words(text[one.end() : one.end() + _MOST_BEHIND]) for one in _NUMBER.finditer(text)]
    units, counted = frozenset(_units(text, behind)), frozenset(_counted(behind))
    kind = kind_of(end) or (kind_of(text) if text != end else None)
    if kind is None and how_many and not (unit or nouns):
        kind = COUNT
    says_money = bool(kind == MONEY or _says_money(text) or _IN_DOLLARS.search(question))
    says_per_cent = _SAYS_PER_CENT.search(text) is not None
    names_any = bool(unit or nouns or how_many or units or says_money or says_per_cent)
    if kind in (None, FIGURE) and not names_any and _MATHEMATICS.search(question):
        is_counting = any(_is_thing(words) for words in counted)
        is_figure = bool(words & _OF_FIGURES or _POINTS.search(text))
        kind = None if is_counting else FIGURE if is_figure else NUMBER
    elif kind == LENGTH_OR_TIME and (named := kind & {each.dimension for each in units}):
        kind = named
    return Asked(
        is_known=True,
        unit=unit.rate[0] if unit and unit.rate else unit,
        nouns=nouns,
        is_sum=len(nouns) > 1 and "and" in things,
        things=frozenset(things),
        sentence=frozenset(singular(word.lower()) for word in _WORD.findall(said)),
        per=frozenset((each.dimension, each.factor) for each in below),
        units=units,
        counted=counted,
        said=words.union(_ABBREVIATION.findall(question)),
        denied=frozenset(singular(word.lower()) for word in _DENIED.findall(text)),
        money=says_money,
        per_cent=says_per_cent and not _PART_OF.search(end),
        whole=unit if unit and unit.rate and not things else None,
        kind=kind,
    )


def _says_money(text: str) -> bool:
    lower = text.lower()
    return any(stem in lower for stem in _MONEY_STEMS) and _SAYS_MONEY.search(text) is not None


def _in_words(sign: re.Match[str]) -> str:
    return " in dollars " if sign[1] == "$" else " in percent "


def _is_thing(words: str) -> bool:
    unit = parse_unit(words, separated=True)
    return unit is not None and unit.known


def _asked_for(text: str) -> tuple[Unit | None, frozenset[str], list[str]]:
    """The unit or the nouns that a text asks for, and the words after `how many`."""
    nothing = frozenset[str]()
    if PER_CENT.search(text):
        return _SHARE, nothing, []
    places = [*_IN.finditer(text), *(_TO.finditer(text) if _CONVERTS.search(text) else ())]
    for match in reversed(places):
        words = _words(text[match.end() : match.end() + _MOST_BEHIND])
        unit = _longest_unit(words)
        if unit is not None and _is_measure(unit) and _is_plural_or_sign(words[0]):
            return unit, nothing, []
    counted = _HOW_MANY.search(text) or _NUMBER_OF.search(text)
    if counted is None:
        return (_YEAR if _HOW_OLD.search(text) else None), nothing, []
    rest = text[counted.end() :]
    if _OF_THESE.match(rest):  # `how many of the 30 students are girls`
        listed = [singular(word.lower()) for word in _WORD.findall(_CONDITION.sub(" ", rest))]
        return None, NOUNS.intersection(listed), listed
    words = _words(rest)
    verb = next((i for i, word in enumerate(words) if word.lower() in VERBS), len(words))
    things = [singular(word.lower()) for word in words[:verb]][:_NUM_THINGS]
    for start in range(min(verb, _FARTHEST_NOUN)):
        unit = _longest_unit(words[start:])
        if unit is not None and _is_measure(unit.rate[0] if unit.rate else unit):
            return unit, nothing, things
        if words[start].lower() not in _BEFORE_NOUNS and "-" not in words[start]:
            return None, _heads(words[start:verb]) | _said_of_them(words[verb:]), things
    return None, nothing, things


def _said_of_them(words: Sequence[str]) -> frozenset[str]:
    """`girl` of `are girls`: another word for the same."""
    is_other = len(words) > 1 and words[0] in ("are", "were") and singular(words[1]) in NOUNS
    return frozenset({singular(words[1])} if is_other and singular(words[1]) != words[1] else ())


def _heads(words: Sequence[str]) -> frozenset[str]:
    """What the words after `how many` count: `box` of `boxes of pencils`, `car` of `sports cars`.

    The first plural and those right behind it, or else the last word before one that joins; of
    `boys and girls` both.
    """
    lower = [word.lower().partition("/")[0] for word in words]
    if "and" in lower[:-1]:
        place = lower.index("and")
        return _heads(lower[:place]) | _heads(lower[place + 1 :])
    phrase = list(takewhile(lambda word: word not in JOINS, lower)) or lower[:1]
    if groups := GROUPS.intersection(map(singular, phrase)):
        return groups
    plural = list(dropwhile(lambda word: singular(word) == word, phrase))
    run = list(takewhile(lambda word: singular(word) != word, plural))
    return frozenset(map(singular, run or phrase[-1:]))


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


def _units(text: str, behind: Sequence[Sequence[str]]) -> Iterator[Unit]:
    """Measures that a text names behind numbers, or together, `in feet and inches`.

    Args:
        text: The text.
        behind: The words behind each of its numbers.
    """
    for match in _BEHIND_A_NUMBER.finditer(text):
        unit = None if match[1].lower() == "in" else parse_unit(match[1], separated=True)
        if unit is not None and (unit.known or match[1] == "K") and _is_measure(unit):
            yield unit
    for words in behind:
        unit = _longest_unit(words)
        if unit is not None and unit.rate is not None:
            yield unit
    for match in _TWO_UNITS.finditer(text):
        both = [parse_unit(name, separated=True) for name in match.groups()]
        yield from (unit for unit in both if unit is not None and unit.known)
    if _KELVIN.search(text) and _KELVINS is not None:
        yield _KELVINS
    if _MOLAR.search(text) and _MOLES_PER_LITRE is not None:
        yield _MOLES_PER_LITRE


def _counted(behind: Sequence[Sequence[str]]) -> Iterator[str]:
    """What stands behind the numbers of a text: each run of up to three words, in the singular."""
    for listed in behind:
        words = [singular(word.lower()) for word in listed[:_LONGEST_NAME]]
        yield from (" ".join(words[:length]) for length in range(1, len(words) + 1))
