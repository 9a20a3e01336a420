from dataclasses import replace

import numpy as np
import pytest

from training.curation import account
from training.curation.account import graded_rows
from training.curation.selection import Selection
from training.curation.topics import Topics


def test_each_graded_row_has_its_own_topic_place_and_set(make, outlines_of, monkeypatch):
    """In batches of two; and no row or topic is left over."""
    monkeypatch.setattr(account, "MAX_GROUP_ROWS", 2)
    problems = outlines_of([make(n, level=3, pass_rate=0.5) for n in range(5)])
    names, places = list("abcde"), np.arange(10.0).reshape(5, 2)
    found = Topics(names, places, num_clustered=5, num_noise=0, num_assigned=0)
    chosen = Selection({"train": np.array([3, 0])}, {"train": 0}, np.array([1, 2, 4]), ["full"] * 3)
    told = [
        (row["id"], row["topic"], row["x"], row["y"], row["set"])
        for row in graded_rows(problems, found, chosen)
    ]
    assert told == [
        ("p0", "a", 0.0, 1.0, "train"),
        ("p1", "b", 2.0, 3.0, None),
        ("p2", "c", 4.0, 5.0, None),
        ("p3", "d", 6.0, 7.0, "train"),
        ("p4", "e", 8.0, 9.0, None),
    ]
    for wrong in (names[:4], [*names, "f"]):
        with pytest.raises(ValueError, match="argument"):
            list(graded_rows(problems, replace(found, names=wrong), chosen))
