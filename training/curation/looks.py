"""How pictures look: the colours of their blocks, much the same in other encodings and sizes.

Where the size is the same, the blocks are smaller: tables of one template differ in digits. Like
any perceptual hash it does not see a changed label, so it is never all that decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from training.images import decode_image
from training.records import EncodedImage

BLOCKS, SMALL_BLOCKS = 16, 32  # a side
# Measured on pictures of MATH-Vision: docs/curation.md.
MAX_DIFFERENCE = 0.2  # of any two blocks' red, green or blue, of the pictures' whole range
MAX_STRETCH = 1.05  # of width to height


@dataclass(frozen=True)
class Look:
    """How one picture looks.

    Attributes:
        size: Width and height, pixels.
        colours: Mean red, green and blue of each block, 0 to 255; int16 [BLOCKS, BLOCKS, 3].
        details: Of each small block; int16 [SMALL_BLOCKS, SMALL_BLOCKS, 3].
    """

    size: tuple[int, int]
    colours: np.ndarray
    details: np.ndarray


def look_of(image: EncodedImage) -> Look:
    """How a picture looks.

    Raises:
        DataError: It cannot be decoded.
    """
    picture = decode_image(image)
    return Look(picture.size, _colours(picture, BLOCKS), _colours(picture, SMALL_BLOCKS))


def _colours(picture: Image.Image, side: int) -> np.ndarray:
    return np.asarray(picture.resize((side, side), Image.Resampling.BOX), dtype=np.int16)


def look_alike(left: Sequence[Look], right: Sequence[Look]) -> bool:
    """Whether these pictures, of which there are some, look like those, in their order."""
    return 0 < len(left) == len(right) and all(map(_is_alike, left, right))


def _is_alike(left: Look, right: Look) -> bool:
    if left.size == right.size:
        return _has_colours_of(left.details, right.details)
    shapes = [one.size[0] / one.size[1] for one in (left, right)]
    is_in_shape = max(shapes) <= MAX_STRETCH * min(shapes)
    return is_in_shape and _has_colours_of(left.colours, right.colours)


def _has_colours_of(left: np.ndarray, right: np.ndarray) -> bool:
    both = np.stack([left, right])
    return bool(np.ptp(both, axis=0).max() <= MAX_DIFFERENCE * np.ptp(both))
