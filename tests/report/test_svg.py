from xml.etree import ElementTree as ET

import pytest

from report.numbers import percent_tick
from report.svg import MAX_POINTS, Estimate, group_chart, shorten, thin, ticks


def test_a_group_chart_places_every_estimate_and_keeps_a_names_colour() -> None:
    both = [Estimate("base", 0.0), Estimate("rl", 0.5, 0.25, 1.0)]
    groups = [("texts", both), ("pictures", [Estimate("rl", 1.0)])]
    root = ET.fromstring(group_chart("t", "d", groups, write=percent_tick))
    dots = [one for one in root.iter("circle") if one.get("r") == "4"]
    # The axis is from 150 to 395.
    assert [(float(one.get("cx")), one.get("class")) for one in dots] == [
        (150, "dot s0"),
        (272.5, "dot s1"),
        (395, "dot s1"),
    ]
    (whisker,) = [one for one in root.iter("line") if "whisker" in one.get("class")]
    assert (float(whisker.get("x1")), float(whisker.get("x2"))) == (211.25, 395)
    heights = [float(one.get("cy")) for one in dots]
    assert heights == sorted(set(heights)) and whisker.get("y1") == dots[1].get("cy")
    written = [one.text for one in root.iter("text")]
    assert written[:2] == ["base", "rl"] and {"texts", "pictures", "50 %"} <= set(written)


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
