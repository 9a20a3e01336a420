"""Model folders with one file changed."""

import json
import os
import random
from pathlib import Path

from drills.hostile.values import changed, json_bytes
from infra.settings import PROJECT_ROOT
from training.model.check import check_links, check_model
from training.model.policy import load_policy
from training.model.template import template_of
from training.recipe.model import ModelRecipe

MODEL = PROJECT_ROOT / "infra" / "models" / "pocket-base"
_SHARE_LOADED = 0.1
CHANGED = (
    *("config.json", "tokenizer_config.json", "processor_config.json", "chat_template.jinja"),
    *("model.safetensors", "model.safetensors"),
)


def model(draw: random.Random, folder: Path) -> None:
    """One folder; a few of those that pass the check are loaded, which takes longer."""
    for path in MODEL.iterdir():
        os.link(path, folder / path.name)
    path = folder / draw.choice(CHANGED)
    data = path.read_bytes()
    path.unlink()
    if draw.random() < 0.1:
        path.symlink_to(draw.choice(["/etc/passwd", "nowhere", path.name]))
    elif path.suffix == ".json":
        values = changed(draw, json.loads(data), draw.choice([0.02, 0.1, 0.5]))
        path.write_bytes(json_bytes(draw, values))
    elif path.suffix == ".jinja":
        path.write_bytes(draw.choice([b"", b"\xff\xfe", b"\0", data * 2]))
    else:
        path.write_bytes(_odd_weights(draw, data))
    check_links(folder)
    check_model(folder)
    template_of(folder)
    if draw.random() < _SHARE_LOADED:
        load_policy(folder, ModelRecipe(path="unused"), system_prompt="")


def _odd_weights(draw: random.Random, data: bytes) -> bytes:
    """The weights' file cut off, or with another header."""
    if draw.random() < 0.3:
        return data[: draw.randrange(len(data))]
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    text = json_bytes(draw, changed(draw, header, draw.choice([0.002, 0.02])))
    size = draw.choice([len(text)] * 4 + [0, 2**62, max(0, len(text) - 1)])
    return size.to_bytes(8, "little") + text + data[8 + length :]
