"""A checkpoint's weights as tables for Great Expectations, read a piece at a time.

Which values are finite is read off their bits, so that every number format costs the same: a float
is infinite or NaN if all bits of its exponent are set. No tensor is ever whole in memory, and no
machine learning is imported for it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import pandas as pd

from contracts.errors import DataError
from contracts.texts import marked

# Format of a safetensors file -> the unsigned integer of its size, and the exponent's bits.
EXPONENTS: Mapping[str, tuple[str, int]] = {
    "F64": ("<u8", 0x7FF0_0000_0000_0000),
    "F32": ("<u4", 0x7F80_0000),
    "F16": ("<u2", 0x7C00),
    "BF16": ("<u2", 0x7F80),
}
_PIECE_VALUES = 2**22  # 32 MiB of the widest format at most


@dataclass(frozen=True)
class Tensor:
    """One tensor of a safetensors file, as its header describes it.

    Attributes:
        file: The file's name.
        dtype: The number format, in the file's words.
        shape: Its shape.
        start: Where its bytes begin in the file.
    """

    file: str
    dtype: str
    shape: tuple[int, ...]
    start: int


def tensors_frame(folder: Path, before: Path) -> pd.DataFrame:
    """Every tensor of a model and of the one that it was made from.

    Args:
        folder: The model's.
        before: The folder of the model that its stage began with.

    Returns:
        `id`, the tensor's name; `file`, `dtype` and `shape`, null where it is missing;
        `shape_before`, null where it is new; `num_values`; and `num_nonfinite`, how many of them
        are infinite or NaN, null for integers.

    Raises:
        DataError: A folder has no safetensors file, or one that cannot be read.
    """
    now, then = read_headers(folder), read_headers(before)
    rows = [
        {
            "id": name,
            "file": tensor.file if (tensor := now.get(name)) else None,
            "dtype": tensor.dtype if tensor else None,
            "shape": _words(tensor),
            "shape_before": _words(then.get(name)),
            "num_values": prod(tensor.shape) if tensor else None,
            "num_nonfinite": num_nonfinite(folder, tensor) if tensor else None,
        }
        for name in sorted(now.keys() | then.keys())
    ]
    return pd.DataFrame(rows)


def files_frame(folder: Path, wanted: Mapping[str, str]) -> pd.DataFrame:
    """The files of a model by their SHA-256.

    Args:
        folder: The model's.
        wanted: Path below the folder -> digest, of whoever stored them.

    Returns:
        `id`, the path; `digest`, of its bytes now, null where it is missing; `digest_wanted`, null
        where nobody knows of it.
    """
    found = {
        str(path.relative_to(folder)): path
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }
    names = sorted(found.keys() | wanted.keys())
    return pd.DataFrame(
        {
            "id": names,
            "digest": [_digest(found[name]) if name in found else None for name in names],
            "digest_wanted": [wanted.get(name) for name in names],
        }
    )


def num_nonfinite(folder: Path, tensor: Tensor) -> int | None:
    """How many values of a tensor are infinite or NaN; None if they are no floats."""
    if tensor.dtype not in EXPONENTS:
        return None
    kind, exponent = EXPONENTS[tensor.dtype]
    left, found = prod(tensor.shape), 0
    with (folder / tensor.file).open("rb") as file:
        file.seek(tensor.start)
        while left:
            piece = np.fromfile(file, dtype=kind, count=min(left, _PIECE_VALUES))
            if not len(piece):
                raise _unreadable(folder / tensor.file, "it ends before its last tensor does")
            found += int(np.count_nonzero((piece & exponent) == exponent))
            left -= len(piece)
    return found


def read_headers(folder: Path) -> dict[str, Tensor]:
    """The tensors of all safetensors files of a folder, by name.

    Raises:
        DataError: There is no such file, or one that cannot be read.
    """
    tensors: dict[str, Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        tensors |= _header(path)
    if not tensors:
        raise _unreadable(folder, "it holds no safetensors file with a tensor")
    return tensors


def _header(path: Path) -> dict[str, Tensor]:
    """Reads a file's header, once the library has found the file whole."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np"):
            pass
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            described = json.loads(file.read(size))
    except (SafetensorError, OSError, ValueError) as error:
        raise _unreadable(path, marked(str(error))[:200]) from error
    return {
        name: Tensor(
            path.name, one["dtype"], tuple(one["shape"]), 8 + size + one["data_offsets"][0]
        )
        for name, one in described.items()
        if name != "__metadata__"
    }


def _words(tensor: Tensor | None) -> str | None:
    """A shape as a table shows it."""
    return None if tensor is None else " x ".join(map(str, tensor.shape)) or "one value"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unreadable(path: Path, why: str) -> DataError:
    return DataError(
        f"{path} cannot be checked: {why}.",
        where=str(path),
        rule="a training stage leaves a folder of whole safetensors files",
        fix="run the stage again: its artifact is incomplete",
    )
