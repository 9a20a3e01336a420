"""Pictures in pixels: a reused matplotlib canvas and the handwritten digits.

Sizes are multiples of 28 px, the area of one visual token of Qwen2.5-VL.
"""

from collections.abc import Sequence
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from training.pocket.family import SPLITS, Split

CELL = 28  # px, one visual token
_DOTS_PER_INCH = 72  # one point is one pixel

# Background, ink, accent and faint colour of each palette.
PALETTES = (
    ("#ffffff", "#000000", "#3060c0", "#d0d0d0"),
    ("#101030", "#ffffff", "#ffb000", "#404060"),
    ("#fff4d8", "#401000", "#c04020", "#e0d0b0"),
    ("#e0f0e8", "#003020", "#108050", "#b8d0c4"),
)


@cache
def _canvas(width: int, height: int) -> FigureCanvasAgg:
    """One canvas per size, since building a figure costs more than drawing on it."""
    figure = Figure(figsize=(width / _DOTS_PER_INCH, height / _DOTS_PER_INCH), dpi=_DOTS_PER_INCH)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    return FigureCanvasAgg(figure)


def draw(width: int, height: int, background: str, artists: Sequence[Artist]) -> np.ndarray:
    """Draws artists in pixel coordinates, the origin at the top left.

    Returns:
        Pixels [height, width, 3], uint8.
    """
    canvas: Any = _canvas(width, height)  # matplotlib leaves these methods untyped
    axes = canvas.figure.axes[0]
    canvas.figure.set_facecolor(background)
    for artist in artists:
        axes.add_artist(artist)
    canvas.draw()
    pixels: np.ndarray = np.array(canvas.buffer_rgba())[..., :3]
    for artist in artists:
        artist.remove()
    return pixels


def encode_png(pixels: np.ndarray) -> bytes:
    """PNG bytes of pixels [height, width, 3], uint8."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


@cache
def handwritten_digits() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's 1,797 scanned digits: images [1797, 8, 8] from 0 to 16, and labels [1797]."""
    from sklearn.datasets import load_digits  # 1 s to load, and most processes draw nothing

    images, labels = load_digits(return_X_y=True)
    return images.reshape(-1, 8, 8), labels


@cache
def digit_indices(split: Split) -> dict[int, np.ndarray]:
    """For each digit, which scans a split may use: 70 % train, 10 % validation, 20 % test."""
    _, labels = handwritten_digits()
    order = np.random.default_rng(0).permutation(len(labels))
    bounds = (np.array([0.0, 0.7, 0.8, 1.0]) * len(labels)).astype(int)
    place = SPLITS.index(split)
    chosen = order[bounds[place] : bounds[place + 1]]
    return {digit: chosen[labels[chosen] == digit] for digit in range(10)}


def handwritten(digit: int, split: Split, rng: np.random.Generator) -> np.ndarray:
    """A scan of a digit, enlarged and shifted a little: ink [28, 28] from 0 to 1.

    The top left corner stays free for a name.
    """
    images, _ = handwritten_digits()
    scan = images[rng.choice(digit_indices(split)[digit])] / 16.0
    side = int(rng.integers(17, 20))
    grey = Image.fromarray((scan * 255).astype(np.uint8))
    grey = grey.resize((side, side), Image.Resampling.BILINEAR)
    top, left = rng.integers(8, CELL - side + 1, size=2)
    ink = np.zeros((CELL, CELL))
    ink[top : top + side, left : left + side] = np.asarray(grey) / 255.0
    return ink


@cache
def corner_name(name: str) -> np.ndarray:
    """A name in the top left corner of a cell: ink [28, 28] from 0 to 1."""
    text = Text(6, 6, name, color="#ffffff", fontsize=11, ha="center", va="center_baseline")
    ink: np.ndarray = draw(CELL, CELL, "#000000", [text])[..., 0] / 255.0
    return ink
