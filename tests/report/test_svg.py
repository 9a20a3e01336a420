import pytest

from report.svg import MAX_POINTS, shorten, thin, ticks


def test_long_names_of_runs_stay_apart() -> None:
    names = [shorten(f"neon-seahorse-{arm}-seed-0", 16) for arm in ("cs", "cs+mrl")]
    assert names == ["neon-…-cs-seed-0", "neon-…mrl-seed-0"]
    assert shorten("multimodal_rl", 13) == "multimodal_rl" and len(shorten("x" * 99, 16)) == 16


def test_long_curves_are_thinned_to_means_and_short_ones_left_alone() -> None:
    points = tuple((float(x), 1.0 if x % 2 else 3.0) for x in range(10 * MAX_POINTS))
    assert len(thin(points)) == MAX_POINTS
    assert {y for _, y in thin(points)} == {2.0}
    assert thin(points[:MAX_POINTS]) == points[:MAX_POINTS]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)),
        (-3.0, 47.0, (0.0, 10.0, 20.0, 30.0, 40.0)),
        (0.0011, 0.0029, (0.0015, 0.002, 0.0025)),
    ],
)
def test_ticks_are_round_and_inside(low: float, high: float, expected: tuple[float, ...]) -> None:
    assert ticks(low, high) == pytest.approx(expected)
