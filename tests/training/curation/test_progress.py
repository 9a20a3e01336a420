from collections import Counter

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from contracts.steps import StepLine, parse_step
from training.curation import progress
from training.curation.fates import Fates, drop_by_themselves
from training.curation.row_steps import FOUND

NAMES = st.one_of(
    st.from_regex(r"[a-z][a-z ]{0,39}", fullmatch=True),
    st.from_regex(r"[A-Za-z_]\w{0,20}(\.[A-Za-z_]\w{0,20}){0,3}:[A-Za-z_]\w{0,20}", fullmatch=True),
)


@given(NAMES, st.one_of(st.none(), st.text()))
def test_a_line_says_what_became_of_a_step_whatever_was_told(name, told):
    line = str(StepLine(name, told))
    assert len(line.splitlines()) == 1
    found = parse_step(line + "\n")
    assert found is not None and found.name == name
    assert (found.told is None) == (told is None)
    assert parse_step(f"node 0: {line}") == found  # as the log of several nodes has it
    assert parse_step(f"node 1: {line}") is None
    assert str(found) == line


def test_other_lines_are_about_no_step():
    for line in ("step 3/10, loss 0.5", "step rules", "step Rules: begins", "a step rules: begins"):
        assert parse_step(line) is None


def test_a_step_that_fails_tells_no_end(capsys):
    try:
        with progress.step("rules") as told:
            told.append("never said")
            raise ValueError
    except ValueError:
        pass
    with progress.step("topics") as told:
        told += ["3 rows in", "2 topics"]
    assert capsys.readouterr().out.splitlines() == [
        "step rules: begins",
        "step topics: begins",
        "step topics: ends, 3 rows in; 2 topics",
    ]


def test_rows_and_reasons_are_counted_and_the_rarest_reasons_together():
    assert progress.counts(3, Counter()) == "3 rows in, 3 left; none rejected"
    reasons = Counter(
        {f"reason {letter}": 20 - place for place, letter in enumerate("abcdefghijklmn")}
    )
    told = progress.counts(300, reasons)  # 20 + 19 + ... + 7 = 189
    assert told.startswith("300 rows in, 111 left; 20 reason a; 19 reason b; ")
    assert told.endswith("; 9 reason l; 15 for 2 other reasons")


def test_each_row_may_have_a_reason_of_its_own():
    count = 30
    reasons = [None if n % 3 == 0 else f"reason {n}" for n in range(count)]
    columns = {"reason": reasons, "step": [reason and "own rules" for reason in reasons]}
    found = pa.Table.from_pylist(
        [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)],
        pa.schema([FOUND.field(name) for name in columns]),
    )
    fates = Fates(count)
    drop_by_themselves(fates, found)
    assert fates.left.tolist() == list(range(0, count, 3))
    assert fates.table()["reason"].to_pylist() == reasons
    assert fates.table()["step"].to_pylist() == columns["step"]
    assert fates.counts("own rules") == Counter(filter(None, reasons))


def test_rows_are_counted_by_the_steps_that_dropped_them():
    fates = Fates(6)
    fates.drop(np.array([0, 3]), "rules", "a proof")
    fates.drop(np.array([1]), "own rules", "a proof")
    fates.drop(np.array([5]), "own rules", "money")
    assert fates.counts("rules") == {"a proof": 2}
    assert fates.counts("rules", "own rules") == {"a proof": 3, "money": 1}
    assert fates.counts("topics") == {}
