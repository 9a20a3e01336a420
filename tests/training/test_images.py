"""Images of strangers: which are opened, what becomes of their pixels, and what the others lack."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from contracts.errors import DataError
from training.images import (
    MAX_IMAGE_BYTES,
    MAX_IMAGE_PIXELS,
    MAX_JPEG_SCANS,
    MAX_PROBLEM_IMAGES,
    MIN_SIDE,
    decode_image,
    fault_of,
    num_pixels,
)

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
PICTURE = Image.fromarray(PIXELS)
OTHER_FORMAT = "image that is no PNG, JPEG, WebP or GIF"
UNDECODABLE, ANIMATED = "image that cannot be decoded", "animated image"


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return {"bytes": buffer.getvalue(), "path": None}


def png_of(width, height, rows=b"", depth=8, colour=0):
    """A PNG by hand, whatever its header promises."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return {"bytes": b"\x89PNG\r\n\x1a\n" + parts, "path": None}


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "JPEG"])
def test_the_four_formats_are_opened(kind):
    image = encoded(PICTURE, kind, **({"lossless": True} if kind == "WEBP" else {}))
    assert fault_of([image]) is None
    decoded = decode_image(image)
    assert (decoded.mode, decoded.size) == ("RGB", (30, 20))
    if kind in ("PNG", "WEBP"):
        assert np.array_equal(np.asarray(decoded), PIXELS)


@pytest.mark.parametrize("kind", ["EPS", "TIFF", "BMP", "PPM", "ICO", "PDF", "TGA", "JPEG2000"])
def test_no_other_format_is(kind, monkeypatch):
    monkeypatch.setattr("subprocess.check_call", lambda *_: pytest.fail("a program was started"))
    image = encoded(PICTURE, kind)
    assert fault_of([image]) == OTHER_FORMAT
    with pytest.raises(DataError, match=OTHER_FORMAT):
        decode_image(image)


@pytest.mark.parametrize("data", [b"", b"no image", b"<svg xmlns='http://www.w3.org/2000/svg'/>"])
def test_what_is_no_image_at_all(data):
    assert fault_of([{"bytes": data, "path": None}]) == OTHER_FORMAT


def test_pixels_are_counted_before_any_is_decoded():
    limit = int(MAX_IMAGE_PIXELS**0.5)
    for side in (13_300, limit + 1, 2**31 - 1):
        assert fault_of([png_of(side, side)]) == "image with too many pixels"
    # As large as is allowed, but with no pixels in it: they would have been decoded.
    assert fault_of([png_of(limit, limit)]) == UNDECODABLE
    assert fault_of([png_of(limit, limit)] * 3) == "images with too many pixels in all"


def test_pixels_are_told_by_the_header_and_count_where_an_image_is_decoded_alone():
    assert num_pixels([png_of(40, 30), encoded(PICTURE, "JPEG")]) == 40 * 30 + 20 * 30
    assert (
        num_pixels([{"bytes": b"", "path": None}, png_of(40, 30), png_of(20_000, 20_000)]) == 1200
    )
    limit = int(MAX_IMAGE_PIXELS**0.5)
    assert num_pixels([png_of(limit, limit)] * 3) == 0
    assert num_pixels([png_of(40, 30)] * (MAX_PROBLEM_IMAGES + 1)) == 0


def test_scans_of_a_jpeg_are_counted_before_any_is_decoded(monkeypatch):
    data = encoded(PICTURE, "JPEG", progressive=True)["bytes"]
    last = data[data.rindex(b"\xff\xda") : -2]
    num_missing = MAX_JPEG_SCANS - data.count(b"\xff\xda")

    def with_scans(num_more):
        return {"bytes": data[:-2] + last * num_more + data[-2:], "path": None}

    assert fault_of([with_scans(0)]) is None and fault_of([with_scans(num_missing)]) is None
    monkeypatch.setattr("training.images._decode", lambda _: pytest.fail("it was decoded"))
    assert fault_of([with_scans(num_missing + 1)]) == "image with too many scans"
    with pytest.raises(DataError, match="too many scans"):
        decode_image(with_scans(num_missing + 1))


def test_images_are_counted_before_any_is_opened(monkeypatch):
    dot = encoded(Image.new("1", (1, 1)), "GIF")
    assert fault_of([dot] * MAX_PROBLEM_IMAGES) is None
    monkeypatch.setattr("training.images._open", lambda _: pytest.fail("it was opened"))
    reason = f"more than {MAX_PROBLEM_IMAGES} images"
    assert fault_of([dot] * (MAX_PROBLEM_IMAGES + 1)) == reason


def test_a_bomb_of_compressed_text_is_refused():
    bomb = zlib.compress(bytes(200 * 2**20))
    data = encoded(PICTURE, "PNG")["bytes"]
    name_and_text = b"zTXt" + b"x\0\0" + bomb
    chunk = struct.pack(">I", len(name_and_text) - 4) + name_and_text
    chunk += struct.pack(">I", zlib.crc32(name_and_text))
    assert fault_of([{"bytes": data[:33] + chunk + data[33:], "path": None}]) is not None


def test_narrow_and_animated_images_are_refused():
    assert fault_of([encoded(Image.new("L", (4000, 20)), "PNG")]) is None
    assert fault_of([encoded(Image.new("L", (4001, 20)), "PNG")]) == "image that is too narrow"
    second = Image.new("RGB", PICTURE.size)
    for kind in ("GIF", "WEBP", "PNG"):
        moving = encoded(PICTURE, kind, save_all=True, append_images=[second])
        assert fault_of([moving]) == ANIMATED


def test_a_cameras_picture_with_a_thumbnail_is_its_picture():
    camera = encoded(PICTURE, "MPO", save_all=True, append_images=[PICTURE.resize((8, 8))])
    assert fault_of([camera]) is None and decode_image(camera).size == (30, 20)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", range(10))
def test_pictures_stand_upright_and_have_the_size_that_their_header_says(kind, orientation):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    image = encoded(PICTURE, kind, exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(image["bytes"]))).convert("RGB")
    assert np.array_equal(np.asarray(decode_image(image)), np.asarray(upright))
    assert decode_image(image).size == upright.size


def test_transparent_becomes_white_whatever_lies_beneath():
    drawn = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    drawn.putpixel((1, 0), (10, 20, 30, 255))
    for image, kind in ((drawn, "PNG"), (drawn.quantize(4), "PNG"), (drawn, "GIF")):
        left, right = decode_image(encoded(image, kind)).get_flattened_data()
        assert left == (255, 255, 255) and right == (10, 20, 30)
    grey = encoded(Image.merge("LA", [Image.new("L", (1, 1), 0), Image.new("L", (1, 1), 0)]), "PNG")
    assert decode_image(grey).getpixel((0, 0)) == (255, 255, 255)


def test_every_mode_keeps_its_colours():
    deep = png_of(3, 1, b"\0" + struct.pack(">HHH", 0, 0x8000, 0xFFFF), depth=16)
    assert [p[0] for p in decode_image(deep).get_flattened_data()] == [0, 128, 255]
    for mode in ("1", "L", "P", "CMYK"):
        image = Image.new("L", (20, 20), 255).convert(mode)
        kind = "JPEG" if mode == "CMYK" else "PNG"
        assert decode_image(encoded(image, kind)).getpixel((5, 5)) == (255, 255, 255)


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["PNG", "JPEG", "WEBP", "GIF"]),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8),
    end=st.floats(0, 1),
)
def test_a_damaged_image_is_used_or_refused_and_nothing_else(kind, changes, end):
    data = bytearray(encoded(PICTURE, kind)["bytes"])
    for place, value in changes:
        data[int(place * (len(data) - 1))] = value
    image = {"bytes": bytes(data[: int((1 - end**8) * len(data))]), "path": None}
    if fault_of([image]) is None:
        decode_image(image)
    else:
        with pytest.raises(DataError):
            decode_image(image)


@pytest.mark.parametrize(("size", "is_used"), [((28, 28), True), ((27, 400), False)])
def test_curation_asks_for_sides_that_hold_a_visual_token(size, is_used):
    image = encoded(Image.new("RGB", size), "PNG")
    assert fault_of([image]) is None and decode_image(image).size == size
    reason = None if is_used else "image smaller than 28 pixels a side"
    assert fault_of([image], min_side=MIN_SIDE) == reason


def test_the_smaller_side_is_that_of_the_upright_picture():
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    image = encoded(Image.new("RGB", (20, 40)), "JPEG", exif=exif)
    assert decode_image(image).size == (40, 20)
    assert fault_of([image], min_side=MIN_SIDE) == "image smaller than 28 pixels a side"


def test_an_image_of_too_many_bytes_is_not_even_opened(monkeypatch):
    image = encoded(PICTURE, "PNG")
    padded = {"bytes": image["bytes"] + bytes(MAX_IMAGE_BYTES), "path": None}
    monkeypatch.setattr("PIL.Image.open", lambda *_, **__: pytest.fail("it was opened"))
    assert fault_of([padded]) == "image with too many bytes"


def test_colours_of_sixteen_bits_and_of_ink_are_those_that_were_meant():
    deep = png_of(2, 1, b"\0" + struct.pack(">HHHHHH", 0xFFFF, 0x8000, 0, 0, 0, 0xFFFF), 16, 2)
    assert list(decode_image(deep).get_flattened_data()) == [(255, 128, 0), (0, 0, 255)]
    ink = Image.new("CMYK", (40, 40), (0, 255, 255, 0))  # magenta and yellow are red
    red = decode_image(encoded(ink, "JPEG", quality=100)).getpixel((20, 20))
    assert red[0] > 240 and max(red[1:]) < 15
