"""What is done to a problem: dressing and edits leave it the same, changes make another one."""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from experiments.twins import dressings
from experiments.twins.corpus import Givens, draw_numbers
from experiments.twins.dressings import Dressing

Change = Callable[[Givens, np.random.Generator], str | None]  # None where it changes nothing

_SYNONYMS = (
    ("old town", "ancient town"),
    ("nobody else plays", "nobody else was playing"),
    ("goes on to the mountains", "continues towards the mountains"),
    ("likes to read", "enjoys reading"),
    ("real number", "real value"),
    ("think of", "imagine"),
    ("lie on a table", "are lying on a desk"),
    ("of the same shape", "of a like shape"),
    ("puts the change into a box", "puts the change into a purse"),
    ("fills", "loads"),
)
_FLIPS = (
    ("largest", "smallest"),
    ("more", "fewer"),
    ("longer", "shorter"),
    ("below", "above"),
    ("gives", "takes"),
    (" + ", " - "),
    ("area", "perimeter"),
    ("same speed", "double speed"),
)


def _slipped(text: str, rng: np.random.Generator) -> str:
    """With one letter of a word left out, or two exchanged; LaTeX's commands are no words."""
    places = [found.start() for found in re.finditer(r"(?<![\\a-z])[a-z]{6,}", text)]
    place = places[rng.integers(len(places))] + int(rng.integers(1, 4))
    if rng.random() < 0.5:
        return text[:place] + text[place + 1 :]
    return text[:place] + text[place + 1] + text[place] + text[place + 2 :]


def _typo(givens: Givens, rng: np.random.Generator) -> str:
    return _slipped(givens.question, rng)


def _synonym(givens: Givens, _: np.random.Generator) -> str | None:
    return _replaced(givens.question, _SYNONYMS)


def _filler(givens: Givens, rng: np.random.Generator) -> str:
    fillers = ("Please solve this problem. ", "Read carefully: ", "Problem 7. ", "Here is a task: ")
    return str(fillers[rng.integers(len(fillers))]) + givens.question


def _how_to_answer(givens: Givens, _: np.random.Generator) -> str:
    return givens.question + " Give your answer as a whole number."


def _two_typos(givens: Givens, rng: np.random.Generator) -> str:
    return _slipped(_slipped(givens.question, rng), rng)


def _one_number(givens: Givens, rng: np.random.Generator) -> str | None:
    other = list(givens.numbers)
    other[int(rng.integers(3))] = draw_numbers(rng)[0]
    return _other(givens, replace(givens, numbers=(other[0], other[1], other[2], other[3])))


def _all_numbers(givens: Givens, rng: np.random.Generator) -> str | None:
    return _other(givens, replace(givens, numbers=draw_numbers(rng)))


def _numbers_exchanged(givens: Givens, _: np.random.Generator) -> str:
    a, b, c, d = givens.numbers
    return replace(givens, numbers=(b, a, c, d)).question


def _flip(givens: Givens, rng: np.random.Generator) -> str | None:
    order = rng.permutation(len(_FLIPS))
    return _replaced(givens.question, [_FLIPS[place] for place in order])


def _names_exchanged(givens: Givens, _: np.random.Generator) -> str | None:
    """Where only one person occurs, another name makes no other problem."""
    if "{m}" not in givens.body:
        return None
    first, second = givens.names
    return _other(givens, replace(givens, names=(second, first)))


def _negated(givens: Givens, _: np.random.Generator) -> str | None:
    return _replaced(givens.question, (("is any", "is not any"), (" does ", " does not ")))


def _dressed(dressings: Iterable[Dressing]) -> Change:
    """What puts dressings on a problem, one after the other."""
    chosen = tuple(dressings)

    def change(givens: Givens, rng: np.random.Generator) -> str | None:
        text = givens.question
        for dressing in chosen:
            text = dressing(text, rng)
        return text if text != givens.question else None

    return change


# The same problem in other dressing: what decontamination must always catch.
DRESSINGS: dict[str, Change] = {
    **{kind: _dressed([dressing]) for kind, dressing in dressings.DRESSINGS.items()},
    "all of this at once": _dressed(dressings.DRESSINGS.values()),
}
EDITS: dict[str, Change] = {
    "a typing error": _typo,
    "two typing errors": _two_typos,
    "a synonym": _synonym,
    "a filler before it": _filler,
    "how to answer, behind it": _how_to_answer,
}
# Another problem in much the same words.
VARIANTS: dict[str, Change] = {
    "one number changed": _one_number,
    "all numbers changed": _all_numbers,
    "two numbers exchanged": _numbers_exchanged,
}
OTHERS: dict[str, Change] = {
    "an operator or a deciding word turned around": _flip,
    "names exchanged": _names_exchanged,
    "negated": _negated,
}


def other_ask(givens: Givens, asks: tuple[str, ...]) -> str:
    """The same givens with another question."""
    return replace(givens, ask=next(ask for ask in asks if ask != givens.ask)).question


def _other(givens: Givens, changed: Givens) -> str | None:
    return changed.question if changed.question != givens.question else None


def _replaced(text: str, pairs: Iterable[tuple[str, str]]) -> str | None:
    for old, new in pairs:
        if old in text:
            return text.replace(old, new)
    return None
