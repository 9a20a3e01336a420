r"""Equations in named forms, letters, ratios, times, real numbers, and what stands around a box.

An answer may close its box and go on: `5} < {x` is `\boxed{5} < {x}` in the response.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import gcd
from random import Random

from experiments.answers.right import decimal, frac

Asked = tuple[str, str, str]  # answer, reference, question

_SLOPE = "Write the equation of the line in slope-intercept form."
_POINT = "Write the equation of the line in point-slope form."
_STANDARD = "Write the equation of the line in standard form."
_VERTEX = "Write the polynomial in vertex form."
_CIRCLE = "Write the equation of the circle in standard form."
_MONTHS = ("January", "March", "May", "July", "August", "October", "December")


def other_named_form(rng: Random) -> Asked:
    """An equal equation or polynomial in another form than the one that is asked for."""
    a, b, c = rng.randint(2, 9), rng.randint(1, 9), rng.randint(2, 9)
    k = rng.randint(2, 5)
    line, value = f"y = {a}x + {b}", a * c + b
    square = f"(x + {c})^2 - {b}"
    return rng.choice(
        [
            (f"{a}x - y + {b} = 0", line, _SLOPE),
            (f"y - {value} = {a}(x - {c})", line, _SLOPE),
            (f"y = {a}(x - {c}) + {value}", line, _SLOPE),
            (f"{k}y = {k * a}x + {k * b}", line, _SLOPE),
            (line, f"y - {value} = {a}(x - {c})", _POINT),
            (line, f"{a}x - y = -{b}", _STANDARD),
            (rf"x - \frac{{y}}{{{a}}} = -\frac{{{b}}}{{{a}}}", f"{a}x - y = -{b}", _STANDARD),
            (f"x^2 + {2 * c}x + {c * c - b}", square, _VERTEX),
            (f"x(x + {2 * c}) + {c * c - b}", square, _VERTEX),
            (f"x^2 + y^2 + {2 * c}x = {a * a - c * c}", f"(x+{c})^2 + y^2 = {a * a}", _CIRCLE),
            (
                rf"\frac{{{a} + {b}i}}{{11}}",
                rf"\frac{{{a}}}{{11}} + \frac{{{b}}}{{11}}i",
                "Write the number in the form $a + bi$.",
            ),
            (
                rf"\log {a} + \log {c}",
                rf"\log {a * c}",
                "Write it as a single logarithm.",
            ),
            _degrees(rng),
            (f"y - {a}x = {b}", line, f"Solve ${a}x - y = -{b}$ for $y$."),
            (f"{k}y = {k * a}x + {k * b}", line, f"Solve ${a}x - y = -{b}$ for $y$."),
            (
                decimal(Fraction(c, 16), 4),
                frac(Fraction(c, 16)),
                rf"Simplify $\frac{{{2 * c}}}{{32}}$.",
            ),
        ]
    )


def _degrees(rng: Random) -> Asked:
    """An angle in radians as a fraction that is not reduced."""
    degrees = 5 * rng.randint(1, 35)
    common = gcd(degrees, 180)
    top = "" if degrees == common else degrees // common
    bottom = 180 // common
    reference = rf"\frac{{{top}\pi}}{{{bottom}}}"
    question = rf"Express ${degrees}^\circ$ in radians."
    return rf"\frac{{{degrees}\pi}}{{180}}", reference, question


def the_named_form(rng: Random) -> Asked:
    """The form that is asked for, in another order or through another point."""
    a, b, c, d = rng.randint(2, 9), rng.randint(1, 9), rng.randint(2, 9), rng.randint(2, 9)
    value, other = a * c + b, a * d + b
    half = Fraction(2 * a + 1, 2)
    return rng.choice(
        [
            (f"y = {b} + {a}x", f"y = {a}x + {b}", _SLOPE),
            (f"y = {float(half)}x + {b}", rf"y = {frac(half)}x + {b}", _SLOPE),
            (f"y - {other} = {a}(x - {d})", f"y - {value} = {a}(x - {c})", _POINT),
            (f"-{a}x + y = {b}", f"{a}x - y = -{b}", _STANDARD),
            (f"-{b} + ({c} + x)^2", f"(x + {c})^2 - {b}", _VERTEX),
            (f"y^2 + (x+{c})^2 = {a * a}", f"(x+{c})^2 + y^2 = {a * a}", _CIRCLE),
            (rf"\log({a * c})", rf"\log {a * c}", "Write it as a single logarithm."),
            (f"{a}x + {b} = y", f"y = {a}x + {b}", f"Solve ${a}x - y = -{b}$ for $y$."),
        ]
    )


def other_letter(rng: Random) -> Asked:
    """The value, said to be that of a letter which is something else."""
    n, m = rng.sample(range(2, 60), 2)
    x, y = rng.sample("xyzntk", 2)
    return rng.choice(
        [
            (f"{y} = {n}", str(n), f"Solve $2{x} + 1 = {2 * n + 1}$."),
            (f"-{n} < {y} < {n}", f"(-{n}, {n})", f"Solve ${x}^2 < {n * n}$."),
            (rf"{y} \ge {n}", rf"[{n}, \infty)", rf"What is the domain of $f({x})$?"),
            (rf"{x} \ge {n}", rf"[{n}, \infty)", rf"What is the range of $f({x})$?"),
            (f"x = {n}", str(n), f"Find the sum of the roots of $x^2 - {n}x + {m}$."),
            (f"x = {n}", str(n), f"Find the product of the roots of $x^2 - {m}x + {n}$."),
            (f"{x} = {n}", str(n), f"What is the remainder when ${x}$ is divided by {n + m}?"),
            (f"x = {n}", str(n), f"What is the slope of the line $y = {n}x + {m}$?"),
            (f"d = {n}", str(n), "What is the radius of the circle?"),
            (f"r = {n}", str(n), "What is the diameter of the circle?"),
            (f"A = {n}", str(n), "What is the perimeter of the square?"),
            (f"P = {n}", str(n), "What is the area of the square?"),
            (f"y = {n}", str(n), "Find the x-coordinate of the vertex."),
            (f"a_{{{m + 1}}} = {n}", str(n), f"Find the {m}th term of the sequence."),
            (f"x = {n}, y = {m}", f"{n}, {m}", "Find the roots of the polynomial."),
            (f"g(f({m})) = {n}", str(n), f"Find $f(g({m}))$."),
        ]
    )


def the_letter(rng: Random) -> Asked:
    """The value with the letter that the question has, or the quantity's own one."""
    n, m = rng.sample(range(2, 60), 2)
    x = rng.choice("xyzntk")
    return rng.choice(
        [
            (f"{x} = {n}", str(n), f"Solve $2{x} + 1 = {2 * n + 1}$."),
            (f"-{n} < {x} < {n}", f"(-{n}, {n})", f"Solve ${x}^2 < {n * n}$."),
            (rf"{x} \ge {n}", rf"[{n}, \infty)", rf"What is the domain of $f({x})$?"),
            (f"S = {n}", str(n), f"Find the sum of the roots of $x^2 - {n}x + {m}$."),
            (f"m = {n}", str(n), f"What is the slope of the line $y = {n}x + {m}$?"),
            (f"r = {n}", str(n), "What is the radius of the circle?"),
            (f"x = {n}", str(n), "How many apples are left?"),
            (f"a_{{{m}}} = {n}", str(n), f"Find the {m}th term of the sequence."),
            (f"f(g({m})) = {n}", str(n), f"Find $f(g({m}))$."),
            (f"x + y = {n}", str(n), "Find the sum of $x$ and $y$."),
            (f"x = {n}", str(n), "Find the length of $AB$, where $AB = x$."),
        ]
    )


def other_writing(rng: Random) -> Asked:
    """Another ratio, time, day or set of numbers, a hedge between choices, a box in a formula."""
    n, m = rng.sample(range(2, 60), 2)
    hour, minute = rng.randint(1, 11), rng.randint(10, 59)
    month, other = rng.sample(_MONTHS, 2)
    first, second = sorted(rng.sample("ABCDE", 2))
    ratio = "What is the ratio of boys to girls?"
    lists = "Which are true? A. 1 B. 2 C. 3 D. 4 E. 5"
    return rng.choice(
        [
            (rf"\frac{{{m}}}{{{n}}}", f"{n}:{m}", ratio),
            (f"{2 * n}/{2 * m}", f"{n}:{m}", ratio),
            (f"{hour}:{minute} AM", f"{hour}:{minute} PM", "At what time is it?"),
            (f"{hour}:{minute}", f"{hour}:{minute} PM", "At what time is it?"),
            (f"{month} {n % 28 + 1}", f"{other} {n % 28 + 1}", "On which day is it?"),
            (r"\mathbb{R}", rf"(-\infty, {n}) \cup ({n}, \infty)", "What is the domain?"),
            (rf"x \ne {m}", rf"(-\infty, {n}) \cup ({n}, \infty)", "What is the domain?"),
            (rf"{first} \text{{ or }} {second}", f"{first}{second}", lists),
            (f"{n}}} < {{x", str(n), "Find $x$."),
            (f"{n}}} = {{{m}", str(n), "Find $x$."),
            (rf"{n}}} \pm {{1", str(n), "Find $x$."),
            (rf"{n}}}^{{2", str(n), "Find $x$."),
            (rf"{n}}} \text{{ km", str(n), "How many metres is it?"),
            (rf"{n}}} \text{{ boys", str(n), "How many girls are there?"),
            (rf"{n}}} \text{{ dozen", str(n), "How many eggs are there?"),
        ]
    )


def the_writing(rng: Random) -> Asked:
    """The same ratio, time, day or set of numbers in other signs; a sign behind the box."""
    n, m = rng.sample(range(2, 60), 2)
    hour, minute, day = rng.randint(1, 11), rng.randint(10, 59), rng.randint(1, 28)
    month = rng.choice(_MONTHS)
    low, high = sorted((n, m))
    first, second = sorted(rng.sample("ABCDE", 2))
    ratio = "What is the ratio of boys to girls?"
    lists = "Which are true? A. 1 B. 2 C. 3 D. 4 E. 5"
    return rng.choice(
        [
            (rf"\frac{{{n}}}{{{m}}}", f"{n}:{m}", ratio),
            (rf"{n} \text{{ to }} {m}", f"{n}:{m}", ratio),
            (f"{hour + 12}:{minute}", f"{hour}:{minute} PM", "At what time is it?"),
            (rf"{hour}:{minute} \text{{ p.m.}}", f"{hour}:{minute} PM", "At what time is it?"),
            (f"{day} {month}", f"{month} {day}", "On which day is it?"),
            (r"\mathbb{R}", r"(-\infty, \infty)", "What is the domain?"),
            (rf"x \neq {n}", rf"(-\infty, {n}) \cup ({n}, \infty)", "What is the domain?"),
            (
                rf"\mathbb{{R}} \setminus \{{{high}, {low}\}}",
                rf"(-\infty, {low}) \cup ({low}, {high}) \cup ({high}, \infty)",
                "What is the domain?",
            ),
            (rf"x > {low} \text{{ and }} x < {high}", f"({low}, {high})", "Solve it."),
            (rf"0, \pm {n}", f"-{n}, 0, {n}", "Find all roots."),
            (rf"\langle {n}, {m} \rangle", rf"\begin{{pmatrix}} {n} \\ {m} \end{{pmatrix}}", ""),
            (rf"x = {n} \\ y = {m}", f"x = {n}, y = {m}", "Solve the system."),
            (r"x = k\pi, k \in \mathbb{Z}", r"n\pi", r"Solve $\sin x = 0$."),
            (f"{second}{first}", f"{first}{second}", lists),
            (rf"{n} \text{{ in }} {n + m}", frac(Fraction(n, n + m)), "How likely is it?"),
            (rf"{n}}}^{{\circ", str(n), "Find the angle."),
            (rf"{n}}} \text{{ m", str(n), "How many metres is it?"),
        ]
    )


WRONG: Mapping[str, Callable[[Random], Asked]] = {
    "other named forms than asked for": other_named_form,
    "letters of something else": other_letter,
    "ratios, times, sets, hedges, boxes of something else": other_writing,
}
RIGHT: Mapping[str, Callable[[Random], Asked]] = {
    "named forms as asked for": the_named_form,
    "letters of what is asked for": the_letter,
    "ratios, times, sets and boxes in other signs": the_writing,
}
