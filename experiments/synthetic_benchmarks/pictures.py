"""Pictures of a figure with a number, in the formats and modes that benchmarks come in."""

import io
import random
from collections.abc import Callable

from PIL import Image, ImageDraw

Draw = Callable[[str], bytes]
MODES = ("RGB", "RGB", "RGB", "L", "P", "RGBA")  # of PNG files; JPEG has its own share
SIDES = (180, 640)  # pixels
JPEG_SHARE = 0.3


def figure(text: str) -> bytes:
    """An encoded picture, the same for the same text and different for every other."""
    draws = random.Random(text)
    size = (draws.randint(*SIDES), draws.randint(*SIDES))
    image = Image.new("RGB", size, (255, 255, 255))
    pen = ImageDraw.Draw(image)
    for _ in range(draws.randint(2, 5)):
        corners = [
            (draws.randint(0, size[0]), draws.randint(0, size[1]))
            for _ in range(draws.randint(3, 6))
        ]
        colour = (draws.randint(0, 200), draws.randint(0, 200), draws.randint(0, 200))
        pen.polygon(corners, outline=colour, width=3)
    pen.text((6, 6), text[:80], fill=(0, 0, 0))
    file = io.BytesIO()
    if draws.random() < JPEG_SHARE:
        image.save(file, "JPEG", quality=85)
    else:
        image.convert(draws.choice(MODES)).save(file, "PNG", compress_level=1)
    return file.getvalue()
