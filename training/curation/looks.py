"""How pictures look: the shades of their blocks, much the same in other encodings and sizes.

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
MAX_DIFFERENCE = 0.2  # of any two blocks' shades, of all between the lightest and the darkest
MAX_STRETCH = 1.05  # of width to height


@dataclass(frozen=True)
class Look:
    """How one picture looks.

    Attributes:
        size: Width and height, pixels.
        shades: Mean grey of each block, 0 to 255; int16 [BLOCKS, BLOCKS].
        small_shades: Of each small block; int16 [SMALL_BLOCKS, SMALL_BLOCKS].
    """

    size: tuple[int, int]
    shades: np.ndarray
    small_shades: np.ndarray


def look_of(image: EncodedImage) -> Look:
    """How a picture looks.

    Raises:
        DataError: It cannot be decoded.
    """
    picture = decode_image(image).convert("L")
    return Look(picture.size, _shades(picture, BLOCKS), _shades(picture, SMALL_BLOCKS))


def _shades(picture: Image.Image, side: int) -> np.ndarray:
    return np.asarray(picture.resize((side, side), Image.Resampling.BOX), dtype=np.int16)


def look_alike(left: Sequence[Look], right: Sequence[Look]) -> bool:
    """Whether these pictures, of which there are some, look like those, in their order."""
    return 0 < len(left) == len(right) and all(map(_is_alike, left, right))


def _is_alike(left: Look, right: Look) -> bool:
    if left.size == right.size:
        return _has_shades_of(left.small_shades, right.small_shades)
    shapes = [one.size[0] / one.size[1] for one in (left, right)]
    is_in_shape = max(shapes) <= MAX_STRETCH * min(shapes)
    return is_in_shape and _has_shades_of(left.shades, right.shades)


def _has_shades_of(left: np.ndarray, right: np.ndarray) -> bool:
    both = np.stack([left, right])
    return bool(np.ptp(both, axis=0).max() <= MAX_DIFFERENCE * np.ptp(both))
