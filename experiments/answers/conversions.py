"""Pairs by what a stranger tried: conversions, products, points, names, choices, writings."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from random import Random

Asked = tuple[str, str, str]  # answer, reference, question

_TO_FRACTION = (
    "Convert {} to a fraction.",
    "Write {} as a fraction.",
    "What is {} in fraction form?",
    "What fraction is equal to {}?",
)
_TO_DECIMAL = (
    "Convert ${}$ to a decimal.",
    "Write ${}$ as a decimal.",
    "What is ${}$ in decimal form?",
    "Find the decimal equivalent of ${}$.",
)


def _number(rng: Random) -> tuple[str, str]:
    """A number below 1 as a fraction in lowest terms and as a decimal."""
    value = Fraction(rng.choice((3, 7, 9, 11, 13, 17, 19)), rng.choice((20, 40, 50, 80)))
    digits = f"{float(value):.4f}".rstrip("0")
    return rf"\frac{{{value.numerator}}}{{{value.denominator}}}", digits


def _mixed(rng: Random) -> tuple[str, str]:
    """A number above 1 as a mixed number and as a fraction."""
    whole, bottom = rng.randint(2, 9), rng.choice((3, 5, 7, 11))
    top = rng.randint(1, bottom - 1)
    return rf"{whole}\frac{{{top}}}{{{bottom}}}", rf"\frac{{{whole * bottom + top}}}{{{bottom}}}"


def conversion(rng: Random) -> Asked:
    """The form that is asked for."""
    fraction, digits = _number(rng)
    mixed, improper = _mixed(rng)
    hours, minutes = rng.randint(2, 9), rng.choice((15, 30, 45))
    return rng.choice(
        [
            (fraction.replace("frac", "dfrac"), fraction, rng.choice(_TO_FRACTION).format(digits)),
            (f"{digits}0", digits, rng.choice(_TO_DECIMAL).format(fraction)),
            (improper, improper, f"Convert ${mixed}$ to an improper fraction."),
            (mixed, mixed, f"Convert ${improper}$ to a mixed number."),
            (
                rf"{hours + minutes / 60:g} \text{{ hours}}",
                f"{hours + minutes / 60:g}",
                f"Express {hours} hours {minutes} minutes in hours.",
            ),
        ]
    )


def copy(rng: Random) -> Asked:
    """The number in the question, perhaps with other digits, or in another form again."""
    fraction, digits = _number(rng)
    mixed, improper = _mixed(rng)
    hours, minutes = rng.randint(2, 9), rng.choice((15, 30, 45))
    per_cent = f"{float(digits) * 100:g}\\%"
    return rng.choice(
        [
            (
                rng.choice((digits, f"{digits}0", digits[1:], f"0{digits}", per_cent)),
                fraction,
                rng.choice(_TO_FRACTION).format(digits),
            ),
            (rng.choice((fraction, per_cent)), digits, rng.choice(_TO_DECIMAL).format(fraction)),
            (
                mixed.replace("frac", "tfrac"),
                improper,
                f"Convert ${mixed}$ to an improper fraction.",
            ),
            (improper, mixed, f"Convert ${improper}$ to a mixed number."),
            (
                rf"{hours}\text{{ h }}{minutes}\text{{ min}}",
                f"{hours + minutes / 60:g}",
                f"Express {hours} hours {minutes} minutes in hours.",
            ),
        ]
    )


def _amc(rng: Random) -> tuple[list[int], str]:
    texts = rng.sample(range(2, 99), 5)
    listed = r"\qquad".join(
        rf"\textbf{{({letter})}}\ {text}" for letter, text in zip("ABCDE", texts, strict=True)
    )
    return texts, f"What is the value? ${listed}$"


def writing(rng: Random) -> Asked:
    """The answer as models write it."""
    texts, listed = _amc(rng)
    place = rng.randrange(5)
    letter, text = "ABCDE"[place], texts[place]
    a, b, c, d = (rng.randint(-9, 9) for _ in range(4))
    low = rng.randint(1, 9)
    high = low + rng.randint(1, 9)
    n = rng.randint(2, 9)
    return rng.choice(
        [
            (rf"\textbf{{({letter})}}\ {text}", letter, listed),
            (letter, rf"\textbf{{({letter})}}\ {text}", listed),
            (str(text), rf"\textbf{{({letter})}}\ {text}", listed),
            (
                rf"\left[\begin{{array}}{{cc}}{a}&{b}\\{c}&{d}\end{{array}}\right]",
                rf"\begin{{pmatrix}}{a}&{b}\\{c}&{d}\end{{pmatrix}}",
                "Find the matrix.",
            ),
            (
                rf"\{{x\mid x\le {low}\text{{ or }}x\ge {high}\}}",
                rf"(-\infty,{low}]\cup[{high},\infty)",
                "Solve the inequality.",
            ),
            (
                rf"x=\frac{{n\pi}}{{{n}}}, n\in\mathbb{{Z}}",
                rf"x=\frac{{k\pi}}{{{n}}},k\in\mathbb{{Z}}",
                rf"Solve $\sin {n}x=0$.",
            ),
            (f"y=Ae^{{{n}x}}", f"y=Ce^{{{n}x}}", f"Find the general solution of $y'={n}y$."),
        ]
    )


def other_kind(rng: Random) -> Asked:
    """A product that is left, an order, an interval for a point, another name or choice."""
    texts, listed = _amc(rng)
    place, other = rng.sample(range(5), 2)
    a, b, c = rng.sample(range(2, 60), 3)
    low, high = sorted((a, b))
    n = rng.choice((2, 3, 5, 6, 7))  # with a root
    return rng.choice(
        [
            (f"x(x+{b})+{a}(x+{b})", f"x^2+{a + b}x+{a * b}", f"Multiply: $(x+{a})(x+{b})$."),
            (f"{b}, {a}, {c}", f"{a}, {b}, {c}", "Find the length, width and height of the box."),
            (f"{low}<x<{high}", f"({low},{high})", "What are the coordinates of the midpoint?"),
            (f"x={low},y={high}", f"({low},{high})", "On which interval is $f$ increasing?"),
            (rf"\angle A={a}^\circ", str(a), "Find angle $C$ of the triangle $ABC$."),
            (f"f(x)={a}x^{{{n}}}", f"{a}x^{n}", "Find the derivative of $f(x)$."),
            (f"2y={2 * n}x+{2 * a}", f"y={n}x+{a}", "Rewrite the equation so that $y$ is alone."),
            (f"{n}^{{1.5}}", rf"{n}\sqrt{{{n}}}", rf"Simplify $\sqrt{{{n**3}}}$."),
            (f"{n}x+{a}", f"y={n}x+{a}", "Find the equation of the line."),
            (rf"\textbf{{({'ABCDE'[place]})}}\ {texts[other]}", "ABCDE"[place], listed),
            (str(texts[place]), "ABCDE"[place], listed),
        ]
    )


WRONG: Mapping[str, Callable[[Random], Asked]] = {
    "copies of a number to convert": copy,
    "products, orders, intervals, names, choices of something else": other_kind,
}
RIGHT: Mapping[str, Callable[[Random], Asked]] = {
    "conversions": conversion,
    "matrices, sets, choices, constants in other writings": writing,
}
