"""Opening images, the only place that decodes what strangers drew.

Four formats and no other: Pillow would hand an EPS file to a program of the machine. Size, frames
and orientation are read from the header, so that a file that unpacks to gigabytes never is.
"""

import io
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import prod

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from contracts.errors import DataError
from training.records import EncodedImage

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
MAX_IMAGE_PIXELS = 2**25  # 33 million: more than the largest pictures of the paper's sources have
MAX_PROBLEM_PIXELS = 2**26  # of all its images: 200 MB when they are decoded
MAX_IMAGE_BYTES = 2**25  # encoded; of the paper's sources the largest have a few million
MAX_PROBLEM_BYTES = 2**28  # encoded, of all its images: what their pixels may take, and more
MIN_SIDE = 28  # pixels: one visual token of the Qwen family; smaller ones are blown up to it
MAX_SIDES_RATIO = 200  # processors of the Qwen family refuse narrower images
MAX_PROBLEM_IMAGES = 64  # each costs time, however small; the paper's problems have a few
# A progressive JPEG has about ten. Each passes over all pixels and may take only a few bytes.
MAX_JPEG_SCANS = 100
UNDECODABLE = "image that cannot be decoded"

# EXIF's orientations, and what brings the picture upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)
_START_OF_SCAN = b"\xff\xda"  # inside compressed data, 0xff is never followed by this


class _Refused(Exception):
    """Why an image is not used, in words that are the same for all images with that fault."""


@dataclass(frozen=True)
class _Opened:
    """An image whose header was read.

    Attributes:
        image: Not yet decoded.
        orientation: As EXIF counts, 1 to 8.
    """

    image: Image.Image
    orientation: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright picture, pixels."""
        width, height = self.image.size
        return (height, width) if self.orientation in _SIDEWAYS else (width, height)


def fault_of(images: Sequence[EncodedImage], *, min_side: int = 1) -> str | None:
    """Why a problem's images cannot be used, or None; every image is decoded, one at a time.

    A file that was cut short passes every cheaper check.

    Args:
        images: Of one problem.
        min_side: Pixels that width and height must have; curation asks for MIN_SIDE.
    """
    if len(images) > MAX_PROBLEM_IMAGES:
        return f"more than {MAX_PROBLEM_IMAGES} images"
    try:
        opened = [_open(image) for image in images]
        if any(min(one.size) < min_side for one in opened):
            return f"image smaller than {min_side} pixels a side"
        if sum(prod(one.size) for one in opened) > MAX_PROBLEM_PIXELS:
            return "images with too many pixels in all"
        while opened:  # each is forgotten when it was decoded
            _decode(opened.pop())
    except _Refused as reason:
        return str(reason)
    return None


def num_pixels(images: Sequence[EncodedImage]) -> int:
    """How many pixels a problem's images have, by their headers; 0 for what is never decoded."""
    if len(images) > MAX_PROBLEM_IMAGES:
        return 0
    total = 0
    for image in images:
        with suppress(_Refused):
            total += prod(_open(image).size) if image["bytes"] else 0
    return total if total <= MAX_PROBLEM_PIXELS else 0


def decode_image(image: EncodedImage) -> Image.Image:
    """The upright picture in colour; what is transparent becomes white, as on a page.

    Raises:
        DataError: It is no image that may be used.
    """
    try:
        return _decode(_open(image))
    except _Refused as reason:
        raise _unusable(reason) from reason


def _open(image: EncodedImage) -> _Opened:
    if len(image["bytes"]) > MAX_IMAGE_BYTES:
        raise _Refused("image with too many bytes")
    try:
        opened = Image.open(io.BytesIO(image["bytes"]), formats=FORMATS)
        orientation = _orientation(opened)
        animated = opened.format != "MPO" and getattr(opened, "is_animated", False)
    except Image.DecompressionBombError as error:
        raise _Refused("image with too many pixels") from error
    except UnidentifiedImageError as error:
        raise _Refused("image that is no PNG, JPEG, WebP or GIF") from error
    except Exception as error:  # a decoder may raise anything
        raise _Refused(UNDECODABLE) from error
    width, height = opened.size
    if width * height > MAX_IMAGE_PIXELS:
        raise _Refused("image with too many pixels")
    if max(width, height) > MAX_SIDES_RATIO * min(width, height):
        raise _Refused("image that is too narrow")
    jpeg = opened.format in ("JPEG", "MPO")
    if jpeg and image["bytes"].count(_START_OF_SCAN) > MAX_JPEG_SCANS:
        raise _Refused("image with too many scans")
    if animated:  # an MPO is a camera's JPEG with a thumbnail behind it
        raise _Refused("animated image")
    return _Opened(opened, orientation)


def _orientation(image: Image.Image) -> int:
    """As the header says; 1, upright, where it says nothing."""
    exif = Image.Exif()
    exif.load(image.info.get("exif", b""))
    orientation = exif.get(ExifTags.Base.Orientation, 1)
    return orientation if orientation in _UPRIGHT else 1


def _decode(opened: _Opened) -> Image.Image:
    try:
        image = _in_colour(opened.image)
        method = _UPRIGHT.get(opened.orientation)
        return image if method is None else image.transpose(method)
    except Exception as error:  # a decoder may raise anything
        raise _Refused(UNDECODABLE) from error


def _in_colour(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits of grey, which Pillow would cut off at 255
        grey = np.asarray(image).clip(0, 2**16 - 1) >> 8
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    drawn = image.convert("RGBA")
    page = Image.new("RGBA", drawn.size, "white")
    return Image.alpha_composite(page, drawn).convert("RGB")


def _unusable(reason: _Refused) -> DataError:
    return DataError(
        f"There is an {reason}.",
        where="an image of a problem",
        rule=f"images are whole PNG, JPEG, WebP or GIF files of one frame, with at most "
        f"{MAX_IMAGE_BYTES} bytes, {MAX_IMAGE_PIXELS} pixels and {MAX_JPEG_SCANS} scans, no side "
        f"{MAX_SIDES_RATIO} times the other",
        fix="curate the source again: such rows are rejected there; or leave the row out",
    )
