"""From prompts and responses to tensors: chat template, image placeholders, padded micro-batches.

Prompts are never truncated. Images stay encoded until the micro-batch that needs them, and each
distinct image of a micro-batch passes the vision tower once, however many responses share it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch

from contracts.errors import DataError
from training.images import decode_image, image_size
from training.model.policy import Policy, PretrainedModel
from training.records import EncodedImage
from training.rollout.protocol import Prompt

VisionOutput: TypeAlias = Any  # of transformers, untyped


@dataclass(frozen=True)
class EncodedPrompt:
    """A prompt as tokens.

    Attributes:
        token_ids: With one placeholder for each visual token [P].
        images: The encoded images the placeholders stand for.
    """

    token_ids: torch.Tensor
    images: Sequence[EncodedImage]


@dataclass(frozen=True)
class TokenSequence:
    """A prompt with a response to learn from.

    Attributes:
        prompt: Shared between the sequences of a group.
        response_ids: The response's tokens [L], L >= 1.
    """

    prompt: EncodedPrompt
    response_ids: torch.Tensor

    @property
    def num_tokens(self) -> int:
        """Length of prompt and response."""
        return len(self.prompt.token_ids) + len(self.response_ids)


@dataclass(frozen=True)
class MicroBatch:
    """Sequences as padded tensors, on the model's device.

    Padding is on the right: under a causal mask no real token sees it, so that no attention mask
    is needed and attention runs in its fastest kernel.

    Attributes:
        token_ids: Prompts and responses [S, T].
        prompt_lengths_tokens: [S].
        response_mask: True where `response_ids` holds a token [S, L].
        response_ids: Responses alone [S, L].
        pixel_inputs: What the image processor made of the distinct images; empty for text.
        image_rows: For every image in the order of the sequences, its row in `pixel_inputs`.
    """

    token_ids: torch.Tensor
    prompt_lengths_tokens: torch.Tensor
    response_mask: torch.Tensor
    response_ids: torch.Tensor
    pixel_inputs: dict[str, torch.Tensor]
    image_rows: list[int]


def encode_prompt(policy: Policy, prompt: Prompt) -> EncodedPrompt:
    """Applies the chat template and makes room for each image's visual tokens.

    Only an image's header is read, for its size.

    Raises:
        DataError: See `template_ids`.
    """
    ids = _expand_placeholders(policy, template_ids(policy, prompt), prompt.images)
    return EncodedPrompt(torch.tensor(ids), prompt.images)


def template_ids(policy: Policy, prompt: Prompt) -> list[int]:
    """Applies the chat template, which writes one placeholder for each image.

    Raises:
        DataError: The question itself holds an image placeholder.
    """
    content: list[dict[str, str]] = [{"type": "image"} for _ in prompt.images]
    content.append({"type": "text", "text": prompt.question})
    messages = [
        {"role": "system", "content": [{"type": "text", "text": policy.system_prompt}]},
        {"role": "user", "content": content},
    ]
    text = policy.processor.apply_chat_template(
        messages, add_generation_prompt=True, tokenize=False
    )
    # The template writes the model's own begin-of-text token where the family has one.
    ids: list[int] = policy.tokenizer(text, add_special_tokens=False)["input_ids"]
    num_placeholders = ids.count(policy.processor.image_token_id)
    if num_placeholders != len(prompt.images):
        raise DataError(
            f"A prompt has {len(prompt.images)} image(s), but {num_placeholders} placeholder(s).",
            where=repr(policy.tokenizer.decode(ids)[-200:]),
            rule="the chat template writes one placeholder per image, and the question none",
            fix="remove the placeholder from the question, or choose a model that takes images",
        )
    return ids


def _expand_placeholders(
    policy: Policy, ids: list[int], images: Sequence[EncodedImage]
) -> list[int]:
    """Repeats the i-th image's placeholder as often as the image has visual tokens."""
    if not images:
        return ids
    placeholder = policy.processor.image_token_id
    sizes = [image_size(image) for image in images]
    counts = policy.processor._get_num_multimodal_tokens(
        image_sizes=[(height, width) for width, height in sizes]
    )
    remaining = iter(counts["num_image_tokens"])
    expanded: list[int] = []
    for token in ids:
        expanded.extend([token] * next(remaining) if token == placeholder else [token])
    return expanded


def encode_response(policy: Policy, text: str) -> torch.Tensor:
    """A target of supervised training: the text's tokens and the end token [L]."""
    ids = policy.tokenizer(text, add_special_tokens=False)["input_ids"]
    return torch.tensor([*ids, int(policy.end_token_ids[0])])


def pixel_inputs(policy: Policy, images: Sequence[EncodedImage]) -> dict[str, torch.Tensor]:
    """Decodes images and cuts them into patches, e.g. `pixel_values` and `image_grid_thw`."""
    if not images:
        return {}
    inputs = policy.processor.image_processor(
        images=[decode_image(image) for image in images], return_tensors="pt"
    )
    return {name: value.to(policy.device) for name, value in inputs.items()}


def collate(policy: Policy, sequences: Sequence[TokenSequence]) -> MicroBatch:
    """Pads sequences to one micro-batch and decodes its distinct images."""
    prompts = {id(sequence.prompt): sequence.prompt for sequence in sequences}
    images: list[EncodedImage] = []
    rows: dict[int, list[int]] = {}
    for key, prompt in prompts.items():
        rows[key] = list(range(len(images), len(images) + len(prompt.images)))
        images.extend(prompt.images)
    whole = [torch.cat([s.prompt.token_ids, s.response_ids]) for s in sequences]
    responses = [s.response_ids for s in sequences]
    lengths = torch.tensor([len(response) for response in responses])
    longest = int(lengths.max())
    return MicroBatch(
        token_ids=pad_right(whole, padding_id(policy)).to(policy.device),
        prompt_lengths_tokens=torch.tensor(
            [len(s.prompt.token_ids) for s in sequences], device=policy.device
        ),
        response_mask=(torch.arange(longest) < lengths[:, None]).to(policy.device),
        response_ids=pad_right(responses, padding_id(policy)).to(policy.device),
        pixel_inputs=pixel_inputs(policy, images),
        image_rows=[row for s in sequences for row in rows[id(s.prompt)]],
    )


def padding_id(policy: Policy) -> int:
    """A token that no loss ever sees; it must not be a placeholder."""
    padding = policy.tokenizer.pad_token_id
    return int(policy.end_token_ids[0]) if padding is None else int(padding)


def pad_right(rows: Sequence[torch.Tensor], value: int) -> torch.Tensor:
    """Stacks 1-D tensors to [S, T], padded on the right with `value`."""
    padded: torch.Tensor = torch.nn.utils.rnn.pad_sequence(
        list(rows), batch_first=True, padding_value=value
    )
    return padded


def image_features(
    model: PretrainedModel, pixels: dict[str, torch.Tensor], rows: Sequence[int]
) -> VisionOutput:
    """Runs the vision tower once per distinct image and deals the features out.

    Args:
        model: The image-text-to-text model.
        pixels: See `pixel_inputs`.
        rows: For every image to deal out, its row among the distinct images.

    Returns:
        The vision tower's output, with one entry of `pooler_output` for each of `rows`.
    """
    features = model.base_model.get_image_features(**pixels, return_dict=True)
    features.pooler_output = tuple(features.pooler_output[row] for row in rows)
    return features


def token_types(policy: Policy, token_ids: torch.Tensor) -> torch.Tensor:
    """1 for an image's placeholder, else 0, of the shape of `token_ids`; M-RoPE needs it."""
    placeholder: int = policy.processor.image_token_id
    return (token_ids == placeholder).int()


def hidden_states(policy: Policy, batch: MicroBatch) -> torch.Tensor:
    """The forward pass up to the language-model head, [S, T, D]."""
    inputs: dict[str, Any] = {"input_ids": batch.token_ids, "use_cache": False}
    if batch.image_rows:
        model = policy.model
        inputs["mm_encoder_outputs"] = {
            "image": image_features(model, batch.pixel_inputs, batch.image_rows)
        }
        inputs |= position_inputs(policy, batch.token_ids, batch.pixel_inputs, batch.image_rows)
    hidden: torch.Tensor = policy.model.base_model(**inputs).last_hidden_state
    return hidden


def position_inputs(
    policy: Policy, token_ids: torch.Tensor, pixels: dict[str, torch.Tensor], rows: Sequence[int]
) -> dict[str, torch.Tensor]:
    """`position_ids` [3, S, T] where images have positions in space (M-RoPE); else nothing."""
    if not hasattr(policy.model.base_model, "get_rope_index"):
        return {}
    positions, _ = policy.model.base_model.get_rope_index(
        token_ids,
        mm_token_type_ids=token_types(policy, token_ids),
        image_grid_thw=pixels["image_grid_thw"][list(rows)],
    )
    return {"position_ids": positions}
