"""What is sent to an endpoint and what comes back, as the chat completions of OpenAI have it."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from training.records import IMAGE_MARK, EncodedImage

# How the formats that `training.images` admits begin.
_MEDIA_TYPES = (
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
)
MAX_TOKENS = 2**24  # of an answer or a prompt; an endpoint may say anything
_MONTH, _DAY = "(?:0[1-9]|1[0-2])", "(?:0[1-9]|[12][0-9]|3[01])"
# As versions of models are dated: 2026-11-28, 20261128, 261128, 1128 and 2611. `1024` is a size of
# pictures or contexts rather than a day in October, and years are of this century's models.
_DATE = (
    rf"(?:20[0-9]{{2}}-{_MONTH}-{_DAY}|(?:20)?[0-9]{{2}}{_MONTH}{_DAY}|(?!1024){_MONTH}{_DAY}"
    rf"|2[0-9]{_MONTH})"
)
Shape = TypeVar("Shape", bound=BaseModel)


class GarbledError(Exception):
    """A reply is no chat completion."""


@dataclass(frozen=True)
class Reply:
    """One answer.

    Attributes:
        model: Who says that it has answered.
        text: The answer.
        num_tokens: Its length.
        truncated: True if it ran out of tokens.
        num_prompt_tokens: Length of what was asked, images included; None if that is not said.
    """

    model: str
    text: str
    num_tokens: int
    truncated: bool
    num_prompt_tokens: int | None


class _Message(BaseModel):
    content: str | None = None  # a model that has only thought so far says nothing


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    completion_tokens: int = Field(ge=0, le=MAX_TOKENS)
    prompt_tokens: int | None = Field(default=None, ge=0, le=MAX_TOKENS)


class _Completion(BaseModel):
    model: str
    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage


class _Model(BaseModel):
    id: str


class _Models(BaseModel):
    data: list[_Model]


def chat(
    model: str,
    system_prompt: str | None,
    question: str,
    images: Sequence[EncodedImage],
    **sampling: float | int,
) -> dict[str, Any]:
    """The body of a request for one answer.

    Images stand where the question has a mark for each of them, else before it: as in
    `training.model.encoding.messages`.

    Args:
        model: Who is to answer.
        system_prompt: None for none.
        question: What is asked.
        images: Sent as they are, inside the request.
        sampling: Such as `max_tokens`, `temperature`, `seed`.
    """
    messages: list[dict[str, Any]] = []
    if system_prompt is not None:
        messages.append({"role": "system", "content": system_prompt})
    messages.append({"role": "user", "content": _content(question, images)})
    return {"model": model, "messages": messages, "stream": False, **sampling}


def _content(question: str, images: Sequence[EncodedImage]) -> str | list[dict[str, Any]]:
    if not images:
        return question
    shown = [{"type": "image_url", "image_url": {"url": data_url(image)}} for image in images]
    texts = question.split(IMAGE_MARK)
    if len(texts) != len(images) + 1:
        return [*shown, {"type": "text", "text": question}]
    parts: list[dict[str, Any]] = []
    for index, text in enumerate(texts):
        parts += [shown[index - 1]] if index else []
        parts += [{"type": "text", "text": text}] if text else []
    return parts


def data_url(image: EncodedImage) -> str:
    """An image as a `data:` URL."""
    data = image["bytes"]
    kind = next((kind for start, kind in _MEDIA_TYPES if data.startswith(start)), "image/png")
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def read_reply(data: bytes) -> Reply:
    """The answer in a reply.

    Raises:
        GarbledError: It holds none, or does not say its length or who has answered.
    """
    found = _parsed(_Completion, data)
    choice = found.choices[0]
    return Reply(
        model=found.model,
        text=choice.message.content or "",
        num_tokens=found.usage.completion_tokens,
        truncated=choice.finish_reason == "length",
        num_prompt_tokens=found.usage.prompt_tokens,
    )


def read_models(data: bytes) -> list[str]:
    """The models that an endpoint lists.

    Raises:
        GarbledError: It is no list of models.
    """
    return [model.id for model in _parsed(_Models, data).data]


def is_same_model(asked: str, answered: str) -> bool:
    """Whether the model that answered is the one that was asked, which may be an alias of a date.

    `name-2026-11-28` answers for `name`; `name-72` is another model.
    """
    return answered == asked or re.fullmatch(rf"{re.escape(asked)}-{_DATE}", answered) is not None


def _parsed(shape: type[Shape], data: bytes) -> Shape:
    try:
        return shape.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the reply"
        raise GarbledError(f"{field}: {first['msg']}") from error
