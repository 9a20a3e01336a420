"""Whether a model folder asks for more than it brings: what its numbers would have built or drawn.

A configuration of a few bytes may describe a model of terabytes. transformers makes up what the
files lack, and only then tells; and a processor enlarges images to whatever size it is told.
"""

import sys
from collections.abc import Iterator
from math import prod
from pathlib import Path

import torch

from training.images import MAX_IMAGE_PIXELS
from training.model.check import read_object, refused, weight_shapes
from training.model.family import Processor

MAX_SIDE = 2**13  # pixels, patches, tokens of an image: published processors stay far below
MAX_BUFFER = 2**24  # numbers of a model's tables, which are in no file: frequencies, positions
MAX_TILES = 2**8  # that an image may be cut into
_UNBOUNDED = ("longest_edge", "max_pixels")  # where pixels are counted: images only shrink to it
_ENLARGING = ("shortest_edge", "min_pixels")
_OTHER_PARTS = ("image_processor", "video_processor", "feature_extractor", "audio_processor")


def check_size(folder: Path) -> None:
    """Builds the model without memory for its weights, and compares their number with the files'.

    Raises:
        ModelError: The configuration speaks of more weights than there are.
    """
    from transformers import AutoConfig, AutoModelForImageTextToText

    config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False)
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config, trust_remote_code=False)
    tied = set(getattr(model, "all_tied_weights_keys", None) or ())
    wanted = sum(one.numel() for name, one in model.named_parameters() if name not in tied)
    held = sum(map(prod, weight_shapes(folder).values()))
    if wanted > held:
        raise refused(
            folder,
            f"some of its weights are not there: config.json speaks of {wanted} numbers, the "
            f"weights have {held}",
        )
    for name, table in model.named_buffers():
        if table.numel() > MAX_BUFFER:
            raise refused(folder, f"config.json speaks of {name} with {table.numel()} numbers")


def check_processor(folder: Path, processor: Processor) -> None:
    """Bounds what the processor makes of an image.

    Raises:
        ModelError: A number is far beyond what processors of published models have.
    """
    images = processor.image_processor
    modules = [sys.modules[one.__module__] for one in type(images).__mro__]
    counts_pixels = any(hasattr(module, "smart_resize") for module in modules)
    for name, value in _numbers("image_processor", images.to_dict()):
        if not abs(value) <= _most(name, counts_pixels):
            raise refused(folder, f"{name} is {str(value)[:30]} in its processor")
    path = folder / "processor_config.json"
    if path.is_file():
        own = {k: v for k, v in read_object(path).items() if k not in _OTHER_PARTS}
        for name, value in _numbers("processor", own):
            if not abs(value) <= _most(name, False):
                raise refused(folder, f"{name} is {str(value)[:30]} in processor_config.json")


def _most(name: str, counts_pixels: bool) -> float:
    last = name.rpartition(".")[2]
    if last.endswith(("_id", "_ids")):
        return torch.inf
    if counts_pixels and last in _UNBOUNDED:
        return 2**31
    if counts_pixels and last in _ENLARGING:
        return MAX_IMAGE_PIXELS
    return MAX_TILES if last.endswith(("_patches", "_tiles", "_crops")) else MAX_SIDE


def _numbers(name: str, value: object) -> Iterator[tuple[str, int | float]]:
    """All numbers within nested values, with the names that lead to them."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _numbers(f"{name}.{key}", inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _numbers(name, inner)
    elif isinstance(value, int | float):
        yield name, value
