"""What a policy under reward would find (echoes, hedges, words as units), and right answers."""

import os
import signal
import sys

import pytest

from training.answers import Verifier
from training.answers.boxed import extract_boxed
from training.answers.quick import judge
from training.answers.verifier import _Worker

FLOOR = r"\lfloor x \rfloor"

# The answer repeats the question, or leaves an operator for the reader.
ECHOES = [
    *[(r"\int_0^1 x dx", r"\frac{1}{2}"), (r"\lim_{x \to 0} \frac{\sin x}{x}", "1")],
    *[(r"\sum_{n=1}^{10} n", "55"), (r"\prod_{n=1}^{3} n", "6"), (r"\frac{d}{dx} x^2", "2x")],
    *[(r"\begin{vmatrix} 1 & 2 \\ 3 & 4 \end{vmatrix}", "-2"), (r"\det A", "-2")],
    *[
        (r"\gcd(12, 18)", "6"),
        (r"17 \bmod 5", "2"),
        (r"17 \mod 5", "2"),
        (r"\lceil 2.3 \rceil", "3"),
    ],
    *[(r"\lfloor 3.7 \rfloor", "3"), (r"\sin 30^\circ", "0.5"), (r"\cos(\pi)", "-1")],
    *[(r"{10 \over 2}", "5"), (r"\frac{\frac{1}{2}}{3}", r"\frac{1}{6}"), (r"\log_2 8", "3")],
    *[("24/2", "12.0"), ("24/2", "12"), (r"\frac{24}{2}", "12.0"), ("-(-5)", "5"), ("1-(-2)", "3")],
    *[(r"\sqrt{0.25}", "0.5"), ("x + 2x", "3x"), (r"x^2 \cdot x^3", "x^5"), (r"(x^2)^3", "x^6")],
    *[(r"\frac{x^5}{x^2}", "x^3"), (r"\frac{6x}{2}", "3x"), (r"\sqrt{2}\sqrt{3}", r"\sqrt{6}")],
    *[(r"(1+\sqrt{2})^2", r"3+2\sqrt{2}"), (r"e^{\ln 5}", "5"), ("e^0", "1"), ("i^2", "-1")],
    *[
        (r"\binom{5}{2}", "10"),
        ("(2+3, 4)", "(5, 4)"),
        (r"\{1+1, 3\}", r"\{2, 3\}"),
        ("10^3", "1000"),
    ],
    *[(r"2(3+\pi) - 6", r"2\pi"), (r"3 + (2 + \pi)", r"5+\pi"), (r"\sqrt[2.5]{32}", "4")],
    *[(r"\frac{1}{1+i}", r"\frac{1-i}{2}"), (r"e^{i\pi}", "-1")],
    *[(r"\int_0^1 x dx", r"\lfloor \frac{1}{2} \rfloor"), ("2 + 3", r"\lfloor 5.2 \rfloor")],
]
WORDS = [
    *[("5 is wrong", "5"), ("5 minus two", "5"), ("5 but maybe six", "5"), ("5 thousands", "5")],
    *[
        ("5 squared", "5"),
        ("5 pi", "5"),
        ("3 halves", "3"),
        (r"5 \text{maybe}", "5"),
        ("5 zorps", "5"),
    ],
    *[("5 dozen", "5"), ("5 pairs", "5"), ("5 wrong", "5 zorps"), ("5 zorps", "5 apples")],
    *[("5n", "5"), ("5 n", "5"), ("5t", "5"), ("5m", "5"), ("5 k", "5"), ("5 j", "5")],
    *[("5K", "5"), ("5 point", "5"), ("5 prime", "5")],
    *[("not = 5", "5"), ("the answer is not: 5", "5"), ("wrong answer: 5", "5")],
]
OTHERS = [
    *[("y=3", "x=3"), ("0.5", r"0.5\%"), (r"0.5\%", "0.5"), ("1", r"1\%"), (r"3 \pm 0", "3")],
    *[("x+2=x+1", "x+1"), ("12+8=19", "19"), ("x = x + 1", "x = x + 2"), ("x^2 = 9", "9")],
    *[("0.67", r"\frac{2}{3}"), ("3.14", r"\pi"), ("1.41", r"\sqrt{2}"), ("333.4", "1000/3")],
    *[(r"\frac{3}{5}", "0.67"), (r"1+\sqrt{2}", "2.42"), (r"0.\overline{3}", "1/4")],
    *[(r"x \geq 2", r"(2,\infty)"), ("x<2", r"(2,\infty)"), ("y > 2", "x > 2"), ("AC", "A,C,D")],
    *[("x > 1 and x < 3", r"(-\infty, 1) \cup (3, \infty)"), ("Option C", "B"), ("1 001", "1000")],
    *[("1250 cents", r"\$125"), ("12.50 cents", r"\$12.50"), ("y = 1 or y = 2", "x = 1, x = 2")],
    *[("A is wrong", "A"), ("not B", "B"), ("x=1, y=2", "x=2, y=1"), ("Option A or B", "A")],
    *[("B. 12 but rather C", "B"), ("A. 3, maybe b", "A"), ("3:4:5", "3:4"), ("1 m", "104 cm")],
    *[
        ("12_8", "12"),
        ("1010_2", "10_{10}"),
        ("8%", "0.083"),
        ("(y, x) = (1, 2)", "(x, y) = (1, 2)"),
    ],
    *[("AB = 5", "CD = 5"), ("f(3) = 5", "g(3) = 5"), ("area = 12", "perimeter = 12")],
    (r"\angle A = 30", r"\angle B = 30"),
]
RIGHT = [
    *[(r"\frac{2}{3}", "0.67"), ("2/3", "0.67"), (r"1+\sqrt2", "2.41"), (r"0.\overline{3}", "1/3")],
    *[("1/3", r"0.\overline{3}"), ("x>2", r"(2,\infty)"), ("2 < x", "x > 2"), ("Option B", "B")],
    *[("ACD", "A,C,D"), ("A, C, D", "ACD"), ("A and C", "A, C"), ("1 000", "1000")],
    *[("1250 cents", r"\$12.50"), (r"\$12.50", "1250 cents"), ("y = 2x + 1", "2x+1"), ("x=3", "3")],
    *[("12 apples", "12"), ("5 zorps", "5 zorps"), ("5", "5 zorps"), ("12 red apples", "12")],
    *[("5 m", "5"), ("5m", "5 m"), ("5 N", "5"), ("5 L", "5000 mL"), ("AC", "A,C")],
    *[(r"50\%", "0.5"), (r"50\%", "50"), ("50", r"50\%"), (r"0.5\%", "0.005"), (r"150\%", "1.5")],
    *[("The answer is: 5", "5"), (r"A = \pi r^2 = 9\pi", r"9\pi"), ("y - 2x = 1", "y = 2x + 1")],
    *[(r"\int_0^1 f dx", r"\int_0^1 f dx"), (r"\sin x", r"\sin x"), (r"2\ln 2", r"\ln 4")],
    *[(r"-\frac{\sqrt{3}}{2}", r"-\frac{\sqrt 3}{2}"), (r"2^{100}", r"2^{100}"), ("2+3i", "3i+2")],
    *[
        (r"\frac{1}{\sqrt2}", r"\frac{\sqrt2}{2}"),
        (r"9\pi \text{ cm}^2", r"9\pi"),
        ("1.5 million", "1500000"),
    ],
    *[("012_8", "12_{8}"), ("12", "12_8"), ("12.5%", "0.125"), ("3:4", "3:4"), ("B. 12 cm", "B")],
    *[("BA = 5", "AB = 5"), ("f = 2x", "f(x) = 2x"), ("total area = 12", "area = 12")],
    *[(r"\angle CBA = 30", r"\angle ABC = 30"), (r"\Delta = 5", "5"), ("(x,y)=(1,2)", "(1,2)")],
    *[(r"\frac{1-i}{2}", r"\frac{1}{2}-\frac{i}{2}"), ("5 points", "5")],
    *[("x = 2 or x = 1", "x=1, x=2"), ("1 hour 30 minutes", "90 minutes"), (r"\pi", "3.14")],
]


@pytest.mark.parametrize(("answer", "reference"), ECHOES + WORDS + OTHERS)
def test_nothing_is_paid(answer, reference):
    verdict = judge(answer, reference)
    assert verdict is not None and verdict.outcome != "right"


@pytest.mark.parametrize(("answer", "reference"), RIGHT)
def test_the_right_answer_is_paid(answer, reference):
    verdict = judge(answer, reference)
    assert verdict is not None and verdict.outcome == "right", verdict


@pytest.mark.parametrize(
    ("question", "answer", "right"),
    [
        (r"Solve for $x$: 2x + y = 7, y = 1.", "y = 3", False),
        (r"Solve for $x$: 2x + y = 7, y = 1.", "x = 3", True),
        ("Find the value of n if n + 4 = 7.", "m = 3", False),
        ("What is x?", "X = 3", True),
        ("How many apples are left?", "x = 3", True),
        ("Find x and y.", "y = 3", True),
        ("Find $x$ and $y$.", "y = 3", True),
        ("Find x, y.", "y = 3", True),
        ("Find $x_2$.", "x_1 = 3", False),
        ("Find $x_2$.", "x_2 = 3", True),
        ("Find BC.", "AB = 3", False),
        ("Find BC.", "CB = 3", True),
        ("Is it 3 or 4?", "3", True),
    ],
)
def test_a_question_names_the_variable(question, answer, right):
    verdict = judge(answer, "3", question)
    assert verdict is not None and (verdict.outcome == "right") is right


@pytest.mark.parametrize(
    ("question", "answer", "reference", "right"),
    [
        ("Factor $x^2 - 5x + 6$.", "x^2 - 5x + 6", "(x-2)(x-3)", False),
        ("Factor $x^2 - 5x + 6$.", "(x-3)(x-2)", "(x-2)(x-3)", True),
        (r"Simplify $\frac{1}{\sqrt2}$.", r"\frac{1}{\sqrt{2}}", r"\frac{\sqrt2}{2}", False),
        (r"Simplify $\frac{1}{\sqrt2}$.", r"\frac{\sqrt{2}}{2}", r"\frac{\sqrt2}{2}", True),
        ("Which is larger, 2/3 or 3/4?", "3/4", "3/4", True),
        ("Write 10 in base 8.", "12_8", "12", True),
        ("Write ten in words of 8.", "12_8", "12", False),
    ],
)
def test_the_question_repeated_is_no_answer(question, answer, reference, right):
    verdict = judge(answer, reference, question)
    assert verdict is not None and (verdict.outcome == "right") is right


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        *[(r"-\boxed{5}", None), (r"1\boxed{5}", None), (r"\boxed{5}0", None)],
        *[(r"\boxed{5} \cdot 10", None), (r"\boxed{5} + 1", None), (r"\boxed{5}/2", None)],
        *[(r"\sqrt{2}\boxed{5}", None), (r"\frac{\boxed{5}}{2}", None), (r"2^{\boxed{5}}", None)],
        *[(r"\boxed{5}\%", "5%"), (r"\boxed{5}%", "5%"), (r"\boxed{5}.", "5")],
        *[("so\n- \\boxed{5}", "5"), (r"1. \boxed{5}", "5"), (r"$$x = \boxed{5}$$", "5")],
        *[(r"\boxed{3} maybe \boxed{4}", "3 or 4"), (r"\boxed{3}, but no, \boxed{4}", "3 or 4")],
    ],
)
def test_a_box_is_an_answer_only_as_a_whole(text, answer):
    assert extract_boxed(text) == answer


@pytest.mark.parametrize(
    ("answer", "reference"),
    [("0.67", r"\frac{2}{3}"), ("3.14", r"\pi"), ("0.7", "2/3"), ("1.41", r"\sqrt{2}")],
)
def test_rounding_an_exact_reference_is_a_setting(answer, reference):
    with Verifier(accept_rounded=True) as lenient:
        assert lenient.verify([rf"\boxed{{{answer}}}"], [reference]) == ["right"]
        assert lenient.verify([r"\boxed{0.66}"], ["2/3"]) == ["wrong"]


@pytest.mark.parametrize(
    "answer",
    [
        *("9^{9^{9^{9^9}}}", "x" * 500, "9" * 50 + "x", "(" * 20 + "x" + ")" * 20, "1000!"),
        *("+".join(["x"] * 200), "2**3**4**5", "x^{12345}"),
    ],
)
def test_hostile_answers_are_refused_by_size_with_a_reason(answer):
    with Verifier() as verifier:
        for reference in ("x+1", rf"{FLOOR}! + 2^x"):
            verdict = verifier.judge([rf"\boxed{{{answer}}}"], [reference])[0]
            assert verdict.outcome in ("unparseable", "wrong")
            assert verdict.reason
        assert not verifier._workers, "no process is started for them"


def test_a_batch_has_a_budget(caplog):
    """Eight answers that would take four seconds each end together, told apart from wrong ones."""
    hostile = [rf"\boxed{{(x+y+z)^{{{200 + n}}} (x-y)^{{99}}}}" for n in range(8)]
    with Verifier(num_processes=2, timeout_seconds=60.0, batch_seconds=1.0) as verifier:
        verdicts = verifier.judge([*hostile, r"\boxed{7}"], [FLOOR] * 8 + ["7"])
        assert [one.outcome for one in verdicts] == ["timeout"] * 8 + ["right"]
        assert {one.reason for one in verdicts[:8]} >= {"unverifiable: 1 s a batch are spent"}
        assert verifier.num_timeouts == 8
        assert "of 9 answers are unverifiable" in caplog.text
        verifier._batch_seconds = 60.0  # the next batch has one of its own; the machine may be busy
        assert verifier.verify([rf"\boxed{{1 + {FLOOR}}}"], [rf"{FLOOR} + 1"]) == ["right"]


def test_the_start_of_a_process_is_not_of_its_batchs_time(tmp_path, monkeypatch):
    """One that takes a dead one's place starts within the batch."""
    late = tmp_path / "python"
    late.write_text(f'#!/bin/sh\nsleep 5\nexec {sys.executable} "$@"\n')
    late.chmod(0o755)
    with Verifier(num_processes=1, timeout_seconds=60, batch_seconds=4.0) as verifier:
        verifier.verify([rf"\boxed{{{FLOOR} + 2}}"], [f"2 + {FLOOR}"])
        monkeypatch.setattr(sys, "executable", str(late))
        send = _Worker.send

        def die(worker, pair):
            send(worker, pair)
            os.killpg(worker._process.pid, signal.SIGKILL)
            monkeypatch.setattr(_Worker, "send", send)

        monkeypatch.setattr(_Worker, "send", die)
        answers = [r"\boxed{(x+y+z)^{200} (x-y)^{99}}", rf"\boxed{{{FLOOR} + 3}}"]
        assert verifier.verify(answers, [FLOOR, f"3 + {FLOOR}"]) == ["crashed", "right"]
