"""MATH-500, AIME and MathVerse by the rules of their official scorers, written down once more.

What differs on purpose is named by the form of the answer, and is all that differs
(`docs/benchmarks.md` has the reasons).
"""

import math
import random
import re
from fractions import Fraction

import pytest

from tests.training.evaluation.official_cases import (
    CASES,
    OURS,
    THEIRS,
    differing,
    drawn_form,
    judged,
)
from training.evaluation.items import Rule
from training.evaluation.verdicts import judge, scorer


@pytest.fixture(scope="module")
def verifier():
    with scorer(num_processes=1) as one:
        yield one


# By the scorer of MATH, each of two texts is changed so, in this order, and compared to the letter.
PLAIN = (
    (r"\n|\\!", ""),
    (r"[td]frac", "frac"),
    (r"\\left|\\right|\^\{\\circ\}|\^\\circ|\\\$", ""),
    (r"\\text\{ .*", ""),  # a unit
    (r"\\%", ""),
    (r"(^| |\{)\.", r"\g<1>0."),
    (r"^[^=]{0,2}=([^=]*)$", r"\1"),  # `x =`
    (r"\\sqrt(\w)", r"\\sqrt{\1}"),
    (r" ", ""),
    (r"\\frac(\d)(\d)", r"\\frac{\1}{\2}"),
    (r"^0\.5$", r"\\frac{1}{2}"),
    (r"^(-?\d+)/(\d+)$", r"\\frac{\1}{\2}"),
)
WHOLE = re.compile(r"-?(\d+|\d{1,3}(,\d{3})+)(\.0*)?")
FRACTION = re.compile(r"-?\\frac\{\d+\}\{\d+\}|-?\d+/\d+")


def plain(text):
    for pattern, replacement in PLAIN:
        text = re.sub(pattern, replacement, text)
    return text


def is_right_by_math(answer, reference, has_its_value):
    """By MATH's scorer, or else by that of PRM800K, whose split MATH-500 is: equal in algebra.

    Whole numbers and fractions have to be written as such there; a comma of thousands, a unit and a
    sign of per cent or money are dropped first.
    """
    if plain(answer) == plain(reference):
        return True
    bare = re.sub(r"\\text\{([^}]*)\}", r"\1", answer)
    bare = re.sub(r"\\?[$%]|degrees?|cm|\^\\circ|\^\{\\circ\}|\\left|\\right", "", bare).strip()
    if bare == reference:
        return True
    if WHOLE.fullmatch(reference) or WHOLE.fullmatch(bare):
        return bool(WHOLE.fullmatch(reference) and WHOLE.fullmatch(bare)) and has_its_value
    if FRACTION.fullmatch(reference) and FRACTION.fullmatch(bare):
        return bare.replace("\\frac{", "").replace("}{", "/").rstrip("}") == reference.replace(
            "\\frac{", ""
        ).replace("}{", "/").rstrip("}")
    return has_its_value


def forms_of_whole_numbers(draws, number):
    """Form -> weight, the answer, and whether it has the number's value."""
    other = number + draws.choice([1, -1, 10])
    return {
        "as it is": (4, (f"{number}", True)),
        "another": (6, (f"{other}", False)),
        "with a name": (1, (f"x = {number}", True)),
        "in text": (1, (f"\\text{{{number}}}", True)),
        "with a unit": (1, (f"{number}\\text{{ cm}}", True)),
        "in degrees": (1, (f"{number}^\\circ", True)),
        "in dollars": (1, (f"\\${number}", True)),
        "in per cent": (1, (f"{number}\\%", True)),
        "with a decimal": (1, (f"{number}.0", True)),
        "as a fraction": (1, (f"\\frac{{{2 * number}}}{{2}}", True)),
        "as a sum": (1, (f"{number - 1} + 1", True)),
        "hedged": (1, (f"{number} or {other}", False)),
        "nothing": (1, ("", False)),
    }


def forms_of_fractions(draws, top, bottom):
    other, rounded = top + bottom, round(top / bottom, 1)
    return {
        "as it is": (4, (f"\\frac{{{top}}}{{{bottom}}}", True)),
        "another": (6, (f"\\frac{{{other}}}{{{bottom}}}", False)),
        "upside down": (1, (f"\\frac{{{bottom}}}{{{top}}}", False)),
        "displayed": (1, (f"\\dfrac{{{top}}}{{{bottom}}}", True)),
        "without braces": (1, (f"\\frac{top}{bottom}", True)),
        "on a line": (1, (f"{top}/{bottom}", True)),
        "with a name": (1, (f"x = \\frac{{{top}}}{{{bottom}}}", True)),
        "not in lowest terms": (1, (f"\\frac{{{2 * top}}}{{{2 * bottom}}}", True)),
        "as a decimal": (1, (f"{top / bottom:.3f}", 1000 % bottom == 0)),
        "rounded": (1, (f"{rounded}", Fraction(f"{rounded}") == Fraction(top, bottom))),
        "hedged": (1, (f"{top}/{bottom} or {other}/{bottom}", False)),
    }


def forms_of_expressions(draws, a, b):
    """Of `a x^2 + b`: the reference is written like this."""
    return {
        "as it is": (4, (f"{a}x^2+{b}", True)),
        "another": (6, (f"{a}x^2+{b + 1}", False)),
        "with spaces": (1, (f"{a} x^2 + {b}", True)),
        "in another order": (1, (f"{b}+{a}x^2", True)),
        "with other brackets": (1, (f"\\left({a}x^2+{b}\\right)", True)),
        "with a name": (1, (f"y={a}x^2+{b}", True)),
        "in another letter": (1, (f"{a}t^2+{b}", False)),
        "as an equation": (1, (f"{a}x^2+{b} = 0", False)),
    }


def math_cases(draws):
    """MATH-500's three most frequent kinds of reference, in the forms in which models answer."""
    kind = draws.choice(["whole number", "fraction", "expression"])
    if kind == "whole number":
        number = draws.randint(2, 900)
        reference, forms = f"{number}", forms_of_whole_numbers(draws, number)
    elif kind == "fraction":
        bottom = draws.choice([3, 4, 5, 7, 8, 9])
        top = draws.choice([one for one in range(2, 10) if math.gcd(one, bottom) == 1])
        reference, forms = f"\\frac{{{top}}}{{{bottom}}}", forms_of_fractions(draws, top, bottom)
    else:
        a, b = draws.randint(2, 9), draws.randint(2, 9)
        reference, forms = f"{a}x^2+{b}", forms_of_expressions(draws, a, b)
    form = drawn_form(draws, forms)
    return f"{kind} {form}", reference, *forms[form][1]


def test_mathematics_by_the_rules_of_math_and_prm800k(verifier):
    draws, cases = random.Random(14), []
    for _ in range(4 * CASES):
        form, reference, answer, has_its_value = math_cases(draws)
        official = is_right_by_math(answer, reference, has_its_value)
        cases.append((form, Rule("math", reference), answer, official))
    assert differing(cases, verifier) == {
        "whole number in dollars": THEIRS,  # the question does not speak of money
        "whole number in per cent": THEIRS,
        "fraction not in lowest terms": OURS,
    }


def test_aime_by_the_three_digits_of_its_answer_sheet(verifier):
    """A whole number from 000 to 999, filled in digit by digit: 73 is 073."""
    draws, cases = random.Random(15), []
    for _ in range(CASES):
        number = draws.randint(0, 999)
        other = draws.choice([number + 1, int(f"{number}"[::-1]), number + 1000])
        forms = {
            "as it is": (4, f"{number}"),
            "in three digits": (3, f"{number:03d}"),
            "another": (4, f"{other}"),
            "with a name": (1, f"x = {number}"),
            "with a decimal": (1, f"{number}.0"),
            "in degrees": (1, f"{number}^\\circ"),
            "as a sum": (1, f"{number - 1} + 1"),
            "hedged": (1, f"{number} or {other}"),
            "nothing": (1, ""),
        }
        form = drawn_form(draws, forms)
        answer = forms[form]
        sheet = re.fullmatch(r"\d{1,3}", answer[1])
        official = sheet is not None and int(sheet[0]) == number
        reference = draws.choice([f"{number}", f"{number:03d}"])  # as of 2025, and of 2024
        cases.append((form, Rule("math", reference), answer[1], official))
    assert differing(cases, verifier) == {
        "with a name": OURS,
        "with a decimal": OURS,
        "in degrees": OURS,
    }


def test_choices_by_the_rule_of_mathverse(verifier):
    """The extracted answer is the key to the letter, or, to its judge, the text of that choice."""
    draws, cases = random.Random(16), []
    for _ in range(CASES):
        texts = tuple(f"{number}°" for number in draws.sample(range(10, 180), 4))
        key = draws.randrange(4)
        index = key if draws.random() < 0.5 else draws.randrange(4)
        letter, text = "ABCD"[index], texts[index]
        forms = {
            "a letter": (4, (letter, index == key)),
            "its text": (2, (text, index == key)),
            "letter and text": (2, (f"{letter}:{text}", index == key)),
            "in brackets": (1, (f"({letter})", index == key)),
            "its value": (
                2,
                (text.replace("°", draws.choice(["", " degrees", ".0°"])), index == key),
            ),
            "of no choice": (1, (f"{draws.randint(200, 300)}°", False)),
            "with another's text": (1, (f"{letter}:{texts[(index + 1) % 4]}", False)),
            "with another's value": (1, (f"{letter}. {texts[(index + 1) % 4][:-1]}.0", False)),
            "hedged": (1, (f"{letter} or {'ABCD'[(index + 1) % 4]}", False)),
            "null": (1, ("null", False)),
        }
        form = drawn_form(draws, forms)
        answer, official = forms[form][1]
        cases.append((form, Rule("letter", "ABCD"[key], texts), answer, official))
    assert differing(cases, verifier) == {}


LENGTHS = {"mm": Fraction(1, 1000), "cm": Fraction(1, 100), "m": Fraction(1), "km": Fraction(1000)}


def test_free_answers_by_the_rule_of_mathverse(verifier):
    """To its judge 0.5 m and 50 cm mean the same, and what does not match in all is wrong."""
    draws, cases = random.Random(17), []
    for _ in range(CASES):
        number, unit = draws.randint(2, 400), draws.choice(["cm", "m"])
        other = draws.choice([one for one in LENGTHS if one != unit])
        converted = number * LENGTHS[unit] / LENGTHS[other]
        forms = {
            "as it is": (4, (f"{number} {unit}", True)),
            "in LaTeX": (2, (f"{number} \\mathrm{{~{unit}}}", True)),
            "converted": (2, (f"{float(converted):.10f}".rstrip("0").rstrip("."), other)),
            "another": (4, (f"{number + draws.choice([1, 10])} {unit}", False)),
            "the number in another unit": (3, (f"{number} {other}", False)),
            "without its unit": (1, (f"{number}", False)),
            "hedged": (1, (f"{number} {unit} or {number + 1} {unit}", False)),
            "null": (1, ("null", False)),
        }
        form = drawn_form(draws, forms)
        answer, official = forms[form][1]
        if form == "converted":
            answer, official = f"{answer} {other}", True
        cases.append((form, Rule("math", f"{number} {unit}"), answer, official))
    assert differing(cases, verifier) == {"without its unit": OURS}


def test_numbers_in_several_spellings_by_exact_values(verifier):
    """Numbers in several spellings, as the fractions that they are."""
    draws = random.Random(7)
    rules, answers, expected = [], [], []
    for _ in range(CASES):
        top, bottom = draws.randint(-20, 20), draws.choice([1, 1, 2, 4, 5, 7, 9])
        divisor = math.gcd(top, bottom)
        top, bottom = top // divisor, bottom // divisor
        other = top + draws.choice([0, 0, 1, -1, 10])
        common = math.gcd(other, bottom)
        up, down = other // common, bottom // common
        forms = [f"{up}" if down == 1 else f"\\frac{{{up}}}{{{down}}}"]
        forms.append(f"{up}" if down == 1 else f"{up}/{down}")
        answers.append(draws.choice(forms))
        rules.append(Rule("math", f"{top}" if bottom == 1 else f"\\frac{{{top}}}{{{bottom}}}"))
        expected.append(up * bottom == top * down)
    assert judged(rules, answers, verifier) == expected and 50 < sum(expected) < 200


@pytest.mark.parametrize(
    ("answer", "reference", "right"),
    [
        ("4.67", r"\frac{14}{3}", False),
        ("15.41", r"\frac{416}{27}", False),
        ("(0.667, 1)", r"(\frac23, 1)", False),
        ("4.5", r"\frac92", True),
        (r"\frac23", "0.67", True),
        (r"\frac23 = 0.667", r"\frac23", True),
        (r"x = \frac23 = 0.667", r"\frac23", True),
        (r"\frac23 = 0.676", r"\frac23", False),
        (r"\frac35 = 0.667", r"\frac23", False),
        ("0.333 + 0.334 = 0.667", r"\frac23", False),
        ("1 + 0.5 = 1.5", r"\frac32", True),
    ],
)
def test_a_rounded_decimal_is_no_fraction(answer, reference, right, verifier):
    """Save as a gloss on the fraction."""
    assert judged([Rule("math", reference)], [answer], verifier) == [right]


def test_a_decimal_is_rounded_where_the_question_or_the_recipe_says_so(verifier):
    questions = ["What is 1 / 3 to the nearest thousandth?", "What is 1 / 3?"]
    rules, answers = [Rule("math", r"\frac13")] * 2, [r"\boxed{0.333}"] * 2
    assert judge(rules, answers, questions, verifier) == ["right", "wrong"]
    with scorer(accept_rounded=True) as lenient:
        assert judge(rules, answers, questions, lenient) == ["right", "right"]
