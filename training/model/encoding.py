"""From prompts and responses to tensors: chat template, image placeholders, padded micro-batches.

Prompts are never truncated, and their tokens are those that the model's own processor makes.
Images stay encoded in the sequences; what was made of them is remembered (`training.model.memory`).
Each distinct prompt's images pass the vision tower once in a micro-batch, however many responses
share them.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import torch

from contracts.errors import DataError
from training.images import decode_image
from training.model import family
from training.model.memory import Key, Pixels, Tokens
from training.model.policy import Policy
from training.model.template import render_all
from training.records import IMAGE_MARK, EncodedImage
from training.rollout.protocol import Prompt

_NUM_RENDERED = 32  # conversations at once: the template's process has little memory


@dataclass(frozen=True)
class EncodedPrompt:
    """A prompt as tokens.

    Attributes:
        token_ids: With one placeholder for each visual token [P].
        images: The encoded images the placeholders stand for.
        token_types: 1 for an image's placeholder, else 0 [P]; where the processor tells them apart.
    """

    token_ids: torch.Tensor
    images: Sequence[EncodedImage]
    token_types: torch.Tensor | None = None


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
class ImageInputs:
    """The images of a batch of sequences: distinct prompts once, and who begins with which.

    Attributes:
        pixels: What the processor made of the distinct prompts' images.
        num_visual_tokens: Placeholders of each distinct prompt.
        num_images: Images of each distinct prompt.
        rows: For every sequence with images, its row among the distinct prompts.
        token_types: See `EncodedPrompt`; of the whole sequences [S, T].
    """

    pixels: dict[str, torch.Tensor]
    num_visual_tokens: list[int]
    num_images: list[int]
    rows: list[int]
    token_types: torch.Tensor

    @property
    def image_rows(self) -> list[int]:
        """For every image in the order of the sequences, its row among the distinct images."""
        starts = [sum(self.num_images[:row]) for row in range(len(self.num_images))]
        return [starts[row] + i for row in self.rows for i in range(self.num_images[row])]

    def to(self, device: torch.device) -> "ImageInputs":
        """The same on another device."""
        return replace(
            self,
            pixels={name: values.to(device) for name, values in self.pixels.items()},
            token_types=self.token_types.to(device),
        )


@dataclass(frozen=True)
class MicroBatch:
    """Sequences as padded tensors, on the host until they are needed.

    Padding is on the right: under a causal mask no real token sees it, so that no attention mask
    is needed and attention runs in its fastest kernel.

    Attributes:
        token_ids: Prompts and responses [S, T].
        prompt_lengths_tokens: [S].
        response_mask: True where `response_ids` holds a token [S, L].
        response_ids: Responses alone [S, L].
        images: None for text.
    """

    token_ids: torch.Tensor
    prompt_lengths_tokens: torch.Tensor
    response_mask: torch.Tensor
    response_ids: torch.Tensor
    images: ImageInputs | None

    def to(self, device: torch.device) -> "MicroBatch":
        """The same on another device."""
        return MicroBatch(
            self.token_ids.to(device),
            self.prompt_lengths_tokens.to(device),
            self.response_mask.to(device),
            self.response_ids.to(device),
            None if self.images is None else self.images.to(device),
        )


def encode_prompt(policy: Policy, prompt: Prompt) -> EncodedPrompt:
    """Asks the model's processor for the prompt's tokens, all placeholders of its images included.

    Raises:
        DataError: See `conversation`.
    """
    return next(encode_prompts(policy, [prompt]))


def encode_prompts(policy: Policy, prompts: Sequence[Prompt]) -> Iterator[EncodedPrompt]:
    """See `encode_prompt`; conversations are rendered together, which takes a fraction of the time.

    Any thread may ask for any prompt: what is remembered waits for nobody, and for what is new,
    another one's reading is waited for.

    Raises:
        DataError: See `conversation`.
    """
    known, keys = policy.memory.tokens, [_digests(prompt.images) for prompt in prompts]
    new = [
        prompt
        for prompt, images in zip(prompts, keys, strict=True)
        if known.get((prompt.question, *images)) is None
    ]
    texts = dict(zip(map(id, new), conversations(policy, new), strict=True))
    for prompt, images in zip(prompts, keys, strict=True):
        key = (prompt.question, *images)
        tokens = known.get(key)
        if tokens is not None:
            policy.memory.pixels.get(images)  # whoever asks for the tokens will want them, too
        else:
            with policy.memory.turn:
                tokens = known.get(key)  # another thread has read it meanwhile
                if tokens is None:
                    text = texts.get(id(prompt)) or conversation(policy, prompt)
                    tokens = _read(policy, prompt.images, images, text)
                    known.keep(key, tokens, 1)
        yield EncodedPrompt(tokens.token_ids, prompt.images, tokens.token_types)


def _digests(images: Sequence[EncodedImage]) -> Key:
    return tuple(hashlib.blake2b(image["bytes"]).digest() for image in images)


def _read(policy: Policy, images: Sequence[EncodedImage], key: Key, text: str) -> Tokens:
    """The tokens of a text; what the processor makes of its images on the way is remembered."""
    made = policy.memory.processor(
        text=[text],
        images=[[decode_image(image) for image in images]] if images else None,
        return_tensors="pt",
        **family.special_token_settings(policy.memory.processor.tokenizer, text),
    )
    if images:
        pixels = family.vision_inputs(made)
        policy.memory.pixels.keep(key, pixels, sum(one.nbytes for one in pixels.values()))
    types = [made[name][0] for name in family.TOKEN_TYPES if name in made]
    return Tokens(made["input_ids"][0], types[0] if types else None)


def _pixels(policy: Policy, images: Sequence[EncodedImage]) -> Pixels:
    """What the vision tower takes of a prompt's images; read again if it is not remembered."""
    key = _digests(images)
    known = policy.memory.pixels.get(key)
    if known is not None:
        return known
    with policy.memory.turn:
        known = policy.memory.pixels.get(key)  # another thread has read it meanwhile
        if known is not None:
            return known
        # The family's settings for images come with a call of the whole processor, with any text.
        made = policy.memory.processor(
            text=[policy.processor.image_token * len(images)],
            images=[[decode_image(image) for image in images]],
            return_tensors="pt",
        )
        pixels = family.vision_inputs(made)
        policy.memory.pixels.keep(key, pixels, sum(one.nbytes for one in pixels.values()))
        return pixels


def messages(policy: Policy, prompt: Prompt, images: Sequence[Any]) -> list[dict[str, Any]]:
    """The conversation that a prompt begins; `images` may be the images or just as many Nones.

    Images stand where the question has a mark for each of them, else before it.
    """
    shown: list[dict[str, Any]] = [
        {"type": "image"} if image is None else {"type": "image", "image": image}
        for image in images
    ]
    content = [*shown, {"type": "text", "text": prompt.question}]
    if parts := _parts(prompt):
        texts = [[{"type": "text", "text": part}] if part else [] for part in parts]
        between = [[image, *text] for image, text in zip(shown, texts[1:], strict=True)]
        content = list(chain(texts[0], *between))
    return [
        {"role": "system", "content": [{"type": "text", "text": policy.system_prompt}]},
        {"role": "user", "content": content},
    ]


def _parts(prompt: Prompt) -> list[str]:
    """The question's texts around its images; none where it does not say where they stand."""
    parts = prompt.question.split(IMAGE_MARK)
    return parts if prompt.images and len(parts) == len(prompt.images) + 1 else []


def conversation(policy: Policy, prompt: Prompt) -> str:
    """The text of one prompt; see `conversations`."""
    return conversations(policy, [prompt])[0]


def conversations(policy: Policy, prompts: Sequence[Prompt]) -> list[str]:
    """Applies the chat template, which writes one placeholder for each image.

    Raises:
        DataError: A question itself holds a placeholder, or the template has no room for images.
        ModelError: See `training.model.template.render_all`.
    """
    texts = list[str]()
    for start in range(0, len(prompts), _NUM_RENDERED):
        several = prompts[start : start + _NUM_RENDERED]
        texts += render_all(
            policy.processor.chat_template,
            [messages(policy, prompt, [None] * len(prompt.images)) for prompt in several],
            policy.tokenizer.special_tokens_map,
            where="the processor of the policy",
        )
    for text, prompt in zip(texts, prompts, strict=True):
        _check_placeholders(policy, prompt, text)
    return texts


def _check_placeholders(policy: Policy, prompt: Prompt, text: str) -> None:
    num_placeholders = text.count(policy.processor.image_token)
    written = " ".join(_parts(prompt)) or prompt.question
    inside = [token for token in policy.placeholder_tokens if token in written]
    if inside or num_placeholders != len(prompt.images):
        raise DataError(
            f"A prompt has {len(prompt.images)} image(s), but {num_placeholders} placeholder(s)"
            + (f"; its question holds {', '.join(inside)}." if inside else "."),
            where=repr(text[-200:]),
            rule="the chat template writes one placeholder per image, and the question none",
            fix="remove the placeholder from the question, or choose a model that takes images",
        )


def template_ids(policy: Policy, prompt: Prompt) -> list[int]:
    """The prompt's tokens with one placeholder for each image, as vLLM wants them.

    Raises:
        DataError: See `conversation`.
    """
    text = conversation(policy, prompt)
    settings = family.special_token_settings(policy.tokenizer, text)
    ids: list[int] = policy.tokenizer(text, **settings)["input_ids"]
    return ids


def encode_response(policy: Policy, text: str) -> torch.Tensor:
    """A target of supervised training: the text's tokens and the end token [L]."""
    ids = policy.tokenizer(text, add_special_tokens=False)["input_ids"]
    return torch.tensor([*ids, int(policy.end_token_ids[0])])


def collate(policy: Policy, sequences: Sequence[TokenSequence]) -> MicroBatch:
    """Pads sequences to one micro-batch and joins its distinct images, all on the host."""
    whole = [torch.cat([s.prompt.token_ids, s.response_ids]) for s in sequences]
    responses = [s.response_ids for s in sequences]
    lengths = torch.tensor([len(response) for response in responses])
    longest = int(lengths.max())
    token_ids = pad_right(whole, padding_id(policy))
    return MicroBatch(
        token_ids=token_ids,
        prompt_lengths_tokens=torch.tensor([len(s.prompt.token_ids) for s in sequences]),
        response_mask=torch.arange(longest) < lengths[:, None],
        response_ids=pad_right(responses, padding_id(policy)),
        images=image_inputs(policy, [s.prompt for s in sequences], token_ids.shape[1]),
    )


def image_inputs(
    policy: Policy, prompts: Sequence[EncodedPrompt], width: int
) -> ImageInputs | None:
    """The images of some sequences' prompts; a shared prompt's only once.

    Args:
        policy: Its processor cuts images into patches, where it does not remember them.
        prompts: The prompt of every sequence; sequences share one if it is the same object.
        width: T, tokens of the padded sequences.
    """
    distinct = list({id(prompt): prompt for prompt in prompts if prompt.images}.values())
    if not distinct:
        return None
    row_of = {id(prompt): row for row, prompt in enumerate(distinct)}
    return ImageInputs(
        pixels=family.joined([_pixels(policy, prompt.images) for prompt in distinct]),
        num_visual_tokens=[policy.num_visual_tokens(prompt.token_ids) for prompt in distinct],
        num_images=[len(prompt.images) for prompt in distinct],
        rows=[row_of[id(prompt)] for prompt in prompts if prompt.images],
        token_types=_token_types(prompts, width),
    )


def _token_types(prompts: Sequence[EncodedPrompt], width: int) -> torch.Tensor:
    """Token types of whole sequences [S, width]: what follows a prompt is text."""
    types = torch.zeros(len(prompts), width, dtype=torch.long)
    for row, prompt in zip(types, prompts, strict=True):
        if prompt.token_types is not None:
            row[: len(prompt.token_types)] = prompt.token_types
    return types


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
