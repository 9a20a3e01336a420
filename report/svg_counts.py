"""SVG pictures of counts: bars, and a map of points in groups."""

from collections.abc import Callable, Mapping, Sequence

from report.svg import drawing, element, label, shorten, ticks

MAX_DRAWN = 2000  # points of a map
MAX_COLOURS = 5  # of groups; the others are grey


def bar_chart(
    title: str,
    description: str,
    bars: Sequence[tuple[str, float]],
    *,
    x_name: str,
    write: Callable[[float], str],
) -> str:
    """One bar per (name, count), from left to right.

    Args:
        title: Drawn by the page above the chart and read by assistive technology.
        description: What the chart shows, in words.
        bars: Names and counts, none below 0.
        x_name: Name of the horizontal axis.
        write: Turns a tick of the vertical axis into text.
    """
    width, height, left, top = 460.0, 220.0, 52.0, 10.0
    right, bottom = width - 8, height - 40
    highest = max([count for _, count in bars] + [1.0])
    step = (right - left) / max(len(bars), 1)

    def up(count: float) -> float:
        return bottom - count / highest * (bottom - top)

    parts = []
    for tick in ticks(0.0, highest, whole=True):
        y = up(tick)
        parts.append(element("line", x1=left, x2=right, y1=y, y2=y, class_="rule"))
        parts.append(label(left - 6, y + 4, write(tick), "end", "tick"))
    for place, (name, count) in enumerate(bars):
        x, y = left + step * place, up(count)
        parts.append(
            element(
                "rect",
                element("title", text=f"{name}: {write(count)}"),
                x=x + 0.1 * step,
                y=y,
                width=0.8 * step,
                height=bottom - y,
                class_="dot s1",
            )
        )
        parts.append(label(x + step / 2, bottom + 15, shorten(name, 8), "middle", "tick"))
    parts.append(label((left + right) / 2, height - 6, x_name, "middle", "tick"))
    return drawing(width, height, title, description, *parts)


def point_map(
    title: str,
    description: str,
    points: Sequence[tuple[float, float, str]],
    colours: Mapping[str, int],
) -> str:
    """Points of groups on a plane without axes; only near and far mean something.

    Args:
        title: Drawn by the page above the chart and read by assistive technology.
        description: What the chart shows, in words.
        points: (x, y, group), at most `MAX_DRAWN`.
        colours: Of the groups that have one, 1 to `MAX_COLOURS`, in the order of the key.
    """
    width, margin, key = 460.0, 12.0, 16.0 * len(colours) + 20
    height = 320.0 + key
    if not points:
        return drawing(width, 60, title, description, label(margin, 30, "no point"))
    across = [x for x, _, _ in points]
    along = [y for _, y, _ in points]
    parts = [
        part
        for place, (group, colour) in enumerate(colours.items())
        for y in [14 + 16.0 * place]
        for part in (
            element("circle", cx=margin, cy=y - 4, r=4, class_=f"dot s{colour}"),
            label(margin + 12, y, shorten(group, 60)),
        )
    ]
    grey_first = sorted(points, key=_is_in(colours))
    for x, y, group in grey_first:
        parts.append(
            element(
                "circle",
                cx=round(_between(x, across, margin, width - margin), 1),
                cy=round(_between(y, along, height - margin, key + margin), 1),
                r=2,
                class_=f"dot s{colours.get(group, 0)}",
            )
        )
    return drawing(width, height, title, description, *parts)


def _is_in(colours: Mapping[str, int]) -> Callable[[tuple[float, float, str]], bool]:
    def is_coloured(point: tuple[float, float, str]) -> bool:
        return point[2] in colours

    return is_coloured


def _between(value: float, values: Sequence[float], start: float, stop: float) -> float:
    low, high = min(values), max(values)
    return start + (value - low) / ((high - low) or 1.0) * (stop - start)
