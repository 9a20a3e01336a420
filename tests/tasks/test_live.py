import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.live import BLOCKS, page, sparkline


@pytest.mark.parametrize(
    ("values", "width", "curve"),
    [
        ([0.0, 1.0], 32, "▁█"),
        ([1.0, 0.0, 0.5], 32, "█▁▅"),  # 0.5 * 7 = 3.5, to the even 4
        ([7.0, 7.0, 7.0], 32, "▁▁▁"),
        ([5.0], 32, "▁"),
        ([0, 2, 10, 12], 2, "▁█"),  # means 1 and 11
        ([0, 0, 7, 7, 7], 2, "▁█"),  # of the first two and the last three
    ],
)
def test_a_curve_by_hand(values, width, curve):
    assert sparkline(values, width) == curve


finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9)


@given(st.lists(finite, min_size=1, max_size=300), st.integers(1, 64))
def test_a_curve_is_never_wider_and_touches_both_ends(values, width):
    curve = sparkline(values, width)
    assert len(curve) == min(width, len(values))
    assert BLOCKS[0] in curve
    assert set(curve) <= set(BLOCKS)
    if len(values) <= width and max(values) - min(values) > 1e-6:
        assert curve[values.index(max(values))] == BLOCKS[-1]
        assert curve[values.index(min(values))] == BLOCKS[0]


def test_a_page_holds_every_figure_with_the_headlines_first():
    steps = [
        {"step": 1, "num_steps": 4, "seconds": 2.0, "grad_norm": 2.0, "reward": 0.25, "kl": None},
        {"step": 2, "num_steps": 4, "seconds": 75.4, "grad_norm": None, "reward": 0.75, "kl": None},
    ]
    assert page("text_rl", steps).splitlines() == [
        "**text_rl**: step 2 of 4, 1 min 15 s",
        "",
        "| figure | first | now | so far | between |",
        "|---|---|---|---|---|",
        "| reward | 0.250 | 0.750 | ▁█ | 0.250 – 0.750 |",
        "| grad_norm | 2 | 2 | ▁ | 2 – 2 |",
    ]
