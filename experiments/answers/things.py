"""What an answer counts, and in which sign: truth hangs on the words of the question."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from random import Random

from experiments.answers.right import decimal, frac

Asked = tuple[str, str, str]  # answer, reference, question

_THINGS = ("apple", "book", "ticket", "pencil", "marble", "egg", "card", "flower", "button")
_BOXES = ("box", "bag", "crate", "basket", "packet")
_PEOPLE = (("boy", "girl"), ("girl", "boy"), ("man", "woman"), ("child", "adult"))
_COLOURS = ("red", "blue", "green", "yellow", "white")
_SIGNS = (("\\$", "euro"), ("€", "dollar"), ("£", "euro"))
_PLURALS = {"man": "men", "woman": "women", "child": "children"}


def plural(noun: str) -> str:
    """Several of it."""
    return _PLURALS.get(noun) or noun + ("es" if noun.endswith("x") else "s")


def _text(number: int | str, words: str) -> str:
    return rf"{number} \text{{ {words}}}"


def other_noun(rng: Random) -> Asked:
    """The number with a noun that is in the question, and is not what is counted."""
    n, m = rng.sample(range(2, 90), 2)
    thing, other = map(plural, rng.sample(_THINGS, 2))
    box = plural(rng.choice(_BOXES))
    first, second = map(plural, rng.choice(_PEOPLE))
    one, two = rng.sample(_COLOURS, 2)
    return rng.choice(
        [
            (_text(n, first), str(n), f"There are {m} {first}. How many {second} are there?"),
            (_text(n, second), str(n), f"How many more {first} than {second} came?"),
            (_text(n, first), str(n), f"How many {first} and {second} came together?"),
            (_text(n, first), str(n), f"How many people came, {m} {first} among them?"),
            (_text(n, thing), str(n), f"How many dozens of {thing} does she need?"),
            (_text(n, thing), str(n), f"How many dozen {thing} does she need?"),
            (_text(n, thing), str(n), f"How many {box} of {thing} does she need?"),
            (_text(n, box), str(n), f"How many {thing} are in the {m} {box}?"),
            (_text(n, other), str(n), f"Tom has {n + m} {thing} and loses {m}. How many are left?"),
            (_text(n, f"{two} {thing}"), str(n), f"How many {one} {thing} has he?"),
            (_text(n, f"{one} {thing}"), str(n), f"Of {n + m} {thing}, how many are not {one}?"),
            (_text(n, f"{box} of {other}"), str(n), f"How many {box} of {thing} has he?"),
            (_text(n, "grams of salt"), str(n), "How many grams of sugar does she need?"),
            (_text(n, "edges"), str(n), "How many faces does the solid have?"),
            (_text(n, "divisors"), str(n), "How many prime factors does it have?"),
            (_text(n, thing), str(n), f"How far is it to the shop with the {m} {thing}?"),
            (_text(n, thing), str(n), f"How much do {m} {thing} cost?"),
        ]
    )


def the_noun(rng: Random) -> Asked:
    """The number with what is counted, in the question's words or more general ones."""
    n, m = rng.sample(range(2, 90), 2)
    thing, box = plural(rng.choice(_THINGS)), plural(rng.choice(_BOXES))
    first, second = map(plural, rng.choice(_PEOPLE))
    colour = rng.choice(_COLOURS)
    return rng.choice(
        [
            (_text(n, second), str(n), f"There are {m} {first}. How many {second} are there?"),
            (_text(n, "people"), str(n), f"How many {second} are there?"),
            (_text(n, first), str(n), f"How many more {first} than {second} came?"),
            (_text(n, "dozens"), str(n), f"How many dozens of {thing} does she need?"),
            (_text(n, f"dozen {thing}"), str(n), f"How many dozen {thing} does she need?"),
            (_text(n, box), str(n), f"How many {box} of {thing} does she need?"),
            (_text(n, f"{box} of {thing}"), str(n), f"How many {box} of {thing} has he?"),
            (_text(n, thing), str(n), f"Tom has {n + m} {thing} and loses {m}. How many are left?"),
            (_text(n, f"{colour} {thing}"), str(n), f"How many {colour} {thing} has he?"),
            (_text(n, f"{thing} in each"), str(n), f"How many {thing} are in each of them?"),
            (_text(n, f"({thing})"), str(n), f"How many {thing} has he?"),
            (_text(n, "grams of sugar"), str(n), "How many grams of sugar does she need?"),
            (_text(n, "centimeters shorter"), str(n), "How many centimeters shorter is it?"),
        ]
    )


def other_sign(rng: Random) -> Asked:
    """A unit, a currency or a per cent sign where the question has none, or another one."""
    n, m = rng.sample(range(2, 90), 2)
    thing = plural(rng.choice(_THINGS))
    sign, other = rng.choice(_SIGNS)
    number = rng.choice(
        [
            f"What is the slope of the line through $(1, {m})$ and $(2, {n + m})$?",
            rf"What is ${m} + {n - m}$?",
            f"Solve $2x = {2 * n}$.",
            f"What is the discriminant of $x^2 + {m}x + 1$?",
            f"Find the sum of the roots of $x^2 - {n}x + {m}$.",
            f"What is the median of {n - 1}, {n}, {n + 1}?",
        ]
    )
    dress = rng.choice((rf"\${n}", rf"{n}\%", f"{n}^\\circ", _text(n, "cm"), _text(n, thing)))
    cents = rng.randint(101, 999)
    dollars = f"{cents // 100}.{cents % 100:02}"
    near = f"{dollars}{rng.randint(1, 4)}"
    return rng.choice(
        [
            (dress, str(n), number),
            (dress, str(n), number),
            (rf"\${n}", str(n), f"How many {thing} does he sell?"),
            (rf"{n}\%", str(n), f"What is the average number of {thing}?"),
            (rf"{n}\%", str(n), f"By what factor did the number of {thing} rise?"),
            (rf"{n}\%", str(n), f"What is {m}\\% of {100 * n}?"),
            (_text(n, plural(other)), str(n), f"A pen costs {sign}{m}. What do some pens cost?"),
            (rf"\${near}", rf"\${dollars}", "How much change does she get?"),
            (_text(n, "g"), str(n), "What is the density of the liquid?"),
            (_text(n, "miles"), str(n), "Find the length, in feet and inches."),
            (_text(n, "kg"), str(n), "How tall is the tree?"),
            (_text(n, "cm"), str(n), "How much does the stone weigh?"),
            (_text(n, "hours"), str(n), f"How old is a boy who is {m} years younger?"),
            (_text(1900 + n, "years"), str(1900 + n), "In what year was it?"),
            (_text(n, "cm^2"), str(n), f"One leg is {m} cm. How long is the hypotenuse?"),
            (_text(n, "cm"), str(n), "What is the tangent of the angle?"),
            (rf"{n}\% \text{{ of the {thing}}}", str(n), "What percent of the boys came?"),
            (_text(f"{n}", "million"), str(n), "What is the income in dollars?"),
        ]
    )


def the_sign(rng: Random) -> Asked:
    """The number with the sign that the question or the reference has, or a part of its whole."""
    n, m = rng.sample(range(2, 90), 2)
    thing = plural(rng.choice(_THINGS))
    sign, _ = rng.choice(_SIGNS)
    part = Fraction(rng.randint(1, 6), 7)
    return rng.choice(
        [
            (f"{sign}{n}", str(n), f"A pen costs {sign}{m}. What do some pens cost?"),
            (rf"{n}\%", str(n), f"What percent of the {thing} are red?"),
            (rf"{n}\% \text{{ of the {thing}}}", str(n), f"What percent of the {thing} are red?"),
            (rf"{n}\%", decimal(Fraction(n, 100), 2), "What is the probability of rain?"),
            (
                rf"{frac(part)} \text{{ of the {thing}}}",
                frac(part),
                f"What fraction of the {thing} are red?",
            ),
            (_text(n, "g/cm^3"), str(n), "What is the density of the liquid?"),
            (_text(n, "feet"), str(n), "Find the length, in feet and inches."),
            (_text(n, "feet tall"), str(n), "How tall is the tree?"),
            (_text(n, "kg"), str(n), "How much does the stone weigh?"),
            (_text(n, "cm"), str(n), f"One leg is {m} cm. What is the hypotenuse?"),
            (rf"\${n} \text{{ million}}", str(n), "What is the income in millions of dollars?"),
            (rf"\$\,{n}", str(n), f"How much does he pay for {m} {thing}?"),
            (rf"US\${n}", str(n), f"How much does he pay for {m} {thing}?"),
            (_text(n, "dollars"), str(n), "How much is the car?"),
        ]
    )


WRONG: Mapping[str, Callable[[Random], Asked]] = {
    "nouns of another thing": other_noun,
    "units, currencies and signs of nothing asked for": other_sign,
}
RIGHT: Mapping[str, Callable[[Random], Asked]] = {
    "nouns of what is counted": the_noun,
    "units, currencies and signs of the question": the_sign,
}
