"""Hostile inputs: some of each kind, and the runner that `make fuzz` counts on."""

import random
import sys
from contextlib import suppress

import pytest

from contracts.errors import RevisualError
from drills import fuzz
from drills.hostile import CASES

SEED, NUM_CASES = 1, 25
# A process that serves cases of its own kind, the number of the case being its folder's name.
SERVING = """
import os, sys, time, types
from contracts.errors import DataError

def case(_draw, folder):
    match folder.name:
        case "1": raise DataError("no", where="", rule="", fix="")
        case "2": raise ValueError("nobody meant to raise this")
        case "3": os._exit(1)
        case "4": time.sleep(1000)
        case "5": filled = b"x" * 700_000_000; time.sleep(1000)
        case "6": print("something of its own"); sys.stdout.flush()

sys.modules["drills.hostile"] = types.SimpleNamespace(CASES={"odd": case})
from drills.fuzz import serve
serve("odd", 0, int(sys.argv[1]), 8)
"""


@pytest.mark.parametrize("kind", fuzz.KINDS)
def test_hostile_inputs_are_taken_or_refused_on_purpose(kind, tmp_path):
    for number in range(NUM_CASES):
        folder = tmp_path / str(number)
        folder.mkdir()
        with suppress(RevisualError):
            CASES[kind](random.Random(f"{kind}/{SEED}/{number}"), folder)


def test_the_kinds_that_may_be_asked_for_are_all():
    assert set(fuzz.KINDS) == set(CASES)


def test_whatever_a_case_does_it_is_counted_and_the_next_one_runs(monkeypatch, capsys):
    monkeypatch.setattr(
        fuzz,
        "command",
        lambda _kind, _seed, first, _num: [sys.executable, "-c", SERVING, str(first)],
    )
    monkeypatch.setattr(fuzz, "MAX_SECONDS", 20.0)
    monkeypatch.setattr(fuzz, "MAX_BYTES", 500_000_000)
    line, good = fuzz.row("odd", 0, 8)
    assert not good
    # Taken 0, 6, 7; refused 1; tracebacks 2 and 3, which left none; slow 4; large 5.
    assert line.startswith("| odd | 8 | 3 | 1 | 2 | 1 | 1 | ")
    told = capsys.readouterr().err
    assert "ValueError: nobody meant to raise this" in told
    assert all(f"odd {number}: " in told for number in (2, 3, 4, 5))
