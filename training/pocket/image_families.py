"""Image families: the givens are in the picture, the reasoning is that of a text family."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.artist import Artist
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.patches import Circle
from matplotlib.text import Text

from training.pocket.drawing import CELL, PALETTES, corner_name, draw, handwritten
from training.pocket.family import NAMES, Facts, Family, Layout, Split
from training.pocket.text_families import (
    HOUR_ASKS,
    POINTS,
    SCORE_ASKS,
    TOTAL_ASKS,
    draw_hours,
    draw_points,
    draw_totals,
)

_COLUMNS = (11, 6)  # cells in a row, for each arrangement
# The rim of a grid of 4 x 4 cells (column, row), clockwise from the top left.
_RIM = (
    *((n, 0) for n in range(3)),
    *((3, n) for n in range(3)),
    *((3 - n, 3) for n in range(3)),
    *((0, 3 - n) for n in range(3)),
)
_SHAPE_CORNERS = {"circle": 24, "square": 4, "triangle": 3}
_SHAPE_TURNS = {"circle": 0.0, "square": np.pi / 4, "triangle": -np.pi / 2}


def _label(x: float, y: float, text: str, colour: str, size: float = 11.0) -> Text:
    return Text(x, y, text, color=colour, fontsize=size, ha="center", va="center_baseline")


def _on_canvas(artists: Sequence[Artist], tokens: tuple[int, int], background: str) -> np.ndarray:
    return draw(tokens[0] * CELL, tokens[1] * CELL, background, artists)


def _picture_digits(
    facts: Facts, layout: Layout, split: Split, rng: np.random.Generator
) -> np.ndarray:
    background, ink = (np.array(to_rgb(colour)) for colour in PALETTES[layout.palette][:2])
    columns = min(_COLUMNS[layout.arrangement], len(facts.values))
    rows = -(-len(facts.values) // columns)
    shade = np.zeros((rows * CELL, columns * CELL))
    for place, item in enumerate(facts.values):
        top, left = place // columns * CELL, place % columns * CELL
        shade[top : top + CELL, left : left + CELL] = np.maximum(
            handwritten(int(item), split, rng), corner_name(NAMES[place])
        )
    pixels: np.ndarray = 255 * (background + shade[..., None] * (ink - background))
    return pixels.astype(np.uint8)


def _picture_bars(
    facts: Facts, layout: Layout, split: Split, rng: np.random.Generator
) -> np.ndarray:
    background, ink, accent, faint = PALETTES[layout.palette]
    heights = [int(item) for item in facts.values]
    unit, base = 2, 19
    lefts = [place * CELL + 9 for place in range(len(heights))]
    bars = [
        [
            (left, base),
            (left, base - unit * height),
            (left + 10, base - unit * height),
            (left + 10, base),
        ]
        for left, height in zip(lefts, heights, strict=True)
    ]
    fills = [accent if layout.arrangement or n % 2 else ink for n in range(len(bars))]
    axis = LineCollection([[(0, base), (len(bars) * CELL, base)]], colors=faint, linewidths=1)
    names = [_label(left + 5, 23, name, ink, 10) for left, name in zip(lefts, NAMES, strict=False)]
    artists = [axis, PolyCollection(bars, facecolors=fills), *names]
    return _on_canvas(artists, (len(bars), 1), background)


def _draw_table(rng: np.random.Generator, level: int) -> Facts:
    facts = draw_totals(rng, level)
    column = str(rng.choice(["A", "B"]))
    return replace(facts, slots={**facts.slots, "column": column})


def _picture_table(
    facts: Facts, layout: Layout, split: Split, rng: np.random.Generator
) -> np.ndarray:
    background, ink, accent, faint = PALETTES[layout.palette]
    others = [str(n) for n in rng.integers(1, 10, size=len(facts.values))]
    columns = [facts.values, others] if facts.slots["column"] == "A" else [others, facts.values]
    rows = [(" ", "A", "B"), *zip(NAMES, *columns, strict=False)]
    texts = [
        _label(5 + 9 * column, (row + 0.5) * CELL, cell, ink if row and column else accent)
        for row, cells in enumerate(rows)
        for column, cell in enumerate(cells)
    ]
    height = len(rows) * CELL
    lines = [[(9.5, 0), (9.5, height)], [(18.5, 0), (18.5, height)]]
    if layout.arrangement:
        lines += [[(0, row * CELL), (CELL, row * CELL)] for row in range(1, len(rows))]
    grid = LineCollection(lines, colors=faint, linewidths=1)
    return _on_canvas([grid, *texts], (1, len(rows)), background)


def _picture_path(
    facts: Facts, layout: Layout, split: Split, rng: np.random.Generator
) -> np.ndarray:
    """An open line (arrangement 0) or a closed figure (1) with names and lengths of its sides."""
    background, ink, accent, _ = PALETTES[layout.palette]
    count = len(facts.values)
    if layout.arrangement == 0 or count < 3:
        tokens = (count, 1)
        corners = [(n * CELL + 1.0, 17.0 if n % 2 else 26.0) for n in range(count + 1)]
        places = [((n + 0.5) * CELL, 8.0) for n in range(count)]
    else:
        tokens = (4, 4)
        rim = [_RIM[round(n * len(_RIM) / count)] for n in range(count)]
        places = [((column + 0.5) * CELL, (row + 0.5) * CELL) for column, row in rim]
        angles = [np.arctan2(y - 2 * CELL, x - 2 * CELL) for x, y in places]
        turns = np.unwrap([*angles, angles[0]])
        middles = (turns[1:] + turns[:-1]) / 2
        ring = [(2 * CELL + 28 * np.cos(a), 2 * CELL + 28 * np.sin(a)) for a in middles]
        corners = [*ring, ring[0]]
    line = LineCollection([corners], colors=accent, linewidths=2)
    texts = [
        _label(x, y, name + value, ink, 13)
        for (x, y), name, value in zip(places, NAMES, facts.values, strict=False)
    ]
    return _on_canvas([line, *texts], tokens, background)


def _picture_shapes(
    facts: Facts, layout: Layout, split: Split, rng: np.random.Generator
) -> np.ndarray:
    background, ink, accent, _ = PALETTES[layout.palette]
    columns = min(_COLUMNS[layout.arrangement], len(facts.values))
    outlines = []
    for place, shape in enumerate(facts.values):
        corners = _SHAPE_CORNERS[shape]
        angles = 2 * np.pi * np.arange(corners) / corners + _SHAPE_TURNS[shape]
        middle = (np.array([place % columns, place // columns]) + 0.5) * CELL
        middle = middle + 3 + rng.uniform(-1, 1, size=2)
        radius = rng.uniform(7, 9)
        outlines.append(middle + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1))
    fills = [(ink, accent)[int(pick)] for pick in rng.integers(2, size=len(outlines))]
    tokens = (columns, -(-len(facts.values) // columns))
    names = [
        _label(place % columns * CELL + 5, place // columns * CELL + 6, name, ink)
        for place, name in enumerate(NAMES[: len(outlines)])
    ]
    return _on_canvas([PolyCollection(outlines, facecolors=fills), *names], tokens, background)


def _picture_clock(
    facts: Facts, layout: Layout, split: Split, rng: np.random.Generator
) -> np.ndarray:
    background, ink, accent, faint = PALETTES[layout.palette]
    middle, radius = 1.5 * CELL, 38.0

    def point(hour: float, length: float) -> tuple[float, float]:
        angle = hour * np.pi / 6
        return middle + length * np.sin(angle), middle - length * np.cos(angle)

    hour = int(facts.slots["start"])
    face = Circle((middle, middle), radius, facecolor="none", edgecolor=faint, linewidth=2)
    marks: list[Artist] = [
        LineCollection([[point(n, 34), point(n, 38)] for n in range(12)], colors=ink, linewidths=1)
    ]
    if layout.arrangement:
        marks = [_label(*point(n, 31), str(n), ink, 8) for n in (12, 3, 6, 9)]
    hands = LineCollection(
        [[(middle, middle), point(hour, 20)], [(middle, middle), point(0, 27)]],
        colors=[accent, ink],
        linewidths=[4, 1.5],
    )
    return _on_canvas([face, *marks, hands], (3, 3), background)


IMAGE_FAMILIES = (
    Family(
        "digits",
        (
            "Look at the digits.",
            "Here are digits.",
            "We see digits.",
            "Take the digits.",
        ),
        TOTAL_ASKS,
        lambda rng, level: draw_totals(rng, level, smallest=0),
        _picture_digits,
    ),
    Family(
        "bars",
        ("Look at the bars.", "Here are bars.", "We see bars.", "Take the bars."),
        TOTAL_ASKS,
        draw_totals,
        _picture_bars,
    ),
    Family(
        "table",
        (
            "Look at column {column}.",
            "Here is column {column}.",
            "We see column {column}.",
            "Take column {column}.",
        ),
        TOTAL_ASKS,
        _draw_table,
        _picture_table,
    ),
    Family(
        "path",
        (
            "Look at the sides.",
            "Here are the sides.",
            "We see the sides.",
            "Take the sides.",
        ),
        {
            "digit": (
                "What is the last digit of the length?",
                "Find the last digit of the length.",
                "How long is the line? Find the last digit.",
                "What is the last digit of how long it is?",
            )
        },
        lambda rng, level: draw_totals(rng, level, rules=("digit",)),
        _picture_path,
    ),
    Family(
        "shapes",
        (
            f"{POINTS} Here are shapes.",
            f"{POINTS} Look at the shapes.",
            f"{POINTS} We see shapes.",
            f"{POINTS} Take the shapes.",
        ),
        {"only": SCORE_ASKS},
        draw_points,
        _picture_shapes,
    ),
    Family(
        "clock",
        (
            "Look at the clock. Then {moves}.",
            "Here is a clock. Then {moves}.",
            "We see a clock, then {moves}.",
            "From the clock, {moves}.",
        ),
        {"only": HOUR_ASKS},
        draw_hours,
        _picture_clock,
    ),
)
