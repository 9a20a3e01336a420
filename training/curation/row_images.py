"""The images of a row: bytes, structs of `bytes` and `path`, or files beside the rows."""

import re
from pathlib import Path

from training.curation.refused import Refused
from training.images import MAX_IMAGE_BYTES, MAX_PROBLEM_BYTES, MAX_PROBLEM_IMAGES
from training.records import EncodedImage

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:", re.IGNORECASE)
OUTSIDE = "image file outside the source's folder"


def read_images(value: object, folder: Path) -> list[EncodedImage]:
    """One image or several; files are read whole and stay encoded.

    Args:
        value: Bytes, a text (a path inside the folder), a struct of `bytes` and `path`, or a list
            of these. Anything else is an image without bytes, which the verifiability filter
            rejects.
        folder: The source's files; nothing outside of it is read.

    Raises:
        Refused: An image lies at an address, outside the folder, or nowhere; or it is too large, or
            there are too many: one row may name a large file a thousand times.
    """
    images = value if isinstance(value, list) else [] if value is None else [value]
    if len(images) > MAX_PROBLEM_IMAGES:
        raise Refused(f"more than {MAX_PROBLEM_IMAGES} images")
    found, num_bytes = list[EncodedImage](), 0
    for one in images:
        found.append({"bytes": _bytes(one, folder), "path": None})
        num_bytes += len(found[-1]["bytes"])
        if num_bytes > MAX_PROBLEM_BYTES:
            raise Refused("images with too many bytes in all")
    return found


def _bytes(image: object, folder: Path) -> bytes:
    if isinstance(image, dict):
        held, path = image.get("bytes"), image.get("path")
        image = held if isinstance(held, bytes) and held else path
    if isinstance(image, str):
        return _read(image, folder)
    return image if isinstance(image, bytes) else b""


def _read(name: str, folder: Path) -> bytes:
    """The bytes of a file that the source's input lists.

    A stage's folder holds links to those files, and no others: whoever lists a folder leaves out
    links that lead away from it (`infra.inputs.local`). So the file itself may be a link here, and
    no folder above it.
    """
    if _ADDRESS.match(name):
        raise Refused("image by an address")
    parts = name.split("/")
    if name.startswith(("/", "\\")) or ".." in parts or not name.isprintable():
        raise Refused(OUTSIDE)
    path = folder.joinpath(*parts)
    try:
        above = [one for one in path.parents if one.is_relative_to(folder) and one != folder]
        if any(one.is_symlink() for one in above):
            raise Refused(OUTSIDE)
        if not path.is_file():
            raise Refused("image file that is missing")
        if path.stat().st_size > MAX_IMAGE_BYTES:
            raise Refused("image with too many bytes")
        return path.read_bytes()
    except OSError as error:  # a name that no disk can hold, a file that may not be read
        raise Refused("image file that cannot be read") from error
