"""Pairs whose truth hangs on what the question fixes: its choices, an order, a form, a name."""

from collections.abc import Callable, Mapping
from random import Random

Asked = tuple[str, str, str]  # answer, reference, question

_WORDS = ("femur", "tibia", "ulna", "heart", "liver", "lung", "dog", "cat", "owl", "fox")
_MARKS = ("({})", "{}.", "{})", "{}:")


def _choices(rng: Random) -> tuple[list[str], str]:
    """Four choices, and a question that lists them."""
    kind = rng.choice(("words", "numbers", "polynomials"))
    if kind == "words":
        texts = rng.sample(_WORDS, 4)
    elif kind == "numbers":
        texts = [str(number) for number in rng.sample(range(2, 99), 4)]
    else:
        texts = [f"x^2+{number}" for number in rng.sample(range(2, 99), 4)]
    shown = [f"${text}$" if "x" in text and kind == "polynomials" else text for text in texts]
    mark = rng.choice(_MARKS)
    listed = (f"{mark.format(letter)} {text}" for letter, text in zip("ABCD", shown, strict=True))
    return texts, "Which one is it? " + rng.choice((" ", "\n")).join(listed)


def _with_text(rng: Random, letter: str, text: str) -> str:
    shown = rf"\text{{{text}}}" if text.isalpha() else text
    ways = ("{}. {}", "({}) {}", "{}) {}", "{}: {}", "{} - {}", r"\textbf{{({})}}\ {}")
    return rng.choice(ways).format(letter, shown)


def choice_with_text(rng: Random) -> Asked:
    """The letter with the text of its choice."""
    texts, question = _choices(rng)
    place = rng.randrange(4)
    return _with_text(rng, "ABCD"[place], texts[place]), "ABCD"[place], question


def choice_with_other_text(rng: Random) -> Asked:
    """The letter with the text of another choice or of none, or another letter with its text."""
    texts, question = _choices(rng)
    place, other = rng.sample(range(4), 2)
    letter, text = rng.choice(
        [
            ("ABCD"[place], texts[other]),
            ("ABCD"[other], texts[place]),
            ("ABCD"[place], f"{texts[place]}, {texts[other]}"),
            ("ABCD"[place], "none of these"),
        ]
    )
    return _with_text(rng, letter, text), "ABCD"[place], question


def _two(rng: Random) -> tuple[int, int, str, str, str]:
    """Two values, their names and a question that names them in this order."""
    a, b = rng.sample(range(2, 90), 2)
    first, second = rng.sample("xyzab", 2)
    question = rng.choice(
        [
            f"Find the values of ${first}$ and ${second}$.",
            f"Solve for {first} and {second}.",
            f"Find $({first}, {second})$, that is, ${first}$ and ${second}$, respectively.",
        ]
    )
    return a, b, first, second, question


def in_order(rng: Random) -> Asked:
    """Values in the order in which they are asked for, or with their labels in any."""
    a, b, first, second, question = _two(rng)
    ways = (f"{a}, {b}", f"{first} = {a}, {second} = {b}", f"{second} = {b}, {first} = {a}")
    return rng.choice(ways), f"{a}, {b}", question


def out_of_order(rng: Random) -> Asked:
    """The same values, each for the other."""
    a, b, first, second, question = _two(rng)
    ways = (f"{b}, {a}", f"{first} = {b}, {second} = {a}", f"{second} = {a}, {first} = {b}")
    return rng.choice(ways), f"{a}, {b}", question


def other_form(rng: Random) -> Asked:
    """The value that is asked for, in another form."""
    a, b, k = rng.randint(2, 9), rng.randint(2, 9), rng.randint(2, 6)
    n = rng.randint(100, 999)
    return rng.choice(
        [
            (f"({k}x + {k * a})(x + {b})", f"{k}(x + {a})(x + {b})", "Factor it completely."),
            (f"{k}(x^2 + {a + b}x + {a * b})", f"{k}(x + {a})(x + {b})", "Factor it completely."),
            (f"x(x + {a}) + {b}", f"x^2 + {a}x + {b}", "Expand the product."),
            (rf"\sqrt{{{a * a * 2}}}", rf"{a}\sqrt{{2}}", "Simplify the root."),
            (rf"\frac{{{a}}}{{\sqrt{{3}}}}", rf"\frac{{{a}\sqrt{{3}}}}{{3}}", "Rationalize it."),
            (rf"\frac{{{k}}}{{{k * 11}}}", r"\frac{1}{11}", "Write it in lowest terms."),
            (rf"\frac{{{10 * n + 1}}}{{10000}}", f"0.{n}1", "Write it as a decimal."),
            (f"0.0{2 * a + 1}", rf"\frac{{{2 * a + 1}}}{{100}}", "Write it as a fraction."),
            (f"{n}.47", f"{n}.5", "Round it to the nearest tenth."),
            (f"{n}.{k}4", f"{n}.{k}", "Round it to the nearest tenth."),
            (
                f"{n}00000",
                rf"{n // 100}.{n % 100:02} \times 10^7",
                "Write it in scientific notation.",
            ),
        ]
    )


def the_form(rng: Random) -> Asked:
    """The form that is asked for, written in another order."""
    a, b, k = rng.randint(2, 9), rng.randint(10, 19), rng.randint(2, 6)
    n = rng.randint(100, 999)
    return rng.choice(
        [
            (f"{k}(x + {b})(x + {a})", f"{k}(x + {a})(x + {b})", "Factor it completely."),
            (f"{b} + {a}x + x^2", f"x^2 + {a}x + {b}", "Expand the product."),
            (rf"\sqrt{{2}} \cdot {a}", rf"{a}\sqrt{{2}}", "Simplify the root."),
            (f"1/{b}", rf"\frac{{1}}{{{b}}}", "Write it in lowest terms."),
            (f"0.{n}0", f"0.{n}", "Write it as a decimal."),
            (rf"x \approx {n}.{k}", f"{n}.{k}", "Round it to the nearest tenth."),
            (f"x = {k},{n}", str(1000 * k + n), "How much profit was it?"),
        ]
    )


def other_side(rng: Random) -> Asked:
    """The value with another left side than what is asked for."""
    n, a = rng.randint(2, 90), rng.randint(2, 9)
    return rng.choice(
        [
            (f"x = {n}", str(n), f"Find ${a}x + 1$ if ${a}x = {n - 1}$."),
            (f"f({a}) = {n}", str(n), f"Find $f({a + 1})$."),
            (rf"m\angle {a} = {n}^\circ", str(n), r"Find the measure of $\angle 1$."),
            (rf"\text{{product}} = {n}", str(n), "Find the sum of the roots."),
            (rf"\text{{diameter}} = {n}", str(n), "What is the radius of the circle?"),
            (f"{n} cm", str(n), "Find the area of the figure."),
            (f"{n} m^2", str(n), "Find the volume of the box."),
            (f"{n} hours", str(n), "How far is he from home?"),
            (f"{n} A", str(n), "What is the current in mA?"),
        ]
    )


def the_side(rng: Random) -> Asked:
    """The value with a left side, or a unit, that says what is asked for."""
    n, a = rng.randint(2, 90), rng.randint(2, 9)
    return rng.choice(
        [
            (f"{a}x + 1 = {n}", str(n), f"Find ${a}x + 1$ if ${a}x = {n - 1}$."),
            (f"f({a}) = {n}", str(n), f"Find $f({a})$."),
            (rf"m\angle {a} = {n}^\circ", str(n), rf"Find the measure of $\angle {a}$."),
            (f"{n} = x", str(n), "Find $x$."),
            (rf"\overline{{AB}} = {n}", str(n), "Find $AB$."),
            (f"{n} cm^2", str(n), "Find the area of the figure."),
            (rf"{n} \text{{ years old}}", str(n), "How old is Tom?"),
            (rf"{n}\,\mathrm{{mA}}", str(n), "What is the current in mA?"),
        ]
    )


WRONG: Mapping[str, Callable[[Random], Asked]] = {
    "letters with another choice's text": choice_with_other_text,
    "values out of their order": out_of_order,
    "other forms than asked for": other_form,
    "other names and kinds than asked for": other_side,
}
RIGHT: Mapping[str, Callable[[Random], Asked]] = {
    "letters with their choice's text": choice_with_text,
    "values in their order": in_order,
    "forms as asked for": the_form,
    "names and kinds as asked for": the_side,
}
