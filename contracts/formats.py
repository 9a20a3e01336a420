"""The formats of files that hold rows, and of images beside them, by how their names end.

Capitals count as small letters.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

FileKind: TypeAlias = Literal["parquet", "jsonl", "csv", "arrow"]

ROW_SUFFIXES: Mapping[FileKind, tuple[str, ...]] = MappingProxyType(
    {
        "parquet": (".parquet",),
        "jsonl": (".jsonl", ".ndjson"),
        "csv": (".csv",),
        "arrow": (".arrow",),
    }
)
ALL_ROW_SUFFIXES = tuple(suffix for some in ROW_SUFFIXES.values() for suffix in some)
TITLES: Mapping[FileKind, str] = MappingProxyType(
    {"parquet": "Parquet", "jsonl": "JSON Lines", "csv": "CSV", "arrow": "Arrow"}
)
# Rows that nobody unpacks, and JSON that is no JSON Lines.
PACKED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".zip")
UNREAD_SUFFIXES: Mapping[FileKind, tuple[str, ...]] = MappingProxyType(
    {
        kind: tuple(f"{one}{packed}" for one in suffixes for packed in PACKED_SUFFIXES)
        + ((".json",) if kind == "jsonl" else ())
        for kind, suffixes in ROW_SUFFIXES.items()
    }
)
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif")
