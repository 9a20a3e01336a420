"""Hostile answers: nothing hangs, nothing crashes, nothing is paid."""

import random
from pathlib import Path

import pytest

from training.answers import (
    OUTCOMES,
    Verifier,
    extract_boxed,
    verify_in_process,
)


def boxed(answer):
    return f"<think> so </think> The answer is $\\boxed{{{answer}}}$."


def hostile_corpus():
    """264 answers meant to hang, crash or fool a verifier; the same every time."""
    rng = random.Random(0)
    corpus = [
        *("9" + "^{9" * depth + "}" * depth for depth in (2, 5, 50, 300)),
        *("2**" * depth + "2" for depth in (3, 30, 300)),
        *("{" * depth for depth in (1, 10, 900, 10**6)),
        *("}" * depth for depth in (1, 10, 900, 10**6)),
        *("(" * depth + "1" + ")" * depth for depth in (5, 50, 490)),
        *("[" * depth + "1" + "]" * depth for depth in (7, 50, 490)),
        *(r"\{" * depth + "1" + r"\}" * depth for depth in (7, 50, 240)),
        *(r"\frac{1}{" * depth + "2" + "}" * depth for depth in (2, 20, 90)),
        *(r"\sqrt{" * depth + "2" + "}" * depth for depth in (2, 20, 120)),
        *("1" * length for length in (61, 999, 10**6)),
        *("0." + "3" * length for length in (61, 990)),
        *("1e" + "9" * length for length in (2, 4, 100)),
        *(f"{a}/{b}" for a, b in ((1, 0), (0, 0), ("9" * 400, "7" * 400))),
        *("x" * length for length in (10, 990, 10**6)),
        *("a b " * length for length in (50, 240)),
        *("," * length for length in (1, 500, 10**6)),
        *("1," * length for length in (50, 101, 480)),
        *(" or ".join("ABCDE"[:count]) for count in (2, 3, 5)),
        *("\x00", "1\x00", "\x00" * 900, "\ud800", "\udfff1", "١٢٣", "①", "½", "²", "∞", "−0"),
        *(f"{letter}≠" * length + "1" for letter in "xa" for length in (200, 495)),
        *("\u202e5", "\u200b5\u200b", "\ufeff5", "e\u0301" * 50, "🤖", "𝟓", "五"),
        *("None", "nan", "NaN", "inf", "-inf", "True", "__import__('os').system('exit 1')"),
        *("lambda: 1", "exec('1')", "x.__class__", "{{7*7}}", "${7*7}", "%s%s%n", "; DROP TABLE"),
        *(r"\input{/etc/passwd}", r"\write18{ls}", r"\def\x{\x\x}\x", r"\newcommand", r"\\" * 400),
        *(r"\begin{pmatrix}", r"\end{pmatrix}", r"\begin{pmatrix}" + "1&" * 450),
        r"\begin{pmatrix}" + r"1\\" * 150 + r"\end{pmatrix}",
        *(r"\int_0^{\infty} e^{x^{x^x}} dx", r"\sum_{n=1}^{10^{100}} n!", r"\prod_{n=1}^{10^9} n"),
        *("100000!", "(10^5)!!", r"\binom{10^9}{10^8}", "((9^9)^9)^9^9", "10^{10^{10}}"),
        *("x^{1000}(x+1)^{1000}", "(x+y+z)^{200}", r"\sin(" * 40 + "x" + ")" * 40),
        *("=" * 500, "x=" * 300, "<" * 900, "1<x<" * 200, "-" * 999, "+-" * 400 + "1", "." * 999),
        *("1 " * 400, "1\n" * 400, "\t" * 900, "$" * 900, r"\(" * 400, "%" * 900, "°" * 900),
        *("cm" * 400, "5 " + "cm " * 300, "5 cm^" + "2" * 900, "5 /" * 300, "12:" * 300),
        *(
            r"\text{" * 150 + "5" + "}" * 150,
            r"\text{5",
            r"\left(" * 150,
            r"\boxed{" * 120,
            r"\boxed" * 150,
        ),
    ]
    alphabet = [
        *"0123456789xyabc+-*/^_=<>(){}[],.;:|!&%$#~ \\'\"",
        r"\frac",
        r"\sqrt",
        r"\le",
        "{",
        "}",
    ]
    while len(corpus) < 264:
        corpus.append("".join(rng.choices(alphabet, k=rng.randint(1, 120))))
    return corpus


def test_the_hostile_corpus_never_hangs_nor_crashes_nor_earns_anything():
    corpus = hostile_corpus()
    assert len(set(corpus)) >= 200
    references = [
        ("41", "x+1", r"\{1, 7\}", r"\lfloor x \rfloor!")[index % 4] for index in range(len(corpus))
    ]
    responses = [boxed(answer) for answer in corpus]
    with Verifier(num_processes=2, timeout_seconds=5.0) as verifier:
        outcomes = verifier.verify(responses, references)
        assert set(outcomes) <= set(OUTCOMES)
        assert "right" not in outcomes
        assert verifier.num_timeouts == outcomes.count("timeout")
        floors = r"2 + \lfloor x \rfloor", r"\lfloor x \rfloor + 2"
        assert verifier.verify([boxed(floors[0])], [floors[1]]) == ["right"]


@pytest.mark.parametrize(
    "unit",
    [
        *(
            r"\boxed{",
            "{",
            r"\boxed{1} ",
            r"\boxed{1}\boxed{",
            "}{",
            " or ",
            "$x = ",
            "(1, ",
            r"\{",
        ),
        *("between ", r"\text{", "$"),
    ],
)
def test_megabytes_of_boxes_are_read_in_an_instant(unit):
    # A quadratic scan would take minutes: the test's own time limit would stop it.
    long = unit * (10**6 // len(unit))
    for text in (long, rf"{long}\boxed{{1}}", rf"\boxed{{1}}{long}", rf"$\boxed{{1}}{long}$"):
        assert extract_boxed(text) in (None, "1")


def pairs(name):
    """Question, answer and reference of each line of a file of pairs by hand."""
    lines = (Path(__file__).parent / name).read_text(encoding="utf-8").splitlines()
    return [line.split(" ||| ") for line in lines]


@pytest.mark.parametrize(
    ("name", "right"), [("hostile_pairs.txt", False), ("natural_pairs.txt", True)]
)
def test_pairs_by_hand(name, right):
    """What was written to find wrong answers that are paid, and right ones as models write them."""
    found = pairs(name)
    assert len(found) >= 200
    for question, answer, reference in found:
        response = answer if r"\boxed" in answer else boxed(answer)
        outcome = verify_in_process(response, reference, question)
        assert (outcome == "right") is right, (question, answer, reference)
