"""Recipes: half of them as files, half as the values of a run's record."""

import json
import random
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from drills.hostile.values import NUMBERS, TEXTS, changed, damaged
from infra.settings import PROJECT_ROOT
from training.recipe.recipe import load_recipe, parse_recipe

POCKET = PROJECT_ROOT / "infra" / "recipes" / "pocket.toml"
VALUES = [*map(json.dumps, TEXTS), *map(str, NUMBERS[:7]), "inf", "nan", "1e999", "[[1]]", "{a=1}"]


def recipe(draw: random.Random, folder: Path) -> None:
    """One recipe."""
    if draw.random() < 0.5:
        values = changed(draw, _pocket(), draw.choice([0.01, 0.05, 0.2]))
        parse_recipe(values if isinstance(values, dict) else {"": values}, where="recipe.json")
        return
    path = folder / draw.choice(["mine.toml"] * 18 + ["x" * 300, "a\0b"])
    data = _odd_file(draw)
    with suppress(OSError, ValueError):  # no file system takes such a name: it is asked for anyway
        path.write_bytes(damaged(draw, data) if draw.random() < 0.3 else data)
    load_recipe(path)


def _odd_file(draw: random.Random) -> bytes:
    """The pocket recipe with one to three lines changed."""
    lines = POCKET.read_bytes().splitlines(keepends=True)
    for _ in range(draw.randrange(1, 4)):
        number = draw.randrange(len(lines))
        key = lines[number].partition(b"=")[0]
        lines[number] = draw.choice(
            [
                *[key + b"= " + draw.choice(VALUES).encode() + b"\n"] * 6,
                b"",
                lines[number] * 2,
                b"[a." * 999 + b"\n",
                b"a = " + b"[" * 9999,
                b"a" + b".a" * 999 + b" = 1\n",
            ]
        )
    return b"".join(lines)


@cache
def _pocket() -> dict[str, Any]:
    return load_recipe(POCKET).model_dump(mode="json")
