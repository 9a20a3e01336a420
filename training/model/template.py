"""Tries a model's chat template, which is a program, in a process that may not take much.

Jinja's sandbox keeps it from files and from Python, but not from loops and memory. The process is
`python -m training.model.template FOLDER`; it writes one JSON object.
"""

import json
import os
import resource
import subprocess
import sys
from math import ceil
from pathlib import Path
from time import process_time
from typing import Any

from contracts.errors import ModelError
from contracts.texts import marked
from training.model.check import read_object

RAW = "chat_template.jinja"
MAX_CPU_SECONDS, MAX_SECONDS = 5, 120  # a template takes milliseconds; a machine may be busy
MAX_MEMORY_BYTES = 2**30
MAX_CHARACTERS = 2**20  # of what it makes of a short question
_TEXT = [{"type": "text", "text": "What is 1 + 1?"}]
_SYSTEM = {"role": "system", "content": [{"type": "text", "text": "Think."}]}
CONVERSATIONS = (
    [_SYSTEM, {"role": "user", "content": _TEXT}],
    [_SYSTEM, {"role": "user", "content": [{"type": "image"}, *_TEXT]}],
)


def try_template(folder: Path) -> None:
    """Renders a question with and without an image.

    Raises:
        ModelError: There is no template, it fails, or it takes too long, too much memory or room.
    """
    command = [sys.executable, "-m", "training.model.template", str(folder.resolve())]
    try:
        done = subprocess.run(
            command,
            cwd=Path(__file__).resolve().parents[2],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=MAX_SECONDS,
            check=False,
        )
        fault = json.loads(done.stdout)["fault"] if done.returncode == 0 else _end(done)
    except subprocess.TimeoutExpired:
        fault = f"it took more than {MAX_SECONDS} seconds"
    if fault is not None:
        raise ModelError(
            f"The chat template of {folder} cannot be used: {marked(str(fault))[:300]}.",
            where=f"model.path = {str(folder)!r}",
            rule=f"it turns a short question, with a system prompt and with an image, into at most "
            f"{MAX_CHARACTERS} characters, within {MAX_CPU_SECONDS} seconds and "
            f"{MAX_MEMORY_BYTES // 2**20} MiB",
            fix="copy the model again, from somebody you trust; or give it its family's template",
        )


def _end(done: subprocess.CompletedProcess[bytes]) -> str:
    last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
    return f"it ended the process ({done.returncode}) {' '.join(last)}"


def template_of(folder: Path) -> str | None:
    """The template that the processor would use; None if there is none, whatever its tokenizer has.

    Raises:
        ModelError: A file that may hold it is damaged.
    """
    for name in ("processor_config.json", "chat_template.json", RAW):
        path = folder / name
        if path.is_file():
            template = _text(path) if name == RAW else read_object(path).get("chat_template")
            if isinstance(template, dict):  # named ones, for tools and the like
                template = template.get("default")
            if isinstance(template, str):
                return template
    return None


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


def _fault(folder: Path) -> str | None:
    """Renders within the limits; what is wrong, or None."""
    from transformers.utils.chat_template_utils import render_jinja_template

    template = template_of(folder)
    if template is None:
        return "there is none"
    tokens = _special_tokens(read_object(folder / "tokenizer_config.json"))
    resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    last_second = ceil(process_time()) + MAX_CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (last_second, last_second))
    try:
        for conversation in CONVERSATIONS:
            rendered, _ = render_jinja_template(
                [conversation], chat_template=template, add_generation_prompt=True, **tokens
            )
            if len(rendered[0]) > MAX_CHARACTERS:
                return f"it makes {len(rendered[0])} characters"
    except Exception as error:  # noqa: BLE001 - it is somebody else's program
        return f"{type(error).__name__}: {str(error)[:200]}"
    return None


def _special_tokens(config: dict[str, Any]) -> dict[str, str]:
    """`bos_token` and its like, as a template may use them."""
    named = {key: value for key, value in config.items() if key.endswith("_token")}
    texts = {k: v.get("content") if isinstance(v, dict) else v for k, v in named.items()}
    return {key: value for key, value in texts.items() if isinstance(value, str)}


if __name__ == "__main__":
    try:
        fault = _fault(Path(sys.argv[1]))
    except ModelError as error:
        fault = error.what
    sys.stdout.write(json.dumps({"fault": fault}))
