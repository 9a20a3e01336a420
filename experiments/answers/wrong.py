"""Wrong answers: other values, and texts that try to be paid without one."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import comb, factorial, gcd
from random import Random

from experiments.answers.right import Pair, a_fraction, decimal, frac, square_free


def _perturbed(rng: Random) -> Pair:
    n = rng.randint(10, 10**6)
    position = rng.randrange(len(str(n)))
    digits = list(str(n))
    digits[position] = str((int(digits[position]) + rng.randint(1, 9)) % 10)
    value = a_fraction(rng)
    other = value + Fraction(rng.choice((-1, 1)), value.denominator * rng.randint(1, 3))
    return rng.choice(
        [
            ("".join(digits), str(n)),
            (str(-n), str(n)),
            (str(n + rng.choice((-1, 1))), str(n)),
            (frac(other), frac(value)),
            (frac(1 / value), frac(value)),  # no fraction here is 1 or -1
            (decimal(value + Fraction(1, 100), 2), decimal(value, 2)),
            (f"{n}0", str(n)),
        ]
    )


def _swapped(rng: Random) -> Pair:
    digits = rng.sample("123456789", rng.randint(3, 6))
    i, j = sorted(rng.sample(range(len(digits)), 2))
    swapped = list(digits)
    swapped[i], swapped[j] = swapped[j], swapped[i]
    point = rng.randint(1, len(digits) - 1)
    if rng.random() < 0.5:
        return "".join(swapped), "".join(digits)
    texts = ["".join([*each[:point], ".", *each[point:]]) for each in (swapped, digits)]
    return texts[0], texts[1]


def _bounds(rng: Random) -> Pair:
    a, b = sorted(rng.sample(range(-40, 60), 2))
    return rng.choice(
        [
            (f"({b}, {a})", f"({a}, {b})"),
            (f"[{a}, {b})", f"({a}, {b})"),
            (rf"x \ge {a}", rf"({a}, \infty)"),
            (f"x < {a}", rf"({a}, \infty)"),
            (f"{a} < x < {b + 1}", f"({a}, {b})"),
            (rf"x > {a} \text{{ and }} x < {b}", rf"(-\infty, {a}) \cup ({b}, \infty)"),
            (f"({a}, {b})", rf"\{{{a}, {b}\}}"),
            (f"{a} < y < {b}", f"{a} < x < {b}"),
        ]
    )


def _other_expression(rng: Random) -> Pair:
    a, b, c, d = rng.randint(2, 20), rng.randint(2, 20), square_free(rng), rng.randint(2, 9)
    return rng.choice(
        [
            (rf"{a} + {b}\sqrt{{{c}}}", rf"{a} - {b}\sqrt{{{c}}}"),
            (rf"{a}\sqrt{{{c}}}", rf"{a}\sqrt{{{c + 1}}}"),
            (rf"{a}\pi", str(a)),
            (rf"{a}\pi", rf"{a + 1}\pi"),
            (f"{a}x + {b}", f"{a}x - {b}"),
            (f"{a}x^2 + {b}", f"{a}x^3 + {b}"),
            (f"{a} + {b}i", f"{a} - {b}i"),
            (rf"\frac{{x}}{{{d}}}", f"{d}x"),
            (f"(x+{a})^2", f"x^2 + {a * a}"),
            (rf"{a}\pi", decimal(Fraction(314159265, 10**8) * a + Fraction(1, 50), 2)),
        ]
    )


def _hedge(rng: Random) -> Pair:
    n, m = rng.sample(range(2, 900), 2)
    letters = rng.sample("ABCDE", 3)
    ways = (f"{n} or {m}", f"{m}, {n}", f"either {m} or {n}", f"{n}/{m}" if m > n else f"{m}; {n}")
    more = (rf"{n} \text{{ or more}}", rf"{n} \pm {m}", rf"{n} \pm 0", f"about {n}?", f"{n}?")
    last = (rf"x = {n} \text{{ or }} x = {m}", f"not {n}", f"between {n} and {m}", f"{n} to {m}")
    if rng.random() < 0.3:
        choices = (" or ".join(letters), ", ".join(letters), "/".join(letters), f"not {letters[0]}")
        wrong = (f"{letters[0]}. or {letters[1]}.", f"{letters[0]} {letters[1]}")
        return rng.choice(choices + wrong), letters[0]
    return rng.choice(ways + more + last), str(n)


def _echo(rng: Random) -> Pair:
    a, b, c = rng.randint(2, 40), rng.randint(2, 40), rng.randint(2, 9)
    whole = a * c
    return rng.choice(
        [
            (f"{a} + {b}", str(a + b)),
            (rf"{a} \times {b} + {c}", str(a * b + c)),
            (f"{whole}/{c}", str(a)),
            (f"{whole}/{c}", f"{a}.0"),
            (rf"\frac{{{whole}}}{{{c}}}", str(a)),
            (rf"{{{whole} \over {c}}}", str(a)),
            (rf"\frac{{\frac{{1}}{{{a}}}}}{{{b}}}", frac(Fraction(1, a * b))),
            (rf"\frac{{1}}{{{a}}} + \frac{{1}}{{{b}}}", frac(Fraction(1, a) + Fraction(1, b))),
            (rf"\sqrt{{{a * a}}}", str(a)),
            (f"{c}^{{{3}}}", str(c**3)),
            (f"{c}!", str(factorial(c))),
            (rf"\binom{{{a}}}{{2}}", str(comb(a, 2))),
            (f"|{-a}|", str(a)),
            (f"-(-{a})", str(a)),
        ]
    )


def _operator(rng: Random) -> Pair:
    a, b, c, d = (rng.randint(2, 30) for _ in range(4))
    return rng.choice(
        [
            (rf"\int_0^{{{a}}} 2x \, dx", str(a * a)),
            (rf"\int_{{0}}^{{1}} x^{{{a}}} dx", frac(Fraction(1, a + 1))),
            (rf"\sum_{{k=1}}^{{{a}}} k", str(a * (a + 1) // 2)),
            (rf"\prod_{{k=1}}^{{3}} {a}", str(a**3)),
            (rf"\lim_{{x \to {a}}} (x + {b})", str(a + b)),
            (rf"\frac{{d}}{{dx}} x^{{{a}}}", f"{a}x^{{{a - 1}}}"),
            (f"(x^{{{a}}})'", f"{a}x^{{{a - 1}}}"),
            (rf"\begin{{vmatrix}} {a} & {b} \\ {c} & {d} \end{{vmatrix}}", str(a * d - b * c)),
            (rf"\det\begin{{pmatrix}} {a} & {b} \\ {c} & {d} \end{{pmatrix}}", str(a * d - b * c)),
            (rf"\gcd({a}, {b})", str(gcd(a, b))),
            (rf"\operatorname{{lcm}}({a}, {b})", str(a * b // gcd(a, b))),
            (rf"{a} \bmod {b}", str(a % b)),
            (rf"{a} \pmod{{{b}}}", str(a % b)),
            (rf"\lceil {a}.5 \rceil", str(a + 1)),
            (rf"\lfloor {a}.5 \rfloor", str(a)),
            (rf"\max({a}, {b})", str(max(a, b))),
            (rf"{a}\sin 90^\circ", str(a)),
            (rf"{a}\cos(0)", str(a)),
            (rf"\tan\frac{{\pi}}{{4}} + {a}", str(a + 1)),
            (rf"\log_2 {2**c}" if c < 20 else r"\log_2 8", str(c if c < 20 else 3)),
            (rf"\ln e^{{{a}}}", str(a)),
            (rf"e^{{\ln {a}}}", str(a)),
            (f"{a}x + {b}x", f"{a + b}x"),
            (rf"x^{{{a}}} \cdot x^{{{b}}}", f"x^{{{a + b}}}"),
            (rf"\frac{{x^{{{a + b}}}}}{{x^{{{b}}}}}", f"x^{{{a}}}"),
            (rf"(1+\sqrt{{{a}}})(1-\sqrt{{{a}}})", str(1 - a)),
            (rf"\{{x : x^2 = {a * a}\}}", rf"\{{{-a}, {a}\}}"),
            (f"x^2 = {a * a}", rf"\{{{-a}, {a}\}}"),
            (f"2x = {2 * a}", f"x = {a}"),
        ]
    )


_TAILS = (
    *("is wrong", "minus two", "but maybe six", "thousands", "squared", "pi", "halves", "maybe"),
    *("cubed", "dozen", "hundred", "plus one", "times two", "or so", "not", "percent less", "half"),
    *(
        "if lucky",
        "unless it rains",
        "negative",
        "approximately six",
        "zillion",
        "tens",
        "factorial",
    ),
    *("over two", "quarters", "pairs", "and a half", "is not the answer", "mod three", "k", "e"),
)


def _words_as_units(rng: Random) -> Pair:
    n, tail = rng.randint(2, 500), rng.choice(_TAILS)
    letter = rng.choice("xyztnwj")
    return rng.choice((f"{n} {tail}", rf"{n} \text{{ {tail}}}", f"{n}{letter}")), str(n)


def _other_unit(rng: Random) -> Pair:
    n = rng.randint(2, 500)
    unit, other = rng.sample(("cm", "kg", "mm", "seconds", "hours", "m^2", "apples", "books"), 2)
    cents = rng.randint(101, 9999)
    dollars = f"{cents // 100}.{cents % 100:02d}"
    pairs = ((f"{n} {unit}", f"{n} {other}"), (f"{n} cents", rf"\${n}"))
    return rng.choice((*pairs, (f"{dollars} cents", rf"\${dollars}"), (f"{n} km", f"{n} m")))


def _variable(rng: Random) -> Pair:
    n = rng.randint(2, 500)
    name, other = rng.sample("xyzntmk", 2)
    pairs = ((f"{name} = {n}", f"{other} = {n}"), (f"{name} = {n} = {n + 1}", str(n)))
    return rng.choice((*pairs, (f"{name}+2={name}+1", f"{name}+1"), (f"{n} + 1 = {n}", str(n))))


def _per_cent(rng: Random) -> Pair:
    n = rng.randint(1, 9)
    share, per_cent = f"0.{n}", rf"0.{n}\%"
    pairs = ((share, per_cent), (per_cent, share), (rf"{n}0\%", per_cent), ("1", r"1\%"))
    return rng.choice((*pairs, (rf"{n}\%", share), (rf"{n + 1}\%", f"{n}")))


def _rounded(rng: Random) -> Pair:
    value = Fraction(rng.randint(1, 20) * 3 + 1, rng.choice((3, 9, 27)))
    root = square_free(rng)
    approximate = Fraction(str(root**0.5))
    return rng.choice(
        [
            (decimal(value, 1), frac(value)),
            (decimal(approximate, rng.randint(1, 4)), rf"\sqrt{{{root}}}"),
            (decimal(Fraction("3.14159265"), rng.randint(1, 5)), r"\pi"),
            (decimal(value, 2), str(int(value))),
        ]
    )


def _members(rng: Random) -> Pair:
    values = rng.sample(range(-30, 60), 3)
    reference = ", ".join(map(str, values))
    changed = [*values[:2], values[2] + 1]
    ways = (values[:2], [*values, 77], changed, [values[0]] * 3)
    text = ", ".join(map(str, rng.choice(ways)))
    a, b, c, d = values[0], values[1], values[2], 5
    swapped = rf"\begin{{pmatrix}}{a} & {c} \\ {b} & {d}\end{{pmatrix}}"
    matrix = rf"\begin{{pmatrix}}{a} & {b} \\ {c} & {d}\end{{pmatrix}}"
    pairs = ((text, reference), (swapped, matrix), (f"({b}, {a})", f"({a}, {b})"))
    return rng.choice((*pairs, (rf"\{{{text}\}}", rf"\{{{reference}\}}")))


def _other_choice(rng: Random) -> Pair:
    letter, other, third = rng.sample("ABCDE", 3)
    ways = (other, f"Option {other}", f"({other})", f"{other}. {letter}", f"{letter}{other}")
    word, wrong = rng.sample(("Monday", "Tuesday", "yes", "no", "even", "odd"), 2)
    if rng.random() < 0.2:
        return wrong, word
    if rng.random() < 0.2:
        return f"{letter}{other}", ",".join((letter, other, third))
    return rng.choice(ways), letter


def _other_boxes(rng: Random) -> Pair:
    """The answer closes the box by itself and goes on."""
    n, m = rng.sample(range(2, 900), 2)
    ways = (rf"{n}}} or \boxed{{{m}", rf"{m}}}, \boxed{{{n}", rf"{n}}} and \boxed{{{m}")
    return rng.choice((*ways, rf"\boxed{{{n}}} \boxed{{{m}}}", rf"{n}}} \boxed{{", "")), str(n)


def _hostile(rng: Random) -> Pair:
    depth, n = rng.randint(2, 60), rng.randint(2, 99)
    alphabet = [*"0123456789xyab+-*/^_=<>(){}[],.|!%& ", r"\frac", r"\sqrt", r"\le", r"\boxed"]
    noise = "".join(rng.choices(alphabet, k=rng.randint(5, 100)))
    text = rng.choice(
        [
            "9" + "^{9" * depth + "}" * depth,
            "(" * depth + f"{n}+1" + ")" * depth,
            r"\frac{1}{" * depth + "2" + "}" * depth,
            "9" * rng.randint(60, 900),
            f"{n}" + "\u200b" + "1",
            f"{n}!" * depth,
            ",".join(["1"] * depth),
            "x=" * depth + f"{n}+1",
            rf"\def\x{{\x\x}}\x{n}",
            "None",
            "nan",
            r"\infty",
            f"__import__('os').getpid() or {n}",
            noise,
            f"(x+y+z)^{{{n}}}",
        ]
    )
    return text, rng.choice(("4177", "q+w", r"\{41, 77\}"))


WRONG: Mapping[str, Callable[[Random], Pair]] = {
    "perturbed values": _perturbed,
    "swapped digits": _swapped,
    "bounds": _bounds,
    "other expressions": _other_expression,
    "hedges": _hedge,
    "echoes of arithmetic": _echo,
    "operators left undone": _operator,
    "words as units": _words_as_units,
    "other units": _other_unit,
    "other variables, false chains": _variable,
    "false per cent": _per_cent,
    "rounded for an exact reference": _rounded,
    "other members": _members,
    "other choices and words": _other_choice,
    "several boxes, no answer": _other_boxes,
    "hostile texts": _hostile,
}
