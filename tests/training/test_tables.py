"""Parquet files are written in row groups that are bounded in rows and in bytes."""

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training import tables
from training.curation.step import Reject, write_rejects
from training.records import PROBLEM_FEATURES, read_problems, write_problems

sizes = st.lists(st.integers(0, 400), max_size=40)


@given(sizes, st.sampled_from(["a", "é", b"a"]))
def test_groups_are_bounded_and_no_row_is_lost_or_moved(lengths, unit):
    rows = [{"id": n, "held": [{"bytes": unit * length}]} for n, length in enumerate(lengths)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tables, "GROUP_BYTES", 1000)
        patched.setattr(tables, "MAX_GROUP_ROWS", 7)
        groups = list(tables.row_groups(rows))
    assert [row for group in groups for row in group] == rows
    for group in groups:
        held = [row["held"][0]["bytes"] for row in group]
        num_bytes = sum(len(one if isinstance(one, bytes) else one.encode()) for one in held)
        assert 0 < len(group) <= 7 and (num_bytes <= 1000 or len(group) == 1)


def test_a_set_in_many_row_groups_reads_as_it_was_written(tmp_path, monkeypatch, new_problem):
    problems = [new_problem(n, with_image=n % 2 == 1) for n in range(30)]
    monkeypatch.setattr(tables, "GROUP_BYTES", 2000)
    write_problems(problems, tmp_path / "sets" / "many.parquet")
    write_rejects([Reject(row, "s", "why") for row in problems], tmp_path / "rejects.parquet")
    for path in (tmp_path / "sets" / "many.parquet", tmp_path / "rejects.parquet"):
        metadata = pq.read_metadata(path)
        assert metadata.num_rows == 30 and metadata.num_row_groups > 3
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            assert group.num_rows == 1 or group.total_byte_size < 10_000
    read = read_problems(tmp_path / "sets" / "many.parquet")
    assert read.features == PROBLEM_FEATURES and read.to_list() == problems


def test_a_file_without_rows_has_the_columns(tmp_path):
    write_problems([], tmp_path / "none.parquet")
    assert pq.read_schema(tmp_path / "none.parquet").names == list(PROBLEM_FEATURES)
    assert len(read_problems(tmp_path / "none.parquet")) == 0
