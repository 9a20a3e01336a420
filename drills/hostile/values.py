"""Odd values, and odd changes to good ones."""

import json
import random
from typing import Any

TEXTS = (
    *(
        "",
        " ",
        "2",
        "\0",
        "\x1b[2J",
        "\u202e21",
        "a\u200bb",
        "\ufeff",
        "\ufffd",
        "x" * 300,
        "é" * 9,
    ),
    *("../../x", "/etc/passwd", "*", "${HOME}", "<script>", "<|image_pad|>", "{{7*7}}", "NaN"),
)
NUMBERS = (0, 1, -1, 2**31, 2**63, 10**21, 10**400, 0.5, -0.0, 1e308, float("inf"), float("nan"))


def anything(draw: random.Random, depth: int = 0) -> Any:  # noqa: ANN401 - as it says
    """A JSON value."""
    kind = draw.choice(["text", "number", "null", "flag"] + ["list", "object"] * (depth < 4))
    if kind == "text":
        return draw.choice(TEXTS)
    if kind == "number":
        return draw.choice(NUMBERS)
    if kind == "list":
        return [anything(draw, depth + 1) for _ in range(draw.randrange(4))]
    if kind == "object":
        return {draw.choice(TEXTS): anything(draw, depth + 1) for _ in range(draw.randrange(4))}
    return None if kind == "null" else draw.random() < 0.5


def changed(draw: random.Random, value: Any, share: float) -> Any:  # noqa: ANN401
    """A JSON value with a share of its parts replaced, left out or added."""
    if draw.random() < share:
        return anything(draw)
    if isinstance(value, dict):
        kept = {k: changed(draw, v, share) for k, v in value.items() if draw.random() > share / 2}
        return kept | ({draw.choice(TEXTS): anything(draw)} if draw.random() < share else {})
    if isinstance(value, list):
        return [changed(draw, one, share) for one in value if draw.random() > share / 2]
    return value


def damaged(draw: random.Random, data: bytes) -> bytes:
    """Bytes with some of them overwritten, left out, repeated, or put in."""
    odd = bytearray(data)
    for _ in range(draw.randrange(1, 6)):
        start = draw.randrange(len(odd) + 1)
        end = min(len(odd), start + draw.choice([1, 1, 2, 4, 8, 64, 1024]))
        twice = bytes(odd[start:end]) * 2
        odd[start:end] = draw.choice([b"", b"\xff" * 8, b"\0" * 8, draw.randbytes(4), twice])
    return bytes(odd)


def json_bytes(draw: random.Random, value: object) -> bytes:
    """A value as JSON, sometimes damaged, or nested without an end."""
    if draw.random() < 0.03:
        return draw.choice([b"[", b'{"a":']) * 50_000
    data = json.dumps(value).encode()
    return damaged(draw, data) if draw.random() < 0.2 else data
