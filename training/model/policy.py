"""The policy: a vision-language model and its processor, loaded with the stock classes.

Everything that depends on a model family's names is here: which parameters are the vision tower,
the projector and the language model, and which tokens may never be sampled.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import nn

from contracts.errors import ModelError
from training.model.check import check_model, require_all_weights
from training.recipe.recipe import ModelRecipe
from training.recipe.stages import Component
from training.runtime import device

# What transformers hands out has no types to check.
PretrainedModel: TypeAlias = Any
Processor: TypeAlias = Any
Tokenizer: TypeAlias = Any

# Parameter-name prefixes, from the most to the least specific: Qwen's mergers lie inside its
# vision tower.
_COMPONENT_PREFIXES: tuple[tuple[str, Component], ...] = (
    ("model.visual.merger.", "projector"),
    ("model.visual.deepstack_merger_list.", "projector"),
    ("model.multi_modal_projector.", "projector"),
    ("model.connector.", "projector"),
    ("model.visual.", "vision_tower"),
    ("model.vision_tower.", "vision_tower"),
    ("model.vision_model.", "vision_tower"),
    ("model.language_model.", "language_model"),
    ("model.text_model.", "language_model"),
    ("lm_head.", "language_model"),
)
# Where the families' configurations keep the ids that stand for pixels, not for text.
_PLACEHOLDER_ATTRIBUTES = (
    "image_token_id",
    "image_token_index",
    "video_token_id",
    "video_token_index",
    "vision_start_token_id",
    "vision_end_token_id",
    "boi_token_index",
    "eoi_token_index",
)
_PLACEHOLDER_TOKENS = ("<|vision_pad|>",)


@dataclass(frozen=True)
class Policy:
    """A model with what it needs to read prompts and write responses.

    Attributes:
        model: An image-text-to-text model of transformers.
        processor: Its processor: tokenizer, image processor and chat template.
        system_prompt: What every conversation begins with.
    """

    model: PretrainedModel
    processor: Processor
    system_prompt: str

    @property
    def tokenizer(self) -> Tokenizer:
        """The processor's tokenizer."""
        return self.processor.tokenizer

    @property
    def device(self) -> torch.device:
        """Where the model's weights are."""
        weight: torch.Tensor = next(self.model.parameters())
        return weight.device

    @cached_property
    def end_token_ids(self) -> torch.Tensor:
        """Ids that end a response [E]; the first is the one that targets of training end with."""
        configured = self.model.generation_config.eos_token_id
        ids = [self.tokenizer.eos_token_id]
        ids += configured if isinstance(configured, list) else [configured]
        return torch.tensor(list(dict.fromkeys(i for i in ids if i is not None)))

    @cached_property
    def forbidden_token_ids(self) -> torch.Tensor:
        """Ids that may never be sampled [F], ascending.

        These are the placeholders of images and videos, after which the next forward pass would
        look for pixels that are not there, and the rows of the embedding that belong to no token.
        """
        config = self.model.config
        ids = {getattr(config, name, None) for name in _PLACEHOLDER_ATTRIBUTES}
        vocabulary = self.tokenizer.get_vocab()
        ids |= {vocabulary.get(token) for token in _PLACEHOLDER_TOKENS}
        ids |= set(range(len(self.tokenizer), config.get_text_config().vocab_size))
        return torch.tensor(sorted(i for i in ids if i is not None))

    def weights(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The model's parameters by name; a head tied to the embedding comes under both names.

        A rollout engine may keep a converted copy of each: it has to be told of both.
        """
        parameters: Iterator[tuple[str, nn.Parameter]] = self.model.named_parameters(
            remove_duplicate=False
        )
        return parameters

    def save(self, folder: Path, state: dict[str, torch.Tensor] | None = None) -> None:
        """Writes a model folder (safetensors, processor) that the stock classes load.

        Args:
            folder: Created if it is missing.
            state: The weights to write; None for the model's own.
        """
        self.model.save_pretrained(folder, state_dict=state)
        self.processor.save_pretrained(folder)


def load_policy(path: str | Path, model: ModelRecipe, *, system_prompt: str) -> Policy:
    """Loads a policy onto this process's device.

    Args:
        path: A model folder or a hub id; the base policy's or an earlier stage's.
        model: Number format and image bounds.
        system_prompt: What every conversation begins with.

    Raises:
        ModelError: See `check_model`.
    """
    check_model(path)
    from transformers import AutoModelForImageTextToText, AutoProcessor
    from transformers.utils import logging

    from training.model import attention

    logging.disable_progress_bar()  # a stage's output is a log, not a terminal
    weights, found = AutoModelForImageTextToText.from_pretrained(
        str(path),
        dtype=device.torch_dtype(model.dtype),
        attn_implementation=attention.register(),
        use_safetensors=True,  # never pickles
        trust_remote_code=False,
        output_loading_info=True,
    )
    require_all_weights(path, found)
    processor = AutoProcessor.from_pretrained(str(path), trust_remote_code=False)
    if model.max_pixels is not None:
        # Held by the image processor, so that it is saved with the stage's checkpoint.
        processor.image_processor.size["longest_edge"] = model.max_pixels
    return Policy(weights.to(device.current_device()), processor, system_prompt)


def component_of(parameter_name: str) -> Component | None:
    """Which part of a vision-language model a parameter belongs to; None if it is unknown."""
    for prefix, component in _COMPONENT_PREFIXES:
        if parameter_name.startswith(prefix):
            return component
    return None


def freeze(model: nn.Module, components: Sequence[Component]) -> None:
    """Stops gradients into whole components.

    A language model that is frozen keeps its tied head frozen too.

    Raises:
        ModelError: A component matches no parameter, so freezing it would do nothing.
    """
    for component in components:
        matching = [p for name, p in model.named_parameters() if component_of(name) == component]
        if not matching:
            raise ModelError(
                f"No parameter of {type(model).__name__} belongs to the {component}.",
                where=f"freeze = [{component!r}]",
                rule="a frozen component exists in the model",
                fix="remove it from `freeze`, or teach training.model.policy the family's names",
            )
        for parameter in matching:
            parameter.requires_grad_(False)
