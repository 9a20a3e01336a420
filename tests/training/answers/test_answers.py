"""Answers: extraction, the exact fast path, math-verify in killable processes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import RevisualError
from training.answers import (
    MAX_ANSWER_CHARS,
    Verifier,
    count_outcomes,
    extract_boxed,
    verify,
    verify_in_process,
)
from training.answers.quick import judge

ROOT = Path(__file__).parents[3]
# References beyond our own grammar go to math-verify.
FLOOR = r"\lfloor x \rfloor"
HANGS = "(x+y+z)^{200} (x-y)^{99}"  # math-verify would expand it
# Where nothing is meant to end by the clock: the machine may be busy.
CALM = {"timeout_seconds": 60, "batch_seconds": 600}


def boxed(answer):
    return f"<think> so </think> The answer is $\\boxed{{{answer}}}$."


def decide(answer, reference):
    """True or False; None if rules alone can't tell, or the answer can't be read."""
    verdict = judge(answer, reference)
    known = {"right": True, "wrong": False}
    return known.get(verdict.outcome) if verdict else None


@pytest.fixture(scope="module")
def verifier():
    with Verifier(num_processes=2, **CALM) as shared:
        yield shared


class TestExtraction:
    @pytest.mark.parametrize(
        ("text", "answer"),
        [
            (r"so \boxed{42}.", "42"),
            (r"first \boxed{1}, then rather: \boxed{2}", "2"),
            (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
            (r"\boxed{\{1, 2\}} done", r"\{1, 2\}"),
            (r"\boxed {7}", "7"),
            (r"\boxed{\boxed{4}}", "4"),
            (r"\boxed{ 3 }", "3"),
            (r"\boxed{3}, \boxed{3}", "3"),
            (r"$\boxed{3}$ or $\boxed{4}$", "3 or 4"),
            (r"\boxed{1} \boxed{2}. \boxed{3}", "1 or 2 or 3"),
        ],
    )
    def test_the_last_box_counts(self, text, answer):
        assert extract_boxed(text) == answer

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "42",
            r"\boxed{}",
            r"\boxed{ }",
            r"\boxed 42",
            r"\boxed{4",
            r"\boxed{1} and then \boxed{",
            r"\boxed{\boxed{1} \boxed{2}}",
            r"\boxed{" + "1" * (MAX_ANSWER_CHARS + 1) + "}",
        ],
    )
    def test_no_answer(self, text):
        assert extract_boxed(text) is None
        assert verify_in_process(text, "42") == "unparseable"

    def test_the_longest_answer_that_counts(self):
        answer = "1" * MAX_ANSWER_CHARS
        assert extract_boxed("x" * 5000 + boxed(answer) + "y" * 5000) == answer


# answer, reference; decided without a computer algebra system
EQUAL = [
    *[
        ("5", "5"),
        ("5.0", "5"),
        ("05", "5"),
        ("+5", "5"),
        ("-3", "-3"),
        ("- 3", "-3"),
        ("−3", "-3"),
    ],
    *[("$5$", "5"), (r"\$5", "5"), ("5.", "5"), ("x = 5", "5"), ("12 + 7 = 19", "19")],
    *[("1,234", "1234"), ("1{,}234", "1234"), (r"1\,234", "1234"), ("1e3", "1000")],
    *[(r"1.5 \times 10^{3}", "1500"), (r"2\cdot 10^{-2}", "0.02")],
    *[(r"\frac{1}{2}", "0.5"), (r"\dfrac12", "1/2"), ("6/8", "3/4"), ("1 1/2", "3/2")],
    *[(r"1\frac{1}{2}", "1.5"), (r"-\frac{3}{4}", "-0.75"), ("0.333", "1/3"), ("3.1416", "3.14")],
    *[
        ("5 cm", "5"),
        (r"5 \text{ cm}", "5"),
        ("5", "5 cm"),
        ("5cm", "50 mm"),
        ("36 km/h", "10 m/s"),
    ],
    *[("2 hours", "120 minutes"), (r"9 \text{ cm}^2", "0.0009 m^2"), (r"72^\circ", "72")],
    *[("12 apples", "12"), (r"50\%", "0.5"), ("50", r"50\%"), ("0.5", "50%")],
    *[("B", "B"), ("(B)", "B"), ("b", "B"), ("B.", "B"), ("B. 12 cm", "B"), (r"\text{B}", "(B)")],
    *[("Monday", "monday"), (r"\text{yes}", "Yes"), ("3:45", "03:45"), ("<", r"\lt")],
    *[("{1, 2}", r"\{2, 1\}"), ("2 and 1", "1, 2"), ("x = 1 or x = 2", "1, 2"), ("{5}", "5")],
    *[("(1, 2)", "(1,2)"), ("(1, 0.5]", r"(1, \frac12]"), (r"(-\infty, 3.0]", r"(-\infty,3]")],
    *[(r"\begin{pmatrix}1 & 2\\ 3 & 4\end{pmatrix}", "[[1,2],[3,4]]"), ("((5))", "5")],
    (r"\begin{bmatrix}1.0 & 2\end{bmatrix}", r"\begin{pmatrix}1&2\end{pmatrix}"),
]
DIFFERENT = [
    *[("6", "5"), ("5.1", "5"), ("100001", "100000"), ("100000.5", "100000"), ("0.33", "1/3")],
    *[("3.15", "3.14"), ("20", "19.99"), ("1234.6", "1234.5"), ("-5", "5"), ("1, 234", "1234")],
    *[("5 cm", "5 kg"), ("5 cm", "5 mm"), ("5 cm", "5 cm^2"), ("12 pears", "12 apples")],
    *[
        ("C", "B"),
        ("A. 1 B. 2", "B"),
        ("Tuesday", "Monday"),
        ("dayMon", "Monday"),
        ("2:45", "3:45"),
    ],
    *[("1, 2, 3", "1, 2"), ("1, 1", "1, 2"), ("(2, 1)", "(1, 2)"), ("[1, 2)", "(1, 2)")],
    ("[[1,2],[3,5]]", "[[1,2],[3,4]]"),
]
HEDGED = [
    *[
        ("A or B or C", "A"),
        ("A, B, C", "B"),
        ("A/B", "A"),
        ("either 3 or 4", "3"),
        ("3 or 4", "4"),
    ],
    *[("3, 4", "4"), ("x = 5 or x = 6", "6"), (r"x = 5 or x = \sqrt{6}", r"\sqrt{6}")],
    *[("2x, 3x", "3x"), (r"\sqrt2 \text{ or } \sqrt3", r"\sqrt{3}"), ("5 or more", "5")],
]
# For a computer algebra system, but not equal.
OTHER_AMOUNTS = [("5 million", "5"), ("12 dozen", "12"), ("5 x", "5"), (r"5 \pi", "5")]
# Nothing of these is finished work: a question must not be answered by repeating it.
UNEVALUATED = [
    *[("12 + 7", "19"), ("12+7*3", "33"), (r"12 \times 3", "36"), ("10/2", "5"), ("20 - 1", "19")],
    *[
        (r"\sqrt{25}", "5"),
        ("2^{10}", "1024"),
        ("5!", "120"),
        (r"\gcd(12, 18)", "6"),
        ("|-5|", "5"),
    ],
    *[(r"\frac{10}{2}", "5"), (r"\frac{5+5}{2}", "5"), ("0.5 + 0.25", "0.75"), ("(3)(4)", "12")],
]


class TestFastPath:
    @pytest.mark.parametrize(("answer", "reference"), EQUAL)
    def test_equal(self, answer, reference):
        assert decide(answer, reference) is True

    @pytest.mark.parametrize(("answer", "reference"), DIFFERENT + HEDGED)
    def test_different_or_hedged(self, answer, reference):
        assert decide(answer, reference) is False

    @pytest.mark.parametrize(("answer", "reference"), UNEVALUATED + OTHER_AMOUNTS)
    def test_unevaluated_arithmetic_and_other_amounts_earn_nothing(self, answer, reference):
        assert verify_in_process(boxed(answer), reference) != "right"

    def test_a_computer_algebra_system_is_not_even_imported(self):
        program = (
            "import sys; from training.answers import Verifier, verify_in_process;"
            "found = Verifier().verify([r'\\boxed{7}', 'x'], ['7', '7']);"
            "print(found, verify_in_process('', '1'));"
            "assert not {'sympy', 'math_verify', 'torch'} & set(sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, check=True, text=True, capture_output=True
        )
        assert done.stdout == "['right', 'unparseable'] unparseable\n"

    @settings(deadline=None, derandomize=True)
    @given(value=st.integers(-(10**12), 10**12), other=st.integers(-(10**12), 10**12))
    def test_integers(self, value, other):
        assert decide(str(value), str(value)) is True
        assert decide(f"{value:,}", str(value)) is True
        assert decide(str(value), str(other)) is (value == other)

    @settings(deadline=None, derandomize=True)
    @given(answer=st.text(max_size=60), reference=st.text(max_size=60))
    def test_never_raises(self, answer, reference):
        assert decide(answer, reference) in (True, False, None)
        extract_boxed(boxed(answer))


SYMBOLIC = [
    ("2x + 3", "3 + 2x", "right"),
    (r"(x+1)^2", r"x^2 + 2x + 1", "right"),
    (r"\sqrt{8}", r"2\sqrt{2}", "right"),
    (r"y = \frac{x}{2}", "0.5x", "right"),
    (r"\sqrt{2}, -\sqrt{2}", r"\{-\sqrt{2}, \sqrt{2}\}", "right"),
    (r"\pm 2", "2", "wrong"),
    (r"(1, \sqrt{2})", r"(1, \sqrt 2)", "right"),
    (r"[0, \pi)", r"[0, \pi]", "wrong"),
    (r"\begin{pmatrix} x & 1 \end{pmatrix}", r"\begin{pmatrix} x & 1 \end{pmatrix}", "right"),
    (r"\pi", "3.1416", "right"),
    (r"1 + \sqrt{2}", "2.414", "right"),
    (r"\pi", "3.15", "wrong"),
    ("5x", "5", "wrong"),
    ("x + 2", "x + 1", "wrong"),
    (r"\frac{x}{", "x", "unparseable"),
]


class TestProcesses:
    @pytest.mark.parametrize(("answer", "reference", "outcome"), SYMBOLIC)
    def test_outcomes(self, verifier, answer, reference, outcome):
        assert verifier.verify([boxed(answer)], [reference]) == [outcome]

    def test_in_process_and_in_workers_agree(self, verifier):
        responses = [boxed(answer) for answer, _, _ in SYMBOLIC]
        references = [reference for _, reference, _ in SYMBOLIC]
        expected = [verify_in_process(*pair) for pair in zip(responses, references, strict=True)]
        assert verifier.verify(responses, references) == expected

    def test_threads_may_verify(self, verifier):
        found = []
        threads = [
            threading.Thread(
                target=lambda: found.extend(
                    verifier.verify([boxed(f"{FLOOR} + 2")] * 3, [f"2 + {FLOOR}"] * 3)
                )
            )
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == ["right"] * 12

    def test_outcomes_are_counted(self):
        assert count_outcomes(["right", "wrong", "right"]) == {
            "right": 2,
            "wrong": 1,
            "unparseable": 0,
            "timeout": 0,
            "crashed": 0,
        }

    def test_responses_and_references_must_pair(self, verifier):
        with pytest.raises(ValueError):
            verifier.verify(["a"], [])


def has_ended(pid, seconds=30):
    """Whether a process ends in time: the kernel delivers a kill after the call has returned."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.01)
    return False


def fork_of(verifier):
    """The process that compares, a child of the first worker."""
    (fork,) = psutil.Process(verifier._workers[0]._process.pid).children()
    return fork.pid


class TestTimeouts:
    def test_one_answer_is_verified_by_itself(self):
        assert verify(boxed(f"{FLOOR} + 2"), f"2 + {FLOOR}") == "right"
        assert verify(boxed(HANGS), FLOOR, timeout_seconds=1.0) == "timeout"

    def test_a_hanging_answer_is_killed_counted_and_its_worker_replaced(self):
        with Verifier(num_processes=1, timeout_seconds=5.0, batch_seconds=600) as verifier:
            assert verifier.verify([boxed(f"{FLOOR} + 2")], [f"2 + {FLOOR}"]) == ["right"]
            first, fork = verifier._workers[0]._process.pid, fork_of(verifier)
            batch = [boxed(HANGS), boxed(f"{FLOOR} + 3"), boxed("7"), boxed(HANGS)]
            references = [FLOOR, f"3 + {FLOOR}", "7", FLOOR]
            expected = ["timeout", "right", "right", "timeout"]
            assert verifier.verify(batch, references) == expected
            assert verifier.num_timeouts == 1, "the same pair is compared once"
            assert has_ended(fork) and fork_of(verifier) != fork
            assert verifier._workers[0]._process.pid == first, "math-verify is not imported again"
            assert verifier.verify([boxed(f"{FLOOR} + 4")], [f"4 + {FLOOR}"]) == ["right"]
            last = fork_of(verifier)
        assert has_ended(first) and has_ended(last)

    def test_a_call_that_was_ended_leaves_nothing_to_the_next(self):
        def stop():
            if verifier._workers[0].is_comparing and is_told:
                raise InterruptedError

        is_told = True
        with Verifier(num_processes=1, on_wait=stop, **CALM) as verifier:
            with pytest.raises(InterruptedError):
                verifier.verify([boxed(HANGS)], [FLOOR])
            at_work, is_told = verifier._workers[0]._process.pid, False
            assert verifier.verify([boxed(f"{FLOOR} + 2")], [f"2 + {FLOOR}"]) == ["right"]
            assert has_ended(at_work) and (verifier.num_crashes, verifier.num_timeouts) == (0, 0)

    @pytest.mark.parametrize("whole", [True, False])
    def test_a_worker_that_was_killed_while_idle_is_replaced(self, whole):
        with Verifier(num_processes=1, **CALM) as verifier:
            assert verifier.verify([boxed(f"{FLOOR} + 2")], [f"2 + {FLOOR}"]) == ["right"]
            worker, fork = verifier._workers[0]._process, fork_of(verifier)
            os.kill(worker.pid if whole else fork, signal.SIGKILL)
            if whole:
                worker.wait()
            else:
                while not {child.pid for child in psutil.Process(worker.pid).children()} - {fork}:
                    time.sleep(0.01)
            answers, references = (
                [boxed(f"{FLOOR} + 3"), boxed(f"{FLOOR} + 4")],
                [f"3 + {FLOOR}", f"{FLOOR} + 5"],
            )
            assert verifier.verify(answers, references) == ["right", "wrong"]

    @pytest.mark.parametrize("whole", [True, False])
    def test_a_crash_at_an_answer_does_not_take_the_batch_with_it(self, whole):
        with Verifier(num_processes=1, **CALM) as verifier:
            verifier.verify([boxed(f"{FLOOR} + 2")], [f"2 + {FLOOR}"])
            worker = verifier._workers[0]._process.pid
            victim = worker if whole else fork_of(verifier)
            fork = psutil.Process(fork_of(verifier))
            idle_seconds = fork.cpu_times().user

            def kill_at_work():
                while fork.cpu_times().user < idle_seconds + 0.1:
                    time.sleep(0.01)
                os.kill(victim, signal.SIGKILL)

            threading.Thread(target=kill_at_work).start()
            answers, references = (
                [boxed(HANGS), boxed(f"{FLOOR} + 3"), boxed(f"{FLOOR} + 4")],
                [FLOOR, f"3 + {FLOOR}", f"{FLOOR} + 5"],
            )
            assert verifier.verify(answers, references) == ["crashed", "right", "wrong"]
            assert (verifier.num_crashes, verifier.num_timeouts) == (1, 0)

    def test_a_worker_that_never_replies_is_given_up(self, monkeypatch):
        monkeypatch.setattr("training.answers.verifier._GRACE_SECONDS", 1.0)
        with Verifier(num_processes=1, timeout_seconds=5.0) as verifier:
            verifier.verify([boxed(f"{FLOOR} + 2")], [f"2 + {FLOOR}"])
            os.kill(fork_of(verifier), signal.SIGSTOP)
            assert verifier.verify([boxed(f"{FLOOR} + 3")], [f"3 + {FLOOR}"]) == ["timeout"]
            assert verifier.num_timeouts == 1 and not verifier._workers

    def test_a_hanging_comparison_ends_even_if_nobody_waits_for_it(self):
        worker = subprocess.Popen(
            [sys.executable, "-m", "training.answers.worker", "0.5"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with worker:
            assert worker.stdout.readline() == '"ready"\n'
            worker.stdin.write(f"{json.dumps([HANGS, FLOOR])}\n")
            worker.stdin.close()
            worker.stdout.close()
            worker.wait()  # else the test's own time limit fails it

    def test_a_verifier_that_cannot_start_says_so_instead_of_scoring_zero(self, monkeypatch):
        monkeypatch.setenv("PYTHONHOME", "/nonexistent")
        with Verifier() as verifier, pytest.raises(RevisualError, match="can't start"):
            verifier.verify([boxed(f"{FLOOR} + 2")], [f"2 + {FLOOR}"])
