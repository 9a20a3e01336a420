import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from training.curation import outlines
from training.curation.outlines import outline_of, outlined, whole
from training.curation.shards import PROBLEM_COLUMNS, SHARD_SCHEMA, write_shard


@pytest.fixture(scope="module")
def rows(make, make_seen):
    """Ids in no order, and each row with something of its own."""
    return [
        (make_seen if n % 3 == 0 else make)(
            n, id=f"p{37 * n % 100:02d}", solution=None if n % 2 else "x" * n, reading=str(n)
        )
        for n in range(40)
    ]


@pytest.fixture(scope="module")
def files(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("usable")
    schema = pa.schema([SHARD_SCHEMA.field(name) for name in PROBLEM_COLUMNS])
    return [
        write_shard(pa.Table.from_pylist(rows[start : start + 9], schema), folder, number)
        for number, start in enumerate(range(0, 40, 9))
    ]


def test_outlines_have_what_is_small(rows, files):
    found = outlined(files)
    assert [(row["id"], row["solution_characters"]) for row in found] == [
        (row["id"], None if row["solution"] is None else len(row["solution"])) for row in rows
    ]
    assert found[0]["source"] is found[1]["source"]  # held once
    assert "images" not in found[0] and "solution" not in found[0]


def test_parts_are_cut_by_bytes_and_not_by_rows(monkeypatch):
    """Rows with pictures stand together in the order of ids."""
    monkeypatch.setattr(outlines, "GROUP_BYTES", 100)
    assert outlines._starts([1] * 250 + [90, 90, 300, 5]) == [0, 100, 200, 250, 251, 252, 253]
    monkeypatch.setattr(outlines, "MAX_PARTS", 4)
    assert outlines._starts([100] * 8) == [0, 4]


# Fixtures and the bound are the same for all examples.
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.integers(0, 39), unique=True), st.sampled_from([1, 500, 2**26]))
def test_rows_come_back_whole_in_any_order_with_their_levels(
    rows, files, monkeypatch, order, part_bytes
):
    monkeypatch.setattr(outlines, "GROUP_BYTES", part_bytes)
    asked = [outline_of(rows[place]) | {"level": place % 10, "pass_rate": 0.3} for place in order]
    assert list(whole(asked, files)) == [
        rows[place] | {"level": place % 10, "pass_rate": 0.3} for place in order
    ]
    assert {path.name for path in files[0].parent.iterdir()} == {path.name for path in files}
