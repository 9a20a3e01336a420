"""What else a question asks for: a quantity, a form; and boxes that are a part of a text."""

import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from training.answers import extract_boxed
from training.answers.kinds import _KINDS
from training.answers.questions import _SAYS_MONEY, _says_money
from training.answers.quick import judge


@pytest.mark.parametrize(
    ("question", "reference", "answer", "right"),
    [
        ("What is the area of the triangle?", "50", r"\text{perimeter}=50", False),
        ("What is the area of the triangle?", "50", "A = 50", True),
        ("Find the median.", "50", "mean = 50", False),
        ("What is the length of segment $AB$?", "50", "AC = 50", False),
        ("What is the length of segment $AB$?", "50", "BA = 50", True),
        (r"Find $m\angle A$.", "50", r"m\angle B = 50^\circ", False),
        (r"Find $m\angle A$.", "50", r"m\angle A = 50^\circ", True),
        ("What does $x$ equal?", "50", "z = 50", False),
        ("What is the value of $x+1$?", "50", "x = 50", False),
        ("What is the value of $f(2)$?", "5", "f(2) = 5", True),
        ("What is the value of $f(2)$?", "5", "f(3) = 5", False),
        ("Factor $x^2-5x+6$.", "(x-3)(x-2)", "x(x-5)+6", False),
        ("Expand $(x-3)(x-2)$.", "x^2-5x+6", "(2-x)(3-x)", False),
        ("Expand $(x-3)(x-2)$.", "x^2-5x+6", "6-5x+x^2", True),
        ("Write it in scientific notation.", r"1.5\times10^4", r"15\times10^3", False),
        (r"Simplify $\sqrt{8}$.", r"2\sqrt{2}", "8^{1/2}", False),
        ("What is its area?", r"36\pi", r"36\pi \text{ square inches}", True),
        ("How fast is it?", r"2\sqrt{3}", r"2\sqrt{3} \text{ miles per hour}", True),
    ],
)
def test_an_answer_says_what_is_asked_for(question, reference, answer, right):
    verdict = judge(answer, reference, question)
    assert verdict is not None
    assert (verdict.outcome == "right") is right


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("x = 2,500", True),
        (r"\text{Profit} = \$2,500", True),
        (r"\approx 2,500", True),
        ("2,466 + 34 = 2,500", True),
        (r"\$5,000 - \$2,500 = \$2,500", True),
        ("x = 2, 500", False),
        ("x = 2,50", False),
        ("x = 2,500,0", False),
        ("x = 2,500 or 3", False),
        ("(2,500)", False),
        ("2,466 + 35 = 2,500", False),
    ],
)
def test_thousands_commas_stand_beside_signs(answer, right):
    verdict = judge(answer, "2500", "How much profit was it?")
    assert verdict is not None
    assert (verdict.outcome == "right") is right, verdict


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"x=\boxed{5} \text{ or } x=\boxed{6}", "5 or 6"),
        (r"\boxed{5}. The second answer: \boxed{6}", "5 or 6"),
        (r"\boxed{5} or 6", None),
        (r"\boxed{5} or maybe 6", None),
        (r"\boxed{5} (or 6)", None),
        (r"\boxed{5}, 6, or 7", None),
        (r"Either 6 or $\boxed{5}$", None),
        (r"6, 8, \boxed{5}", None),
        (r"$-(\boxed{5})$", None),
        (r"$2(\boxed{5})$", None),
        (r"$\boxed{5}! = 120$", None),
        (r"$x \neq \boxed{5}$", None),
        (r"The answer is not $\boxed{5}$.", None),
        (r"\boxed{6} or, more likely, \boxed{5}", "6 or 5"),
        (r"If red: \boxed{6}. If green: \boxed{5}.", "6 or 5"),
        (r"Option 1: \boxed{6}, option 2: \boxed{5}", "6 or 5"),
        (r"Since 2 + 3 = 5, \boxed{5}", "5"),
        (r"There is no other, so $x = \boxed{5}$, which is more than 4", "5"),
        (r"\boxed{5}! That is all.", "5"),
        (r"\boxed{6} was wrong; it is \boxed{5}", "5"),
        (r"\boxed{5}x", None),
        (r"$\boxed{5}$ thousand", None),
        (r"\boxed{50} percent", "50%"),
        (r"$x=\boxed{5}$ and we are done", "5"),
        (r"First $\boxed{3}$. The final one is $\boxed{4}$.", "4"),
    ],
)
def test_what_stands_around_a_box_counts(text, answer):
    assert extract_boxed(text) == answer


SIGNS = st.sampled_from([*string.ascii_letters, *string.digits, *" .,?:;'-+=<>%$\\(){}^_/°∠≤€"])


@pytest.mark.parametrize(("words", "pattern", "kind"), _KINDS)
@settings(max_examples=4, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_kind_is_looked_for_wherever_one_of_its_words_stands(words, pattern, kind, data):
    """So that looking for the words first, which saves time, changes nothing."""
    sentence = data.draw(st.from_regex(pattern, alphabet=SIGNS))
    assert any(word in sentence.casefold() for word in words), (kind, sentence)


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(st.from_regex(_SAYS_MONEY, alphabet=SIGNS))
def test_money_is_looked_for_wherever_a_question_may_speak_of_it(sentence):
    assert _says_money(sentence)
