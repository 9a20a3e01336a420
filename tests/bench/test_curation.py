"""The scale table's memory, worked by hand: samples come every quarter of a second, or later."""

import pytest

from bench.curation import peak

SEEN = [(10.0, 5), (10.25, 9), (14.0, 7), (14.25, 6)]


@pytest.mark.parametrize(
    ("start", "end", "held"),
    [
        (10.0, 14.3, 9),
        (14.0, 14.3, 7),
        (10.6, 13.0, 9),  # one sample, shortly before it began
        (12.0, 12.0, 9),  # none in a second before it: the last one until then
        (11.0, 13.9, 9),
        (15.0, 15.1, 6),
    ],
)
def test_a_step_between_two_samples_held_what_was_seen_last(start, end, held):
    assert peak(SEEN, start, end) == held
