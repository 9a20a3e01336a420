"""How pictures look: the colours of their blocks, much the same in other encodings and sizes.

Like any perceptual hash it does not see a changed label, so it is never all that decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from training.images import decode_image
from training.records import EncodedImage

BLOCKS = 16  # a side
# Measured on pictures of MATH-Vision: docs/curation.md.
MAX_DIFFERENCE = 0.2  # of any two blocks' red, green or blue, of the pictures' whole range
MAX_STRETCH = 1.05  # of width to height


@dataclass(frozen=True)
class Look:
    """How one picture looks.

    Attributes:
        colours: Mean red, green and blue of each block, 0 to 255; int16 [BLOCKS, BLOCKS, 3].
        shape: Width to height.
    """

    colours: np.ndarray
    shape: float


def look_of(image: EncodedImage) -> Look:
    """How a picture looks.

    Raises:
        DataError: It cannot be decoded.
    """
    picture = decode_image(image)
    blocks = picture.resize((BLOCKS, BLOCKS), Image.Resampling.BOX)
    return Look(np.asarray(blocks, dtype=np.int16), picture.width / picture.height)


def look_alike(left: Sequence[Look], right: Sequence[Look]) -> bool:
    """Whether these pictures, of which there are some, look like those, in their order."""
    return 0 < len(left) == len(right) and all(map(_is_alike, left, right))


def _is_alike(left: Look, right: Look) -> bool:
    stretch = max(left.shape, right.shape) / min(left.shape, right.shape)
    both = np.stack([left.colours, right.colours])
    return stretch <= MAX_STRETCH and bool(
        np.ptp(both, axis=0).max() <= MAX_DIFFERENCE * np.ptp(both)
    )
