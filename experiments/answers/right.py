"""Right answers: the same value, written in another finished way.

Truth comes from how a pair is made, from whole numbers up, never from a verifier.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import isqrt
from random import Random

Pair = tuple[str, str]  # answer, reference


def frac(value: Fraction) -> str:
    r"""A fraction in lowest terms, as `\frac`."""
    sign = "-" if value < 0 else ""
    if value.denominator == 1:
        return str(value)
    return rf"{sign}\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"


def a_fraction(rng: Random) -> Fraction:
    """A fraction that is not whole."""
    bottom = rng.randint(2, 30)
    value = Fraction(rng.choice((-1, 1)) * rng.randint(1, 60), bottom)
    return value if value.denominator > 1 else value + Fraction(1, bottom)


def decimal(value: Fraction, digits: int) -> str:
    """A value rounded half away from zero to that many digits."""
    scaled = abs(value) * 10**digits
    whole = str(int(scaled + Fraction(1, 2))).zfill(digits + 1)
    return ("-" if value < 0 else "") + f"{whole[:-digits]}.{whole[-digits:]}"


def square_free(rng: Random) -> int:
    """What may stay under a root."""
    return rng.choice((2, 3, 5, 6, 7, 10, 11, 13, 14, 15, 17, 19, 21))


def _integer(rng: Random) -> Pair:
    n = rng.choice((-1, 1, 1)) * rng.randint(0, 10 ** rng.randint(1, 8))
    spaced = f"{n:,}".replace(",", " ")
    dollars = f"${n}$"
    ways = (f"{n:,}", f"{n}.0", dollars, f"x = {n}", rf"\text{{{n}}}", f"{n}.", spaced, f" {n} ")
    more = (f"{n:,}".replace(",", "{,}"), f"the answer is: {n}", rf"\boxed{{{n}}}", f"({n})")
    return rng.choice(ways + more), str(n)


def _fraction(rng: Random) -> Pair:
    value = a_fraction(rng)
    ways = [f"{value.numerator}/{value.denominator}", frac(value).replace(r"\frac", r"\dfrac")]
    if value > 1:
        whole, rest = divmod(value, 1)
        ways += [f"{whole}{frac(rest)}", f"{whole} {rest.numerator}/{rest.denominator}"]
    ways.append(rf"\frac{{{value.numerator}}}{{{value.denominator}}}")
    return rng.choice(ways), frac(value)


def _terminating(rng: Random) -> Pair:
    value = Fraction(2 * rng.randint(1, 900) + 1, rng.choice((2, 4, 8, 20, 40)))
    text = decimal(value, 4).rstrip("0")
    return rng.choice(((text, frac(value)), (frac(value), text), (f"{text}0", text)))


def _exact_for_rounded(rng: Random) -> Pair:
    digits = rng.randint(1, 4)
    if rng.random() < 0.5:
        value = a_fraction(rng)
        # One digit is hardly a rounding: two at least, and none is below 0.03.
        return frac(value), decimal(value, max(digits, 3) if abs(value) < 1 else digits)
    a, b, c = rng.randint(1, 20), rng.randint(1, 9), square_free(rng)
    root = Fraction(isqrt(c * 10**60), 10**30)
    answer = rf"{a} + {b}\sqrt{{{c}}}" if b > 1 else rf"{a}+\sqrt{{{c}}}"
    return answer, decimal(a + b * root, digits)


def _repeating(rng: Random) -> Pair:
    length = rng.randint(1, 3)
    cycle = rng.randint(1, 10**length - 2)
    text = rf"0.\overline{{{cycle:0{length}d}}}"
    value = Fraction(cycle, 10**length - 1)
    return rng.choice(((text, frac(value)), (frac(value), text)))


def _surd(rng: Random) -> Pair:
    a, b, c = rng.randint(1, 30), rng.randint(2, 12), square_free(rng)
    d = rng.randint(2, 15)
    plain = rf"{a} + {b}\sqrt{{{c}}}"
    return rng.choice(
        [
            (rf"{b}\sqrt{{{c}}} + {a}", plain),
            (rf"{a} + \sqrt{{{b * b * c}}}", plain),
            (rf"\frac{{{a} + {b}\sqrt{{{c}}}}}{{{d}}}", rf"\frac{{{b}\sqrt{{{c}}} + {a}}}{{{d}}}"),
            (rf"\frac{{1}}{{\sqrt{{{c}}}}}", rf"\frac{{\sqrt{{{c}}}}}{{{c}}}"),
            (rf"-{b}\sqrt {{{c}}}", rf"-{b}\sqrt{{{c}}}"),
            (rf"{b}\cdot\sqrt{{{c}}}", rf"{b}\sqrt{{{c}}}"),
        ]
    )


def _pi(rng: Random) -> Pair:
    value = abs(a_fraction(rng))
    top, bottom = value.numerator, value.denominator
    reference = rf"\frac{{{top}\pi}}{{{bottom}}}"
    ways = (
        rf"\frac{{{top}}}{{{bottom}}}\pi",
        rf"{top}\pi/{bottom}",
        rf"\frac{{{top} \pi}}{{{bottom}}}",
    )
    return rng.choice((*ways, f"{top}π/{bottom}")), reference


def _complex(rng: Random) -> Pair:
    a, b = rng.randint(1, 20), rng.randint(2, 20)
    return rng.choice((f"{b}i + {a}", f"{a}+{b}i", rf"{a} + {b} \cdot i")), f"{a} + {b}i"


def _polynomial(rng: Random) -> Pair:
    a, b, c = (rng.randint(2, 9) for _ in range(3))
    x = rng.choice("xyzt")
    expanded = f"{a}{x}^2 + {b}{x} + {c}"
    product = rf"{a * b}{x}^2 + {a * c}{x}"
    return rng.choice(
        [
            (f"{c} + {b}{x} + {a}{x}^2", expanded),
            (rf"{a}{x}^{{2}} + {b} {x} + {c}", expanded),
            (f"{a}{x}({b}{x} + {c})", product),
            (f"({x}+{a})({x}+{b})", f"{x}^2 + {a + b}{x} + {a * b}"),
            (f"y = {expanded}", expanded) if x != "y" else (expanded, expanded),
            (rf"\frac{{{x}}}{{2}} + {a}", f"0.5{x} + {a}"),
        ]
    )


_CONVERSIONS = (("cm", "mm", 10), ("m", "cm", 100), ("km", "m", 1000), ("kg", "g", 1000))
_CONVERSIONS += (("hours", "minutes", 60), ("minutes", "seconds", 60), ("L", "mL", 1000))


def _unit(rng: Random) -> Pair:
    n = rng.randint(2, 400)
    big, small, factor = rng.choice(_CONVERSIONS)
    noun = rng.choice(("apples", "books", "students", "red balls", "cups of flour", "ways"))
    return rng.choice(
        [
            (f"{n * factor} {small}", f"{n} {big}"),
            (rf"{n} \text{{ {big}}}", f"{n}{big}" if big != "hours" else f"{n} hours"),
            (f"{n} {big}", str(n)),
            (str(n), f"{n} {small}"),
            (f"{n} {noun}", str(n)),
            (rf"{n}^\circ", str(n)),
            (rf"{n} \text{{ cm}}^2", f"{n}"),
            (f"{n} square units", str(n)),
        ]
    )


def _money(rng: Random) -> Pair:
    cents = rng.randint(101, 99999)
    dollars = f"{cents // 100}.{cents % 100:02d}"
    ways = (f"{cents} cents", rf"\${dollars}", f"{dollars} dollars", dollars)
    return rng.choice(ways), rf"\${dollars}"


def _percent(rng: Random) -> Pair:
    n = rng.randint(2, 99)
    share, per_cent = f"0.{n:02d}", rf"{n}\%"
    pairs = ((per_cent, share), (share, per_cent), (per_cent, str(n)), (str(n), per_cent))
    return rng.choice((*pairs, (f"{n}%", per_cent), (f"{n} percent", per_cent)))


def _several(rng: Random) -> Pair:
    values = rng.sample(range(-30, 60), rng.randint(2, 4))
    reference = ", ".join(map(str, values))
    rng.shuffle(values)
    texts = [str(value) for value in values]
    named = " or ".join(f"x = {text}" for text in texts)
    ways = (rf"\{{{', '.join(texts)}\}}", ", ".join(texts), " or ".join(texts), named)
    return rng.choice((*ways, f"{', '.join(texts[:-1])} and {texts[-1]}")), reference


def _interval(rng: Random) -> Pair:
    a, b = sorted(rng.sample(range(-40, 60), 2))
    return rng.choice(
        [
            (f"x > {a}", rf"({a}, \infty)"),
            (rf"x \ge {a}", rf"[{a}, \infty)"),
            (f"x < {b}", rf"(-\infty, {b})"),
            (rf"{a} < x \leq {b}", f"({a}, {b}]"),
            (rf"x \in [{a}, {b}]", f"[{a},{b}]"),
            (rf"x < {a} \text{{ or }} x > {b}", rf"(-\infty, {a}) \cup ({b}, \infty)"),
            (rf"\left({a}, {b}\right)", f"({a}, {b})"),
            (f"({a}, {b})", f"{a} < x < {b}"),
        ]
    )


def _tuple(rng: Random) -> Pair:
    a, b, value = rng.randint(-20, 20), rng.randint(-20, 20), a_fraction(rng)
    pairs = ((rf"\left({a}, {b}\right)", f"({a},{b})"), (f"(x, y) = ({a}, {b})", f"({a}, {b})"))
    return rng.choice((*pairs, (f"({a}, {frac(value)})", f"({a}, {value})")))


def _matrix(rng: Random) -> Pair:
    a, b, c, d = (rng.randint(-9, 20) for _ in range(4))
    body = rf"{a} & {b} \\ {c} & {d}"
    ways = (rf"\begin{{bmatrix}} {body} \end{{bmatrix}}", f"[[{a}, {b}], [{c}, {d}]]")
    return rng.choice(ways), rf"\begin{{pmatrix}}{body}\end{{pmatrix}}"


def _choice(rng: Random) -> Pair:
    letter = rng.choice("ABCDE")
    ways = (f"({letter})", rf"\text{{{letter}}}", f"{letter}.", letter.lower(), f"Option {letter}")
    if rng.random() < 0.3:
        letters = sorted(rng.sample("ABCDE", rng.randint(2, 4)))
        many = ("".join(letters), ", ".join(letters), " and ".join(letters))
        return rng.choice(many[:2] if len(letters) > 2 else many), ",".join(letters)
    return rng.choice((*ways, f"{letter}. {rng.randint(2, 99)} cm")), letter


def _chain(rng: Random) -> Pair:
    a, b = rng.randint(2, 99), rng.randint(2, 99)
    ways = (f"{a} + {b} = {a + b}", rf"x = {a} \cdot {b} = {a * b}", f"S = ab = {a * b}")
    answer = rng.choice(ways)
    return answer, str(a + b if "+" in answer else a * b)


def _words(rng: Random) -> Pair:
    word = rng.choice(("Monday", "yes", "even", "isosceles", "parallelogram", "Tuesday"))
    return rng.choice((word.lower(), rf"\text{{{word}}}", word.upper(), f"{word}.")), word


def _operator_in_both(rng: Random) -> Pair:
    a, b = rng.randint(2, 20), rng.randint(2, 9)
    return rng.choice(
        [
            (rf"\sin({a}x) + {b}", rf"{b} + \sin({a}x)"),
            (rf"{a}\ln {b}", rf"\ln({b}) \cdot {a}"),
            (rf"{a}^{{50}}", f"{a}^{{50}}"),
            (f"{a}!", f"{a}!"),
            (rf"{b} + \log_2 {a}", rf"\log_{{2}}({a}) + {b}"),
        ]
    )


RIGHT: Mapping[str, Callable[[Random], Pair]] = {
    "whole numbers": _integer,
    "fractions": _fraction,
    "terminating decimals": _terminating,
    "exact for a rounded reference": _exact_for_rounded,
    "repeating decimals": _repeating,
    "roots": _surd,
    "multiples of pi": _pi,
    "complex numbers": _complex,
    "polynomials": _polynomial,
    "units and nouns": _unit,
    "money": _money,
    "per cent": _percent,
    "sets and lists": _several,
    "intervals": _interval,
    "tuples": _tuple,
    "matrices": _matrix,
    "choices": _choice,
    "chains of equations": _chain,
    "words": _words,
    "operators of the reference": _operator_in_both,
}
