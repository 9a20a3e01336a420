"""Small SVG charts without a library: colours are CSS classes, so one picture serves light,
dark and print; every chart carries a title and a description for readers who cannot see it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from xml.sax.saxutils import escape, quoteattr

from report.text import printable

MAX_POINTS = 240  # a line holds at most this many points; longer runs are drawn as bucket means


@dataclass(frozen=True, slots=True)
class Series:
    """One named line; points are (x, y) in data units, ordered by x.

    Its colour is that of its place among the lines, or of `place`, where pictures show some of the
    same lines.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    place: int | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """One named value with its 95 % interval, in data units, and a mark behind its figure."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    mark: str = ""


def element(tag: str, *children: str, text: str | None = None, **attributes: object) -> str:
    """One SVG element; `children` are elements, `text` is escaped, `_` in names becomes `-`."""
    written = "".join(
        f" {name.rstrip('_').replace('_', '-')}={quoteattr(_attribute(value))}"
        for name, value in attributes.items()
    )
    inside = "".join(children) + (escape(printable(text)) if text is not None else "")
    return f"<{tag}{written}>{inside}</{tag}>" if inside else f"<{tag}{written}/>"


def _attribute(value: object) -> str:
    return f"{value:.5g}" if isinstance(value, float) else printable(str(value))


def drawing(width: float, height: float, title: str, description: str, *children: str) -> str:
    """The outer element: scales to its place and names itself to assistive technology."""
    return element(
        "svg",
        element("title", text=title),
        element("desc", text=description),
        *children,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_label=f"{title}. {description}",
    )


def label(x: float, y: float, text: str, anchor: str = "start", class_: str = "") -> str:
    """A piece of text; `anchor` is start, middle or end."""
    return element("text", text=text, x=x, y=y, text_anchor=anchor, class_=class_ or "label")


def line_chart(
    title: str,
    description: str,
    series: Sequence[Series],
    *,
    x_name: str,
    write: Callable[[float], str],
    y_range: tuple[float, float] | None = None,
    first_colour: int = 0,
    size: tuple[float, float] = (460, 240),
) -> str:
    """Lines over a shared axis; values that are not finite leave a gap.

    Args:
        title: Drawn by the page above the chart and read by assistive technology.
        description: What the chart shows, in words.
        series: One line each.
        x_name: Name of the horizontal axis.
        write: Turns a tick of the vertical axis into text.
        y_range: Bounds of the vertical axis; None fits the data.
        first_colour: Colour of the first line, 0 (grey) to 5; the next lines take the next ones.
        size: Width and height of the drawing, in SVG units.
    """
    width, height = size
    left, right, top, bottom = 52.0, width - 20, 12.0 + 16 * len(series), height - 36
    drawn = [replace(line, points=thin(line.points)) for line in series]
    xs = [x for line in drawn for x, _ in line.points]
    ys = [y for line in drawn for _, y in line.points if math.isfinite(y)]
    if not ys:
        return drawing(width, height, title, description, label(left, 40, "no finite value"))
    low, high = y_range or _padded(min(ys), max(ys))
    x_low, x_high = min(xs), max(*xs, min(xs) + 1)

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_low) / (x_high - x_low)
        up = (min(max(y, low), high) - low) / (high - low)
        return left + across * (right - left), bottom - up * (bottom - top)

    parts = []
    for tick in ticks(low, high):
        y = place(x_low, tick)[1]
        parts.append(element("line", x1=left, x2=right, y1=y, y2=y, class_="rule"))
        parts.append(label(left - 6, y + 4, write(tick), "end", "tick"))
    for tick in ticks(x_low, x_high, whole=True):
        parts.append(label(place(tick, low)[0], bottom + 16, f"{tick:g}", "middle", "tick"))
    parts.append(label((left + right) / 2, height - 4, x_name, "middle", "tick"))
    for index, line in enumerate(drawn):
        y = 14 + 16.0 * index
        among = index if line.place is None else line.place
        colour = f"s{(first_colour + among) % 6}"
        key = element("line", x1=left, x2=left + 20, y1=y - 4, y2=y - 4, class_=f"line {colour}")
        parts += [key, label(left + 26, y, line.name)]
        parts += [_path(run, place, f"line {colour}") for run in _finite_runs(line.points)]
    return drawing(width, height, title, description, *parts)


def dot_chart(
    title: str, description: str, rows: Sequence[Estimate], *, write: Callable[[float], str]
) -> str:
    """One row per estimate on an axis from 0 to 1: a dot, its interval and its value."""
    width, left, right = 460.0, 132.0, 395.0
    height = 30 + 28.0 * len(rows) + 22

    def across(value: float) -> float:
        return left + min(max(value, 0.0), 1.0) * (right - left)

    parts = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = across(tick)
        parts.append(element("line", x1=x, x2=x, y1=12, y2=height - 24, class_="rule"))
        parts.append(label(x, height - 8, write(tick), "middle", "tick"))
    if rows:
        x = across(rows[0].value)
        parts.append(element("line", x1=x, x2=x, y1=12, y2=height - 24, class_="reference"))
    for index, row in enumerate(rows):
        y = 30 + 28.0 * index
        colour = "s0" if index == 0 else "s1"
        parts.append(label(left - 10, y + 4, shorten(row.name, 16), "end"))
        if row.low is not None and row.high is not None:
            parts.append(
                element(
                    "line",
                    x1=across(row.low),
                    x2=across(row.high),
                    y1=y,
                    y2=y,
                    class_=f"whisker {colour}",
                )
            )
        parts.append(element("circle", cx=across(row.value), cy=y, r=5, class_=f"dot {colour}"))
        parts.append(label(right + 14, y + 4, write(row.value) + row.mark))
    return drawing(width, height, title, description, *parts)


def group_chart(
    title: str,
    description: str,
    groups: Sequence[tuple[str, Sequence[Estimate]]],
    *,
    write: Callable[[float], str],
) -> str:
    """Groups of estimates on one axis from 0 to 1: dots with intervals, a colour for each name."""
    names = list(dict.fromkeys(row.name for _, rows in groups for row in rows))
    width, left, right, top = 460.0, 150.0, 395.0, 12.0 + 16 * len(names)
    height = top + sum(14.0 * len(rows) + 12 for _, rows in groups) + 28

    def across(value: float) -> float:
        return left + min(max(value, 0.0), 1.0) * (right - left)

    parts = []
    for index, name in enumerate(names):
        y = 14 + 16.0 * index
        parts.append(element("circle", cx=left + 8, cy=y - 4, r=4.5, class_=f"dot s{index % 6}"))
        parts.append(label(left + 20, y, name))
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = across(tick)
        parts.append(element("line", x1=x, x2=x, y1=top, y2=height - 24, class_="rule"))
        parts.append(label(x, height - 8, write(tick), "middle", "tick"))
    y = top + 14
    for group, rows in groups:
        middle = y + 7 * (len(rows) - 1) + 4
        parts.append(label(left - 10, middle, shorten(group, 19), "end"))
        for row in rows:
            colour = f"s{names.index(row.name) % 6}"
            if row.low is not None and row.high is not None:
                low, high, class_ = across(row.low), across(row.high), f"whisker {colour}"
                parts.append(element("line", x1=low, x2=high, y1=y, y2=y, class_=class_))
            parts.append(element("circle", cx=across(row.value), cy=y, r=4, class_=f"dot {colour}"))
            parts.append(label(right + 14, y + 4, write(row.value) + row.mark, class_="tick"))
            y += 14
        y += 12
    return drawing(width, height, title, description, *parts)


def change_chart(
    title: str,
    description: str,
    rows: Sequence[tuple[str, float, float]],
    *,
    write: Callable[[float], str],
) -> str:
    """One row per (name, before, after) on an axis from 0 to 1: hollow dot to filled dot."""
    width, left, right = 460.0, 150.0, 395.0
    height = 14 + 24.0 * len(rows) + 22

    def across(value: float) -> float:
        return left + min(max(value, 0.0), 1.0) * (right - left)

    parts = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = across(tick)
        parts.append(element("line", x1=x, x2=x, y1=6, y2=height - 24, class_="rule"))
        parts.append(label(x, height - 8, write(tick), "middle", "tick"))
    for index, (name, before, after) in enumerate(rows):
        y = 20 + 24.0 * index
        start, end = across(before), across(after)
        parts.append(label(left - 10, y + 4, shorten(name, 19), "end"))
        parts.append(element("line", x1=start, x2=end, y1=y, y2=y, class_="line s1"))
        parts.append(element("circle", cx=start, cy=y, r=4.5, class_="hollow s0"))
        parts.append(element("circle", cx=end, cy=y, r=5, class_="dot s1"))
        parts.append(label(right + 14, y + 4, write(after)))
    return drawing(width, height, title, description, *parts)


def ticks(low: float, high: float, *, whole: bool = False) -> tuple[float, ...]:
    """About five round numbers from `low` to `high`; whole numbers only when asked."""
    step = 10.0 ** math.floor(math.log10((high - low) / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 5)
    step = max(step, 1.0) if whole else step
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return tuple(count * step for count in range(first, last + 1))


def thin(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """At most `MAX_POINTS` points: each the mean of the finite values of a run of neighbours."""
    size = math.ceil(len(points) / MAX_POINTS)
    if size <= 1:
        return tuple(points)
    thinned = []
    for start in range(0, len(points), size):
        bucket = points[start : start + size]
        finite = [y for _, y in bucket if math.isfinite(y)]
        y = sum(finite) / len(finite) if finite else math.nan
        thinned.append((sum(x for x, _ in bucket) / len(bucket), y))
    return tuple(thinned)


def shorten(text: str, length: int) -> str:
    """The text, with an ellipsis in it when it is longer than `length` characters.

    More of its end is kept than of its beginning: names of runs and stages differ there.
    """
    if len(text) <= length:
        return text
    head = length // 3
    return f"{text[:head]}…{text[len(text) - (length - 1 - head) :]}"


def _padded(low: float, high: float) -> tuple[float, float]:
    """Bounds with a little air; 0 is kept as a bound when the data start near it."""
    span = (high - low) or abs(high) or 1.0
    bottom = 0.0 if 0 <= low < 0.5 * span else low - 0.06 * span
    return bottom, high + 0.06 * span


def _finite_runs(points: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    runs: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if math.isfinite(point[1]):
            runs[-1].append(point)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _path(
    points: Sequence[tuple[float, float]],
    place: Callable[[float, float], tuple[float, float]],
    class_: str,
) -> str:
    """A run of points as a line; a lone point as a dot."""
    placed = [place(x, y) for x, y in points]
    if len(placed) == 1:
        return element(
            "circle", cx=placed[0][0], cy=placed[0][1], r=3, class_=class_.replace("line", "dot")
        )
    steps = "L".join(f"{x:.1f} {y:.1f}" for x, y in placed)
    return element("path", d=f"M{steps}", class_=class_)
