"""Low-rank adapters (LoRA, arXiv 2106.09685) through peft: the base is frozen, small factors learn.

Nobody else knows of them: weights leave here merged, under the stock model's names.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import nn

from contracts.errors import ModelError
from training.model.family import PretrainedModel, component_of
from training.recipe.stages import LoraRecipe

_NAME = "default"  # peft's own name of an adapter


def attach_adapters(model: PretrainedModel, lora: LoraRecipe, generator: torch.Generator) -> None:
    """Adds B A alpha/rank, with B = 0, to every linear layer of some components; freezes the rest.

    Args:
        model: An image-text-to-text model, changed in place.
        lora: The recipe's section.
        generator: Draws A (Kaiming uniform, as peft does); the same on every rank.

    Raises:
        ModelError: A component has no linear layer.
    """
    from peft import LoraConfig, inject_adapter_in_model  # seconds, which most stages need not pay

    head = model.get_output_embeddings()
    linear = {
        name: component_of(f"{name}.")
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module is not head
    }
    for component in lora.components:
        if component not in linear.values():
            raise ModelError(
                f"No linear layer of {type(model).__name__} belongs to the {component}.",
                where=f"lora.components = {list(lora.components)}",
                rule="an adapted component has linear layers",
                fix="remove it from `lora.components`",
            )
    targets = [name for name, component in linear.items() if component in lora.components]
    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=targets)
    inject_adapter_in_model(config, model)
    for name, parameter in model.named_parameters():
        if ".lora_A." in name:
            nn.init.kaiming_uniform_(parameter, a=math.sqrt(5), generator=generator)


def has_adapters(model: nn.Module) -> bool:
    """Whether `attach_adapters` was here."""
    return any(".lora_A." in name for name, _ in model.named_parameters())


@contextmanager
def without_adapters(model: nn.Module) -> Iterator[None]:
    """Makes an adapted model compute what its base does, bit by bit; and evaluate, not train.

    The factors run, and count zero times: under ZeRO-3 the same modules fetch the same shards in
    the same order as in any other pass.
    """
    from peft.helpers import rescale_adapter_scale  # as above

    was_training = model.training
    model.eval()
    try:
        with rescale_adapter_scale(model, 0.0):
            yield
    finally:
        model.train(was_training)


@torch.no_grad()
def merged_weights(
    model: nn.Module,
    whole: Callable[[list[nn.Parameter]], AbstractContextManager[None]],
    *,
    remove_duplicate: bool,
) -> Iterator[tuple[str, torch.Tensor]]:
    """The parameters that the stock model would have, adapters added; the base keeps its bytes.

    Args:
        model: With adapters or without.
        whole: Makes sharded parameters whole for a moment.
        remove_duplicate: Whether a tied parameter comes under one name only.
    """
    for name, parameter in model.named_parameters(remove_duplicate=remove_duplicate):
        if ".lora_" in name:
            continue
        layer_name = name.removesuffix(".base_layer.weight")
        if layer_name == name:
            with whole([parameter]):
                yield name.replace(".base_layer.", "."), parameter.detach()
            continue
        layer: Any = model.get_submodule(layer_name)  # peft's, which has no types
        factors = [p for other, p in layer.named_parameters() if other.startswith("lora_")]
        with whole([parameter, *factors]):
            yield f"{layer_name}.weight", parameter + layer.get_delta_weight(_NAME)
