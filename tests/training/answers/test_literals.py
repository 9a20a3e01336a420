"""Ratios, times of day, dates, sizes and bases: written in other signs they stay what they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.answers.literal import same_date, same_ratio, same_time
from training.answers.quick import judge

RATIO, CLOCK = "What is the ratio of boys to girls?", "At what time does it arrive?"
CHANCE, BASE = "What is the probability?", "Convert 11 to base 2."


@pytest.mark.parametrize(
    ("question", "reference", "answer", "right"),
    [
        (RATIO, "3:2", r"\frac{3}{2}", True),
        (RATIO, "3:2", "3/2", True),
        (RATIO, "3:2", r"3 \text{ to } 2", True),
        (RATIO, r"\frac32", "3:2", True),
        (RATIO, "3:2", r"\frac{2}{3}", False),
        (RATIO, "3:2", "6/4", False),
        (RATIO, "3:2", "1.5", False),
        (RATIO, "3:2", "3-2", False),
        (RATIO + " Write it as a common fraction.", r"\frac32", "3:2", False),
        ("What was the score?", "3:2", "3/2", False),
        (CHANCE, r"\frac14", "1:4", False),
        (CHANCE, r"\frac14", r"1 \text{ in } 4", True),
        (CHANCE, r"\frac14", r"1 \text{ out of } 4", True),
        (CHANCE, r"\frac14", r"4 \text{ in } 1", False),
        (CHANCE, r"\frac14", r"P(\text{both}) = \frac14", True),
        ("Find $P(A)$.", r"\frac14", r"P(B) = \frac14", False),
        (CHANCE, r"\frac14", r"P(\text{not both}) = \frac14", False),
        (CLOCK, "5:30", r"5:30 \text{ PM}", True),
        (CLOCK, "5:30 PM", r"5:30 \text{ p.m.}", True),
        (CLOCK, "5:30 PM", "17:30", True),
        (CLOCK, "5:00 PM", r"5 \text{ p.m.}", True),
        (CLOCK, "5:30 PM", "5:30", False),
        (CLOCK, "5:30 PM", r"5:30 \text{ AM}", False),
        (CLOCK, "5:30 PM", r"17:30 \text{ PM}", False),
        (CLOCK, "12:15 PM", r"12:15 \text{ AM}", False),
        (CLOCK, "17:30", r"5:30 \text{ AM}", False),
        (CLOCK, "5:30 PM", "5.5", False),
        ("On which day?", "May 12", r"\text{12 May}", True),
        ("On which day?", "May 12", r"\text{May 12th, 2020}", True),
        ("On which day?", "2020-05-12", r"\text{May 12, 2020}", True),
        ("On which day?", "May 12, 2020", r"\text{May 12}", False),
        ("On which day?", "May 12", r"\text{May 13}", False),
        ("On which day?", "May 12", "12", False),
        ("On which day?", "Friday", r"\text{on Friday}", True),
        ("What size is it?", r"2 \times 3", r"2 \text{ by } 3", True),
        ("What size is it?", r"2 \times 3", r"3 \text{ by } 2", False),
        ("Which class is modal?", "10-20", r"10 \text{ to } 20", True),
        ("Which class is modal?", "10-20", r"20 \text{ to } 10", False),
        ("Which class is modal?", "10-20", "10:20", False),
        (BASE, "1011_2", r"1011_{\text{two}}", True),
        (BASE, "1011_2", r"1011_{\text{three}}", False),
        ("Write it to base two.", "1011", "1011_2", True),
    ],
)
def test_what_is_no_arithmetic(question, reference, answer, right):
    verdict = judge(answer, reference, question)
    assert verdict is not None
    assert (verdict.outcome == "right") is right, verdict


@given(st.integers(0, 23), st.integers(0, 59))
def test_a_time_is_the_same_with_twelve_hours_or_with_more(hour, minute):
    half = "AM" if hour < 12 else "PM"
    in_words = f"{(hour - 1) % 12 + 1}:{minute:02} {half}"
    if hour > 12:
        assert same_time(f"{hour}:{minute:02}", in_words)
    assert same_time(in_words, f"{hour:02}:{minute:02}")
    assert not same_time(in_words, f"{hour:02}:{(minute + 1) % 60:02}")
    assert not same_time(in_words.replace(half, "AM" if half == "PM" else "PM"), in_words)


@given(st.integers(1, 60), st.integers(1, 60))
def test_a_ratio_is_a_fraction_of_the_same_numbers(first, second):
    assert same_ratio(f"{first}/{second}", f"{first}:{second}")
    assert same_ratio(f"{first}:{second}", rf"\frac{{{first}}}{{{second}}}")
    assert bool(same_ratio(f"{second}/{first}", f"{first}:{second}")) is (first == second)
    assert same_ratio(f"{first}:{second}", f"{first}:{second}") is None


def test_what_is_no_date_or_time_is_left_to_others():
    assert same_date("5", "5") is None and same_time("5", "5") is None
    assert same_time("4:30", "3:45") is None
