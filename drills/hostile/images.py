"""Images: small ones of many formats and modes, damaged ones, and headers that promise too much."""

import io
import random
import struct
from functools import cache
from pathlib import Path

from PIL import Image

from contracts.errors import DataError
from drills.hostile.values import damaged
from training.images import decode_image, fault_of
from training.records import EncodedImage

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "EPS", "ICO", "PPM", "PCX")
MODES = ("RGB", "L", "P", "RGBA", "1", "CMYK", "LA", "I;16")
SIDES = (0, 1, 28, 13_300, 2**20, 2**31)


def problem_images(draw: random.Random, _folder: Path) -> None:
    """One to three images of a problem."""
    images: list[EncodedImage] = [
        {"bytes": odd_image(draw), "path": None} for _ in range(draw.randrange(1, 4))
    ]
    if reason := fault_of(images):
        raise DataError(reason, where="", rule="", fix="")
    for one in images:
        assert decode_image(one).mode == "RGB"


def odd_image(draw: random.Random) -> bytes:
    """A small picture, whole or damaged, or a header that promises more than there is."""
    mode, side = draw.choice(MODES), draw.choice([1, 7, 28])
    kind = draw.choice([kind for kind in FORMATS if _writes(kind, mode)])
    exif = Image.Exif()
    exif[0x0112] = draw.choice([0, 1, 3, 6, 8, 9, 65535])  # orientation
    options = {"exif": exif} if kind in ("PNG", "JPEG", "WEBP") and draw.random() < 0.5 else {}
    buffer = io.BytesIO()
    Image.new(mode, (side, side)).save(buffer, format=kind, **options)
    data = buffer.getvalue()
    if draw.random() < 0.2 and kind == "PNG":
        return data[:16] + struct.pack(">II", draw.choice(SIDES), draw.choice(SIDES)) + data[24:]
    if draw.random() < 0.2 and kind == "GIF":
        sides = struct.pack("<HH", draw.choice(SIDES) % 2**16, draw.choice(SIDES) % 2**16)
        return data[:6] + sides + data[10:]
    return damaged(draw, data) if draw.random() < 0.6 else data


@cache
def _writes(kind: str, mode: str) -> bool:
    try:
        Image.new(mode, (1, 1)).save(io.BytesIO(), format=kind)
    except (OSError, ValueError, KeyError):
        return False
    return True
