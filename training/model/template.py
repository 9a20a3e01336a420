"""Applies a model's chat template, which is a program, in a process that may not take much.

Jinja's sandbox keeps it from files and from Python, but not from loops and memory. A trial proves
nothing of other questions: a template may tell them apart. So every conversation is rendered there,
those of the trial and those that a model learns from. The process is `python -m
training.model.template`; it answers one JSON object by another, a line each, with one conversation
or several.
"""

import atexit
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from threading import Lock, Timer
from time import process_time
from typing import Any

from contracts.errors import ModelError
from contracts.texts import marked
from training.model.check import read_object

RAW = "chat_template.jinja"
MAX_CPU_SECONDS, MAX_SECONDS = 5, 120  # a template takes milliseconds; a machine may be busy
MAX_MEMORY_BYTES = 2**30
MAX_CHARACTERS = 2**20  # of what it makes of a conversation
Conversation = Sequence[Mapping[str, Any]]
_TEXT = [{"type": "text", "text": "What is 1 + 1?"}]
_SYSTEM = {"role": "system", "content": [{"type": "text", "text": "Think."}]}
CONVERSATIONS: tuple[Conversation, ...] = (
    [_SYSTEM, {"role": "user", "content": _TEXT}],
    [_SYSTEM, {"role": "user", "content": [{"type": "image"}, *_TEXT]}],
)
# One for each process: a forked one shares its parent's pipes. Threads ask it in turn.
_RENDERERS: dict[int, subprocess.Popen[bytes]] = {}
_TURN = Lock()


def try_template(folder: Path) -> None:
    """Renders a question with and without an image.

    Raises:
        ModelError: There is no template, it fails, or it takes too long, too much memory or room.
    """
    template = template_of(folder)
    tokens = _special_tokens(read_object(folder / "tokenizer_config.json"))
    for conversation in CONVERSATIONS:
        render(template, conversation, tokens, where=f"model.path = {str(folder)!r}")


def render(
    template: object, conversation: Conversation, tokens: Mapping[str, str], *, where: str
) -> str:
    """The text of one conversation; see `render_all`."""
    return render_all(template, [conversation], tokens, where=where)[0]


def render_all(
    template: object,
    conversations: Sequence[Conversation],
    tokens: Mapping[str, str],
    *,
    where: str,
) -> list[str]:
    """The texts of conversations, up to where the answer begins, as transformers renders them.

    Args:
        template: As a processor holds it.
        conversations: Messages in transformers' form; images without their pixels. All texts
            have to fit into memory at once.
        tokens: The tokenizer's special tokens, `eos_token` and the like.
        where: The template is from, for the error.

    Raises:
        ModelError: There is no template, it fails, or it takes too long, too much memory or room.
    """
    named = _default(template)
    request = {"template": named, "conversations": conversations, "tokens": dict(tokens)}
    none: dict[str, Any] = {"fault": "there is none"}
    answer = none if named is None else _ask(json.dumps(request).encode())
    texts: list[str] | None = answer.get("texts")
    if texts is not None:
        return texts
    raise ModelError(
        f"The chat template cannot be used: {marked(answer['fault'])[:300]}.",
        where=where,
        rule=f"it turns a conversation, with a system prompt and with images, into at most "
        f"{MAX_CHARACTERS} characters, within {MAX_CPU_SECONDS} seconds and "
        f"{MAX_MEMORY_BYTES // 2**20} MiB",
        fix="copy the model again, from somebody you trust; or give it its family's template",
    )


def _ask(request: bytes) -> dict[str, Any]:
    """The renderer's answer to a request: texts, or a fault."""
    with _TURN:
        return _ask_in_turn(request)


def _ask_in_turn(request: bytes) -> dict[str, Any]:
    process = _renderer()
    assert process.stdin is not None and process.stdout is not None
    timer = Timer(MAX_SECONDS, process.kill)
    timer.start()
    try:
        process.stdin.write(request + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
    except BrokenPipeError:
        line = b""
    finally:
        is_late = timer.finished.is_set()
        timer.cancel()
    if line.endswith(b"\n"):
        answer: dict[str, Any] = json.loads(line)
        return answer
    process.kill()
    if is_late:
        return {"fault": f"it took more than {MAX_SECONDS} seconds"}
    return {"fault": f"it ended the process ({process.wait()})"}


def _renderer() -> subprocess.Popen[bytes]:
    """The process that renders for this one; a new one if a template ended the last."""
    key = os.getpid()
    known = _RENDERERS.get(key)
    if known is not None and known.poll() is None:
        return known
    _RENDERERS[key] = subprocess.Popen(
        [sys.executable, "-m", "training.model.template"],
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    return _RENDERERS[key]


@atexit.register
def _end_renderers() -> None:
    for process_id, process in _RENDERERS.items():
        if process_id == os.getpid():
            process.kill()
            process.wait()


def template_of(folder: Path) -> str | None:
    """The template that the processor would use; None if there is none, whatever its tokenizer has.

    Raises:
        ModelError: A file that may hold it is damaged.
    """
    for name in ("processor_config.json", "chat_template.json", RAW):
        path = folder / name
        if path.is_file():
            template = _text(path) if name == RAW else read_object(path).get("chat_template")
            if (named := _default(template)) is not None:
                return named
    return None


def _default(template: object) -> str | None:
    if isinstance(template, dict):  # named ones, for tools and the like
        template = template.get("default")
    return template if isinstance(template, str) else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except ValueError as error:
        raise ModelError(
            f"{path} is no UTF-8: {error}.",
            where=f"model.path = {str(path.parent)!r}",
            rule="a chat template is text",
            fix="copy the model again, completely",
        ) from error


def _special_tokens(config: dict[str, Any]) -> dict[str, str]:
    """`bos_token` and its like, as a template may use them."""
    named = {key: value for key, value in config.items() if key.endswith("_token")}
    texts = {k: v.get("content") if isinstance(v, dict) else v for k, v in named.items()}
    return {key: value for key, value in texts.items() if isinstance(value, str)}


def _serve() -> None:
    """Answers requests until there are no more."""
    from transformers.utils.chat_template_utils import render_jinja_template

    for stop in (signal.SIGINT, signal.SIGTERM):  # a stage that is told to stop still goes on
        signal.signal(stop, signal.SIG_IGN)
    _limit(resource.RLIMIT_DATA, MAX_MEMORY_BYTES)
    for line in sys.stdin.buffer:
        request, texts = json.loads(line), list[str]()
        try:
            for conversation in request["conversations"]:
                _limit(resource.RLIMIT_CPU, ceil(process_time()) + MAX_CPU_SECONDS)
                (text,), _ = render_jinja_template(
                    [conversation],
                    chat_template=request["template"],
                    add_generation_prompt=True,
                    **request["tokens"],
                )
                if len(text) > MAX_CHARACTERS:
                    raise ValueError(f"it makes {len(text)} characters")
                texts.append(text)
            answer: dict[str, Any] = {"texts": texts}
        except Exception as error:  # noqa: BLE001 - it is somebody else's program
            answer = {"fault": f"{type(error).__name__}: {str(error)[:200]}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _limit(which: int, most: int) -> None:
    """Bounds what this process may take; whoever started it may have set less."""
    _, hard = resource.getrlimit(which)
    resource.setrlimit(which, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


if __name__ == "__main__":
    _serve()
