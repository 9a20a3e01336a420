"""The policy: a vision-language model and its processor, loaded with the stock classes."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from contracts.errors import ModelError
from training.model import family
from training.model.family import PretrainedModel, Processor, Tokenizer, component_of
from training.recipe.recipe import ModelRecipe
from training.recipe.stages import Component
from training.runtime import device


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
        ids = family.placeholder_ids(self.model.config, self.tokenizer)
        num_rows = self.model.config.get_text_config().vocab_size
        return torch.tensor(
            sorted(ids & set(range(num_rows)) | set(range(len(self.tokenizer), num_rows)))
        )

    @cached_property
    def placeholder_tokens(self) -> list[str]:
        """The placeholders as a question could spell them."""
        ids = sorted(family.placeholder_ids(self.model.config, self.tokenizer))
        return [token for token in self.tokenizer.convert_ids_to_tokens(ids) if token]

    @cached_property
    def encoded_prompts(self) -> dict[tuple[object, ...], tuple[torch.Tensor, torch.Tensor | None]]:
        """What `training.model.encoding` remembers of the newest prompts."""
        return {}

    def num_visual_tokens(self, token_ids: torch.Tensor) -> int:
        """How many of a prompt's tokens are replaced by an image's features."""
        return int((token_ids == self.model.config.image_token_id).sum())

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
        if family.transposes_experts(self.model):
            own = self.model.state_dict() if state is None else state
            published = dict(
                family.as_published(self.model, name, weight) for name, weight in own.items()
            )
            contiguous = {name: weight.contiguous() for name, weight in published.items()}
            # transformers would turn them back again.
            self.model.save_pretrained(folder, state_dict=contiguous, save_original_format=False)
        else:
            self.model.save_pretrained(folder, state_dict=state)
        self.processor.save_pretrained(folder)


def check_model(path: str | Path) -> None:
    """Checks that a model folder is there and holds a vision-language model; loads no weights.

    A `path` that is no folder is taken for a model hub's id, and its configuration is asked for.

    Raises:
        ModelError: Nothing is there, a file is missing, or the model cannot read images.
    """
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as FAMILIES,
    )

    model_type = _model_type(path)
    if model_type not in FAMILIES:
        raise ModelError(
            f"{path} holds a model of type {model_type!r}, which is no vision-language model.",
            where=f"model.path = {str(path)!r}",
            rule="the policy is an image-text-to-text model known to transformers",
            fix="choose a vision-language model, for example of the Qwen2.5-VL family",
        )


def _model_type(path: str | Path) -> str:
    """The `model_type` of a folder's or a hub model's config.json."""
    folder = Path(path)
    if folder.is_dir():
        _require_files(folder)
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        except ValueError as error:
            raise ModelError(
                f"{folder / 'config.json'} is not valid JSON: {error}.",
                where=f"model.path = {str(path)!r}",
                rule="a model folder has a readable config.json",
                fix="copy the model again, completely",
            ) from error
        return str(config.get("model_type", "unknown"))
    from transformers import AutoConfig

    try:
        return str(AutoConfig.from_pretrained(str(path)).model_type)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"There is no model {path}: no such folder, and no model hub offers it.",
            where=f"model.path = {str(path)!r}",
            rule="model.path is a model folder, or the id of a model on a reachable hub",
            fix="correct the path; `make pocket-base` makes the pocket world's base model",
        ) from error


def _require_files(folder: Path) -> None:
    missing = [
        name for name in ("config.json", "tokenizer_config.json") if not (folder / name).is_file()
    ]
    if not any(folder.glob("*.safetensors")):
        missing.append("*.safetensors")
    if not (
        (folder / "preprocessor_config.json").is_file()
        or (folder / "processor_config.json").is_file()
    ):
        missing.append("processor_config.json")
    if missing:
        raise ModelError(
            f"{folder} is no complete vision-language model: no {', '.join(missing)}.",
            where=f"model.path = {str(folder)!r}",
            rule="a model folder holds config.json, safetensors weights, tokenizer and processor",
            fix="point model.path at a complete model folder, or copy the model again",
        )


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
    weights = AutoModelForImageTextToText.from_pretrained(
        str(path),
        dtype=device.torch_dtype(model.dtype),
        attn_implementation=attention.register(),
    )
    processor = AutoProcessor.from_pretrained(str(path))
    if model.max_pixels is not None:
        family.bound_pixels(weights.config, processor, model.max_pixels)
    return Policy(weights.to(device.current_device()), processor, system_prompt)


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
                fix="remove it from `freeze`, or teach training.model.family the family's names",
            )
        for parameter in matching:
            parameter.requires_grad_(False)
