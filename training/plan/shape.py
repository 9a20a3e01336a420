"""A model's facts from its configuration alone: built on torch's meta device, without weights."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from contracts.errors import PlanError
from training.model.family import Config, PretrainedModel, component_of
from training.recipe.stages import Component

FAMILY = "qwen2_5_vl"  # the one whose activations are checked (tests/training/plan)
_PUBLISHED = Path(__file__).with_name("published")
_CONFIG = "config.json"


@dataclass(frozen=True)
class TextShape:
    """The language model.

    Attributes:
        num_layers: Decoder layers.
        hidden: D.
        intermediate: F, of the gated MLP.
        num_heads: Of the queries.
        num_kv_heads: Of keys and values.
        head_width: Of one head.
        vocabulary: V, rows of the head.
    """

    num_layers: int
    hidden: int
    intermediate: int
    num_heads: int
    num_kv_heads: int
    head_width: int
    vocabulary: int


@dataclass(frozen=True)
class VisionShape:
    """The vision tower.

    Attributes:
        num_layers: Blocks.
        hidden: Of a patch.
        intermediate: Of the gated MLP.
        num_heads: Attention heads.
        patch_pixels: Side of a patch.
        merge: So many patches a side become one visual token.
        patch_values: Numbers of a patch as the processor hands it over.
    """

    num_layers: int
    hidden: int
    intermediate: int
    num_heads: int
    patch_pixels: int
    merge: int
    patch_values: int


@dataclass(frozen=True)
class ModelShape:
    """A model's sizes.

    Attributes:
        parameters: By component; a tied head counts once.
        sizes: Elements of every parameter with its component, in the model's order.
        head: Elements of the LM head.
        is_tied: Whether the head is the embedding.
        linears: Inputs and outputs of every linear layer but the head, with its component.
        text: The language model.
        vision: The vision tower.
    """

    parameters: Mapping[Component, int]
    sizes: tuple[tuple[Component, int], ...]
    head: int
    is_tied: bool
    linears: tuple[tuple[Component, int, int], ...]
    text: TextShape
    vision: VisionShape

    @property
    def total(self) -> int:
        """All parameters."""
        return sum(self.parameters.values())


def shape_at(path: str) -> ModelShape:
    """The shape of the model that a recipe names.

    Args:
        path: `model.path`: a folder, or a hub's id whose configuration this package brings.

    Raises:
        PlanError: There is no configuration here, or it is of another family.
    """
    return _measured(_readable(path))


@cache
def _measured(text: str) -> ModelShape:
    """Of a configuration's JSON; once, since it takes half a second."""
    return model_shape(_config(text))


def is_planned(path: str) -> bool:
    """Whether `shape_at` knows the model."""
    file = _config_file(path)
    return file is not None and _values(file).get("model_type") == FAMILY


def _config_file(path: str) -> Path | None:
    own = Path(path) / _CONFIG
    published = _PUBLISHED / f"{Path(path).name}.json"
    if own.is_file():
        return own
    return published if path.startswith("Qwen/") and published.is_file() else None


def _values(file: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return values


def read_config(path: str) -> Config:
    """Reads the configuration of a folder, or of a published model; asks no network.

    Raises:
        PlanError: There is none here, or it is of another family.
    """
    return _config(_readable(path))


def _config(text: str) -> Config:
    from transformers import AutoConfig  # seconds, which other commands need not pay

    return AutoConfig.for_model(**json.loads(text))


def _readable(path: str) -> str:
    """The JSON of a configuration; see `read_config`."""
    file = _config_file(path)
    if file is None:
        known = sorted(f"Qwen/{file.stem}" for file in _PUBLISHED.glob("*.json"))
        raise PlanError(
            f"The configuration of {path} is not here, so its size is unknown.",
            where=f"model.path = {path!r}",
            rule=f"a plan reads a folder's {_CONFIG}, or knows {', '.join(known)}",
            fix="fetch the model into a folder and name that, or choose one of those",
        )
    values = _values(file)
    if values.get("model_type") != FAMILY:
        raise PlanError(
            f"A plan does not know the family {values.get('model_type')!r}.",
            where=f"model.path = {path!r}",
            rule=f"the memory model is checked for {FAMILY} alone",
            fix="run without a plan, and watch the memory of the first steps",
        )
    return file.read_text(encoding="utf-8")


def meta_model(config: Config) -> PretrainedModel:
    """The stock model of a configuration, with shapes and no memory."""
    from transformers import AutoModelForImageTextToText

    with torch.device("meta"):
        return AutoModelForImageTextToText.from_config(config)


def model_shape(config: Config) -> ModelShape:
    """Measures a model on the meta device.

    Args:
        config: Of the family `FAMILY`.
    """
    model = meta_model(config)
    head = model.get_output_embeddings().weight
    sizes = tuple((_component(name), p.numel()) for name, p in model.named_parameters())
    parameters = Counter[Component]()
    for component, size in sizes:
        parameters[component] += size
    linears = tuple(
        (_component(f"{name}."), module.in_features, module.out_features)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module.weight is not head
    )
    text, vision = config.get_text_config(), config.vision_config
    return ModelShape(
        parameters,
        sizes,
        head.numel(),
        head is model.get_input_embeddings().weight,
        linears,
        TextShape(
            text.num_hidden_layers,
            text.hidden_size,
            text.intermediate_size,
            text.num_attention_heads,
            text.num_key_value_heads,
            text.hidden_size // text.num_attention_heads,
            text.vocab_size,
        ),
        VisionShape(
            vision.depth,
            vision.hidden_size,
            vision.intermediate_size,
            vision.num_heads,
            vision.patch_size,
            vision.spatial_merge_size,
            vision.in_channels * vision.temporal_patch_size * vision.patch_size**2,
        ),
    )


def _component(name: str) -> Component:
    component = component_of(name)
    if component is None:
        raise PlanError(
            f"The parameter {name} belongs to no known component.",
            where=name,
            rule="every parameter is of the vision tower, the projector or the language model",
            fix="teach training.model.family the family's names",
        )
    return component
