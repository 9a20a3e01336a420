"""Text for logs, errors, records and reports, with the secrets in it masked.

A secret is known by its value, where the environment holds it under a name such as `HF_TOKEN`; by
the name in front of it, as in `password=...`; or by its form: the user part of a URL, the token of
a hub.
"""

import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from types import TracebackType
from typing import Any, ParamSpec, TypeVar
from urllib.parse import quote, unquote

from pydantic import JsonValue

from contracts.texts import marked

MASK = "(secret, not shown)"
# Shorter values are words that texts hold anyway; so are the shorter ones of ids.
MIN_SECRET_CHARACTERS = 8
MIN_ID_CHARACTERS = 16
_KINDS = r"secret|password|passwd|passphrase|token|api_?key|access_?key|auth_?string|credentials?"
_SECRET_NAME = re.compile(rf"(?:^|_)(?:{_KINDS})(?:_(?!file$|path$|uri$|url$)|$)", re.I)
_USER_IN_URI = re.compile(r"(?<=://)([^/\s?#\"'`]+)@")
_SECRET_IN_QUERY = re.compile(
    r"(?<=[?&])([\w.-]*(?:signature|secret|token|key|credential|password)[\w.-]*)=(?!\(secret)[^&#\s]+",
    re.I,
)
_ASSIGNED = re.compile(
    r"((?:password|passwd|passphrase|secret_?key|api_?key|access_?key(?:_id)?)"
    r"(?:[\"']?=[\"']?|[\"']?: ?[\"']))(?!\(secret)[^\s\"',;&]{6,}",
    re.I,
)
_FORMS = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{20,}"  # Hugging Face
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}"  # AWS
    r"|gh[opsur]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}"  # GitHub, GitLab
    r"|sk-[\w-]{20,}|xox[abprs]-[\w-]{10,}"  # OpenAI and others, Slack
    r"|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*)"  # JSON web tokens
    r"|(?<=\bBasic )[A-Za-z0-9+/=]{12,}|(?<=\bBearer )[\w.~+/=-]{12,}"  # HTTP headers
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.)*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
)
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def without_secrets(text: str, environment: Mapping[str, str] | None = None) -> str:
    """A text with its secrets masked.

    Args:
        text: Any text; URIs and whole logs among them.
        environment: Whose secrets to look for; this process's by default.
    """
    return _without(text, _secrets_of(os.environ if environment is None else environment))


def _without(text: str, secrets: Sequence[str]) -> str:
    text = _USER_IN_URI.sub("", text)
    for secret in secrets:
        text = text.replace(secret, MASK)
    text = _SECRET_IN_QUERY.sub(rf"\1={MASK}", text)
    return _FORMS.sub(MASK, _ASSIGNED.sub(rf"\1{MASK}", text))


def masked(value: JsonValue) -> JsonValue:
    """A JSON value with every text cleaned, and every entry whose key names a secret masked."""
    return _masked(value, _secrets_of(os.environ))


def _masked(value: JsonValue, secrets: Sequence[str]) -> JsonValue:
    if isinstance(value, dict):
        return {
            key: MASK if names_secret(key) and inner is not None else _masked(inner, secrets)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_masked(inner, secrets) for inner in value]
    return _without(value, secrets) if isinstance(value, str) else value


def find_secrets(value: object) -> Iterator[str]:
    """Names the fields of nested values that hold a secret, such as `sources.0.path`."""
    yield from _find(value, "", _secrets_of(os.environ))


def _find(value: object, field: str, secrets: Sequence[str]) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            name = f"{field}.{key}" if field else str(key)
            if names_secret(str(key)):
                yield name
            else:
                yield from _find(inner, name, secrets)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _find(inner, f"{field}.{index}", secrets)
    elif isinstance(value, str) and _without(value, secrets) != value:
        yield field


def names_secret(name: str) -> bool:
    """Whether a variable or key of this name holds a secret."""
    return _SECRET_NAME.search(name) is not None


def without_secret_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment for processes that need no secret: no variable holds one."""
    return {
        name: value
        for name, value in environment.items()
        if not names_secret(name) and without_secrets(value, {}) == value
    }


def mask_logs_and_tracebacks() -> None:
    """From now on this process logs without secrets, and dies without showing one."""
    logging.setLogRecordFactory(_MaskedRecord)
    sys.excepthook = _print_masked


class SecretError(Exception):
    """Takes the place of an exception whose text shows a secret; the text is masked."""


@contextmanager
def secrets_masked() -> Iterator[None]:
    """Within it, no exception leaves whose text shows a secret: Prefect stores that text."""
    try:
        yield
    except Exception as error:
        text = str(error)
        if (safe := without_secrets(text)) == text:
            raise
        raise SecretError(f"{type(error).__name__}: {safe}") from error


def masks_secrets(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Decorates a task, so that no exception leaves it whose text shows a secret."""

    @wraps(function)
    def guarded(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        with secrets_masked():
            return function(*args, **kwargs)

    return guarded


class _MaskedRecord(logging.LogRecord):
    """A log record whose message and traceback show no secret and hide nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - logging's
        super().__init__(*args, **kwargs)
        if self.exc_info and self.exc_info[0] is not None:
            lines = traceback.format_exception(*self.exc_info)
            self.exc_text = marked(without_secrets("".join(lines))).rstrip("\n")

    def getMessage(self) -> str:
        return marked(without_secrets(super().getMessage()))


def _print_masked(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    lines = traceback.format_exception(kind, error, trace)
    sys.stderr.write(marked(without_secrets("".join(lines))))


def _secrets_of(environment: Mapping[str, str]) -> list[str]:
    """The secrets that an environment holds, also as a URL writes them; the longest first."""
    found = set()
    for name, value in environment.items():
        if names_secret(name):
            shortest = MIN_ID_CHARACTERS if name.upper().endswith("_ID") else MIN_SECRET_CHARACTERS
            # The password of `user:password` is a secret by itself, too.
            found |= {part for part in (value, value.partition(":")[2]) if len(part) >= shortest}
        for user in _USER_IN_URI.findall(value):
            parts = (user, *user.split(":"), *unquote(user).split(":"))
            found |= {part for part in parts if len(part) >= MIN_SECRET_CHARACTERS}
    return sorted(found | {quote(secret, safe="") for secret in found}, key=len, reverse=True)
