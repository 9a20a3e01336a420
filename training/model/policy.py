"""The policy: a vision-language model and its processor, loaded with the stock classes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from contracts.errors import ModelError, RevisualError
from contracts.texts import marked
from training.model import family
from training.model.check import check_model, require_all_weights
from training.model.family import PretrainedModel, Processor, Tokenizer, component_of
from training.model.memory import Memory
from training.recipe.model import ModelRecipe
from training.recipe.stages import Component
from training.runtime import device
from training.runtime.failures import is_out_of_memory, phase


@dataclass(frozen=True)
class Policy:
    """A model with what it needs to read prompts and write responses.

    Attributes:
        model: An image-text-to-text model of transformers; on the meta device where its weights are
            a rollout engine's alone.
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
    def memory(self) -> Memory:
        """What `training.model.encoding` remembers of the newest prompts."""
        return Memory(deepcopy(self.processor))

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

    def without_weights(self) -> "Policy":
        """The same to read prompts with; its model has names and shapes, and takes no memory.

        What one of the two has read of a prompt, the other one remembers.
        """
        # What a copy takes in the place of each: the weights themselves are never copied.
        empty = {id(one): torch.empty_like(one, device="meta") for one in self.model.buffers()}
        for one in self.model.parameters():
            empty[id(one)] = nn.Parameter(torch.empty_like(one, device="meta"), one.requires_grad)
        light = replace(self, model=deepcopy(self.model, empty))
        light.share_memory(self)
        return light

    def share_memory(self, other: "Policy") -> None:
        """Remembers prompts with another policy, whose processor is the same."""
        vars(self)["memory"] = other.memory

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


@phase("loading")
def load_policy(
    path: str | Path, model: ModelRecipe, *, system_prompt: str, with_weights: bool = True
) -> Policy:
    """Loads a policy onto this process's device.

    Args:
        path: A model folder or a hub id; the base policy's or an earlier stage's.
        model: Number format and image bounds.
        system_prompt: What every conversation begins with.
        with_weights: False for a policy that reads prompts and computes nothing: its model has
            names and shapes, and takes no memory.

    Raises:
        ModelError: See `check_model`.
    """
    check_model(path)
    from transformers import AutoModelForImageTextToText, AutoProcessor
    from transformers.utils import logging

    from training.model import attention, bounds

    logging.disable_progress_bar()  # a stage's output is a log, not a terminal
    with _refusing(Path(path)):
        bounds.check_size(Path(path))
        weights, found = AutoModelForImageTextToText.from_pretrained(
            str(path),
            dtype=device.torch_dtype(model.dtype),
            attn_implementation=attention.register(),
            use_safetensors=True,  # never pickles
            trust_remote_code=False,
            output_loading_info=True,
            device_map=None if with_weights else "meta",
        )
        require_all_weights(path, found)
        attention.use(weights)
        processor = AutoProcessor.from_pretrained(str(path), trust_remote_code=False)
        bounds.check_processor(Path(path), processor)
    if model.max_pixels is not None:
        family.bound_pixels(weights.config, processor, model.max_pixels)
    if with_weights:
        weights = weights.to(device.current_device())
    return Policy(weights, processor, system_prompt)


@contextmanager
def _refusing(folder: Path) -> Iterator[None]:
    """Turns whatever a stranger's files provoke in the libraries that read them into one error.

    Raises:
        ModelError: They provoked something.
    """
    try:
        yield
    except Exception as error:  # the tokenizers' own errors have no class of their own
        if isinstance(error, RevisualError) or is_out_of_memory(error):
            raise
        reason = marked(str(error).strip().partition("\n")[0])[:300]
        raise ModelError(
            f"{folder} cannot be loaded: {type(error).__name__}: {reason}",
            where=f"model.path = {str(folder)!r}",
            rule="transformers loads the folder's configuration, weights, tokenizer and processor "
            "with its own classes",
            fix="copy the model again, completely; or choose a family of docs/models.md",
        ) from error


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
