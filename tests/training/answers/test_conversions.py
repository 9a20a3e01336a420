"""A number that is to be written in another form: a copy is not paid, however its digits look."""

import pytest

from training.answers.quick import judge

# Question, reference, wrong answers, right ones.
TABLE = [
    *(
        (question, r"\frac38", [".375", "0.3750", "00.375", "+0.375", r"37.5\%"], ["3/8"])
        for question in (
            "Convert 0.375 to a fraction.",
            "Write 0.375 as a fraction.",
            "What is 0.375 in fraction form?",
            "What fraction is equal to 0.375?",
            "Give the fraction equivalent of 0.375.",
        )
    ),
    ("What percent of 9 is 3? Round to one decimal.", "33.3", ["33.4"], [r"33.3\%"]),
    ("By what percent does it rise? Give it as a decimal.", "12.5", [], [r"12.5\%"]),
    ("What must be added to the fraction 2/5 to get 3/5?", r"\frac15", ["0.3"], ["0.2"]),
    ("Add 0.5 to the decimal 0.25.", "0.75", [], [r"\frac34"]),
    ("Write 0.4 as a fraction in lowest terms.", r"\frac25", ["0.40", r"\frac4{10}"], ["2/5"]),
    ("Write 0.4 as the simplest fraction.", r"\frac25", ["0.40", r"\frac4{10}"], ["2/5"]),
    ("Write 1.4 as a simplified mixed number.", r"1\frac25", ["1.4", "7/5"], ["1 2/5"]),
    (
        "How long is it, to the nearest minute?",
        r"90 \text{ minutes}",
        ["1 hour 31 minutes", r"\frac{181}2 minutes"],
        ["1 hour 30 minutes", "90 min"],
    ),
    ("How tall is he, to the nearest inch?", "63 inches", ["5 feet 4 inches"], ["5 feet 3 inches"]),
    ("Write 14:30 in 12-hour format.", "2:30", ["14:30"], ["2:30 PM", "2:30"]),
    ("Write 14:30 in 12-hour format.", "2:30 PM", ["2:30"], ["2:30 PM"]),
    ("Write 2:30 in the 24-hour format.", "2:30", ["2:30 AM"], ["2:30"]),
    ("Convert 0.375 to a fraction.", r"\frac38", ["0.375=0.375", r"3.75\times10^{-1}"], []),
    *(
        (question, "0.75", [r"\frac34", "3/4", r"75\%", r"\frac{75}{100}"], ["0.750", ".75"])
        for question in (
            r"Convert $\frac{3}{4}$ to a decimal.",
            r"What is $\frac34$ in decimal form?",
            r"Find the decimal equivalent of $\frac34$.",
            r"What decimal is equal to $\frac34$?",
        )
    ),
    (r"Change $\frac34$ to a percent.", r"75\%", [r"\frac34", "3/4", "0.75"], ["75", r"75\%"]),
    ("Convert 45% to a decimal.", "0.45", [r"45.0\%", r"45 \text{ percent}"], ["0.45"]),
    ("Convert 45% to a fraction.", "9/20", [r"45.0\%", "0.45", r"\frac{45}{100}"], ["9/20"]),
    *(
        (question, r"\frac{17}{5}", [r"3\frac{2}{5}", "3 2/5", "3.4", r"\frac{34}{10}"], ["17/5"])
        for question in (
            r"Convert $3\frac25$ to an improper fraction.",
            r"Change $3\tfrac25$ into an improper fraction.",
            "Write 3 2/5 as an improper fraction.",
        )
    ),
    (r"Change $3\tfrac25$ to a fraction.", r"\frac{17}{5}", [r"3\frac{2}{5}", "3 2/5"], ["17/5"]),
    (
        r"Convert $\frac{17}{5}$ to a mixed number.",
        r"3\frac25",
        ["17/5", r"\dfrac{17}5", r"\frac{34}{10}", "3.4"],
        ["3 2/5", r"3\frac{2}{5}"],
    ),
    (
        r"Find the repeating decimal of $\frac{4}{11}$.",
        r"0.\overline{36}",
        ["4/11", r"\frac4{11}"],
        [r"0.\overline{36}", r"0.\overline{3636}"],
    ),
    (
        "Express 0.00032 in scientific notation.",
        r"3.2\times10^{-4}",
        ["0.00032", ".00032", "0.000320", r"32\times10^{-5}"],
        [r"3.2\cdot10^{-4}", "3.2e-4"],
    ),
    *(
        (
            question,
            "4500000",
            ["4.5e6", r"45\times10^5", r"4.50\times10^6", r"4.5\text{ million}"],
            ["4,500,000"],
        )
        for question in (
            r"Write $4.5\times10^6$ in standard notation.",
            r"Write $4.5\times10^6$ as an ordinary number.",
        )
    ),
    ("Write 5:30 PM in 24-hour time.", "17:30", ["5:30 pm", "05:30 PM", "5:30"], ["17:30"]),
    ("Write 17:30 in 12-hour time.", "5:30 PM", ["17:30", "5:30"], ["5:30 p.m."]),
    *(
        (
            "Express 7 hours 30 minutes in hours.",
            reference,
            [r"7\text{ hours }30\text{ minutes}", r"7\text{ h }30\text{ min}"],
            ["7.5", r"7.5\text{ hours}", r"7\frac12"],
        )
        for reference in ("7.5", r"7.5\text{ hours}")
    ),
    *(
        (
            "Convert 90 minutes to hours.",
            reference,
            [r"90\text{ minutes}", r"90.0\text{ min}", "90"],
            ["1.5", r"1.5\text{ hours}", r"1\frac12"],
        )
        for reference in ("1.5", r"1.5\text{ hours}")
    ),
    (
        "Convert 90 minutes to hours.",
        "1.5",
        [
            r"0\text{ hours }90\text{ minutes}",
            r"0.5\text{ hours }60\text{ minutes}",
            r"1\text{ hour }90\text{ minutes}",
        ],
        [r"1\text{ hour }30\text{ minutes}"],
    ),
    (
        "Convert 30 inches to feet.",
        "2.5",
        [r"1\text{ ft }18\text{ in}"],
        [r"2\text{ ft }6\text{ in}"],
    ),
    (
        r"Evaluate $\frac{1}{\sqrt2}$ with a rational denominator.",
        r"\frac{\sqrt2}{2}",
        [r"2^{-1/2}", r"\sqrt{\frac12}", r"\sqrt{0.5}"],
        [r"\frac12\sqrt2"],
    ),
    # Where no form is asked for, another writing of the value is right.
    ("What fraction of the pizza is left?", r"\frac14", [], ["0.25", r"25\%"]),
    ("How long did it take?", r"1.5\text{ hours}", [], [r"1\text{ hour }30\text{ minutes}"]),
    ("What is the probability of a red ball?", r"\frac38", [], ["0.375", "3/8"]),
]


@pytest.mark.parametrize(("question", "reference", "wrong", "right"), TABLE)
def test_a_copy_is_no_conversion(
    question: str, reference: str, wrong: list[str], right: list[str]
) -> None:
    for answers, outcomes in ((wrong, ("wrong", "unparseable")), (right, ("right",))):
        for answer in answers:
            verdict = judge(answer, reference, question)
            assert verdict is not None
            assert verdict.outcome in outcomes, (answer, verdict)
