"""Answers beside their question: copied from it, dressed up, or in the form that it asks for.

Truth comes from how a case is made, as in `right` and `wrong`.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import gcd
from random import Random

from experiments.answers.right import decimal, frac, square_free

Asked = tuple[str, str, str]  # answer, reference, question
Task = tuple[
    str, list[str], str
]  # what stands in the question, other writings of it, the reference


def _signed(number: int) -> str:
    return f"+ {number}" if number >= 0 else f"- {-number}"


def _algebra(rng: Random) -> tuple[str, Task]:
    a, b = rng.sample(range(2, 15), 2)
    c, d = square_free(rng), rng.randint(2, 9)
    whole = f"x^2 {_signed(a + b)}x {_signed(a * b)}"
    parts = f"(x + {a})(x + {b})"
    top, bottom = d * a, d * b
    g = gcd(a, b)
    lowest = frac(Fraction(a, b))
    return rng.choice(
        [
            ("Factor", (whole, [f"{a * b} + {a + b}x + x^2", f"{whole} + 0"], parts)),
            ("Expand", (parts, [f"(x + {b})(x + {a})", rf"1 \cdot {parts}"], whole)),
            ("Simplify", (f"{a}x({b}y)", [f"({a}x)({b}y)", f"({b}y)({a}x)"], f"{a * b}xy")),
            (
                "Simplify",
                (
                    rf"\sqrt{{{c * d * d}}}",
                    [rf"1\sqrt{{{c * d * d}}}", rf"\frac{{\sqrt{{{c * d * d}}}}}{{1}}"],
                    rf"{d}\sqrt{{{c}}}",
                ),
            ),
            (
                "Simplify",
                (
                    rf"\frac{{{top}}}{{{bottom}}}",
                    [f"{2 * top}/{2 * bottom}", f"{top}/{bottom}"],
                    lowest if g < b else str(Fraction(a, b)),
                ),
            ),
            (
                "Rationalise the denominator of",
                (
                    rf"\frac{{{a}}}{{\sqrt{{{c}}}}}",
                    [rf"1 \cdot \frac{{{a}}}{{\sqrt{{{c}}}}}"],
                    rf"\frac{{{a}\sqrt{{{c}}}}}{{{c}}}" if a % c else rf"{a // c}\sqrt{{{c}}}",
                ),
            ),
        ]
    )


def _conversion(rng: Random) -> Asked:
    n = rng.randint(2, 90)
    long = Fraction(7 * n + rng.randint(1, 6), 7)
    hours, cents = decimal(Fraction(n, 2), 1), 10 * n + 5
    return rng.choice(
        [
            (f"{30 * n} minutes", f"{hours} hours", "Convert {} to hours."),
            (f"{n} km", f"{1000 * n} m", "Convert {} to metres."),
            (
                f"{cents} cents",
                rf"\${decimal(Fraction(cents, 100), 2)}",
                "Write {} in dollars.",
            ),
            (f"{n}%", decimal(Fraction(n, 100), 2), "Write {} as a decimal."),
            (f"{4 * n + 1}/4", rf"{n}\frac{{1}}{{4}}", "Write {} as a mixed number."),
            (decimal(long, 5), decimal(long, 2), "Round {} to two decimal places."),
            (
                str(2**3 * 3 * (n + 5)),
                rf"2^3 \cdot 3 \cdot {n + 5}",
                "Factor {} into primes.",
            ),
            (f"{2 * n}:{2 * n + 2}", f"{n}:{n + 1}", "Simplify the ratio {}."),
        ]
    )


def copied(rng: Random) -> Asked:
    """What the question gives, as it stands there."""
    if rng.random() < 0.5:
        verb, (given, _, reference) = _algebra(rng)
        return given, reference, f"{verb} ${given}$."
    given, reference, question = _conversion(rng)
    return given, reference, question.format(given.replace("%", r"\%"))


def dressed_up(rng: Random) -> Asked:
    """What the question gives, in another order or with something added that changes nothing."""
    verb, (given, others, reference) = _algebra(rng)
    return rng.choice(others), reference, f"{verb} ${given}$."


def unordered(rng: Random) -> Asked:
    """The list that should be put in order."""
    numbers = rng.sample(range(-50, 90), rng.randint(3, 5))
    ordered = sorted(numbers)
    if numbers == ordered:
        numbers.reverse()
    given = ", ".join(map(str, numbers))
    way = rng.choice(("in ascending order", "from least to greatest", "in increasing order"))
    return given, ", ".join(map(str, ordered)), f"Arrange {given} {way}."


def no_arithmetic(rng: Random) -> Asked:
    """Another range, score, ratio, date or size of the same value."""
    a, b, c = rng.randint(2, 40), rng.randint(41, 90), rng.randint(1, 9)
    return rng.choice(
        [
            (f"{a + c}-{b + c}", f"{a}-{b}", "Which class interval is modal?"),
            (str(a - b), f"{a}-{b}", "Which class interval is modal?"),
            (rf"{b} \times {a}", rf"{a} \times {b}", "What is the size of the matrix?"),
            (str(a * b), rf"{a} \times {b}", "What is the size of the matrix?"),
            (f"{b}:{a}", f"{a}:{b}", "In which ratio are they?"),
            (f"2020-{c + 1:02}-{c:02}", f"2020-{c:02}-{c + 1:02}", "On which day was it?"),
        ]
    )


def in_the_form(rng: Random) -> Asked:
    """The reference, with its terms or factors in another order, or the like."""
    a, b = rng.sample(range(2, 15), 2)
    whole = f"x^2 {_signed(a + b)}x {_signed(a * b)}"
    n = rng.randint(2, 90)
    hours, share = decimal(Fraction(n, 2), 1), decimal(Fraction(n, 100), 2)
    return rng.choice(
        [
            (f"(x + {b})(x + {a})", f"(x + {a})(x + {b})", f"Factor ${whole}$."),
            (f"{a * b} + {a + b}x + x^2", whole, f"Expand $(x + {a})(x + {b})$."),
            (f"{a * b}yx", f"{a * b}xy", f"Simplify ${a}x({b}y)$."),
            (
                f"{hours} h",
                f"{hours} hours",
                f"Convert {30 * n} minutes to hours.",
            ),
            (
                share,
                share,
                rf"Write {n}\% as a decimal.",
            ),
            (f"{n} : {n + 1}", f"{n}:{n + 1}", f"Simplify the ratio {2 * n}:{2 * n + 2}."),
            (rf"{a} - {b + 20}", f"{a}-{b + 20}", "Which class interval is modal?"),
        ]
    )


def equation(rng: Random) -> Asked:
    """A line's equation, brought to another side or multiplied."""
    a, b, k = rng.randint(2, 9), rng.randint(1, 20), rng.randint(2, 5)
    reference = f"y = {a}x + {b}"
    ways = (
        f"y - {a}x = {b}",
        f"{a}x - y = -{b}",
        f"{a}x - y + {b} = 0",
        f"{k}y = {k * a}x + {k * b}",
        f"{k * a}x - {k}y = -{k * b}",
    )
    return rng.choice(ways), reference, "What is the equation of the line?"


def other_label(rng: Random) -> Asked:
    """The reference's number, of something else than the question asks for."""
    n, m = rng.sample(range(2, 60), 2)
    thing, other = rng.sample(("apple", "marble", "book", "ticket", "pencil"), 2)
    return rng.choice(
        [
            (f"{1000 * n} km", str(1000 * n), f"How many metres are {n} km?"),
            (f"{60 * n} hours", str(60 * n), f"How many minutes are there in {n} hours?"),
            (f"{n} h", str(60 * n), f"Convert {n} hours to minutes."),
            (f"{n} kilometers", str(1000 * n), f"How many metres are {n} km?"),
            (f"\\${n}.00", str(100 * n), f"How many cents are in \\${n}?"),
            (f"{n}%", str(n), f"How many {thing}s are in the box?"),
            (f"{n} {thing}s", str(n), f"What percent of the {thing}s are red?"),
            (f"{n} cents", str(n), f"A pen costs \\${m}. How much do some pens cost?"),
            (f"{n} hours", str(n), f"In how many ways can {m} people sit?"),
            (f"{n} inches", str(n), "How many six-inch tiles are needed?"),
            (f"{n} {other}s", str(n), f"How many more {thing}s than {other}s has she?"),
            (f"{n} minutes", str(n), f"A trip takes {60 * n} minutes. How long is that in hours?"),
            (rf"{n} \text{{ dollars}}", str(n), f"What do {m} pens cost, in cents?"),
            (f"{n * m} m", str(n * m), f"What is the area in m^2 of {n} m by {m} m?"),
            (f"{n * m} cm^2", str(n * m), f"A rectangle is {n} m by {m} m. What is its area?"),
            (f"{n} mph", str(n), f"A car goes {2 * n} km in 2 h. What is its speed?"),
            (f"{n} {other}s", str(n), f"Tom has {n + m} {other}s. How many {thing}s has he?"),
            (f"{n} kg", str(n), f"How many {thing}s are in the box?"),
            (f"{n} {thing}s", str(n), f"How many kilograms do they weigh, {m} boxes of them?"),
            (f"{n} loss", str(n), "What is the profit of the shop?"),
            (f"{n} losses", str(n), "How often did the team win?"),
            (f"{n} K", str(n), f"How many {thing}s are in the box?"),
            (f"{n} K", str(n), f"What is {n + m} - {m}?"),
        ]
    )


def fitting_label(rng: Random) -> Asked:
    """The reference with the unit or noun that the question asks for, perhaps in other words."""
    n, m = rng.sample(range(2, 60), 2)
    thing = rng.choice(("apple", "marble", "book", "ticket", "pencil"))
    return rng.choice(
        [
            (f"{1000 * n} m", str(1000 * n), f"How many metres are {n} km?"),
            (f"{n} hours", str(n), f"How many hours a week does she work, {m} weeks a year?"),
            (f"{n} pages per day", str(n), "How many pages does he read each day?"),
            (f"\\${n}", str(n), f"Pens are {m} cents each. What do some cost?"),
            (f"{n} clips", str(n), f"Ann had {n + m} clips and sold {m}. How many clips are left?"),
            (f"{n} right triangles", str(n), "How many right triangles are there?"),
            (f"{n} cookies", str(n), "How many cookies did they bake?"),
            (f"{n} m/s", str(n), f"A ball flies {n * m} m in {m} s. How fast is it, in m/s?"),
            (f"{60 * n} min", str(60 * n), f"How many minutes are there in {n} hours?"),
            (f"{n} hours", str(n), f"A trip takes {60 * n} minutes. How long is that in hours?"),
            (rf"{n} \text{{ cents}}", str(n), f"What do {m} pens cost, in cents?"),
            (
                f"{n * m} m^2",
                str(n * m),
                f"What is the area in m^2 of {n} m by {m} m?",
            ),
            (f"{n * m} m^2", str(n * m), f"A rectangle is {n} m by {m} m. What is its area?"),
            (f"{n} km/h", str(n), f"A car goes {2 * n} km in 2 h. What is its speed?"),
            (f"{n} {thing}s", str(n), f"Tom has {n + m} {thing}s and eats {m}. How many are left?"),
            (f"{n} red {thing}s", str(n), f"How many red {thing}s are in the box?"),
            (f"{n} students", str(n), f"How many of the {n + m} students are girls?"),
            (f"{n} ways", str(n), f"In how many ways can {m} people sit?"),
            (f"{n} cm", str(n), "How long is the side in the figure?"),
            (f"{n} losses", str(n), "How many losses had the team?"),
            (f"{n} K", str(n), "What is the temperature of the gas?"),
            (f"{n} units", str(n), "What is the distance of the points?"),
        ]
    )


WRONG: Mapping[str, Callable[[Random], Asked]] = {
    "copies of the question": copied,
    "copies, dressed up": dressed_up,
    "lists left in their order": unordered,
    "ranges, ratios, dates, sizes": no_arithmetic,
    "labels that contradict the question": other_label,
}
RIGHT: Mapping[str, Callable[[Random], Asked]] = {
    "the form that is asked for": in_the_form,
    "equations": equation,
    "labels that fit the question": fitting_label,
}
