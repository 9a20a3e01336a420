"""Text for logs, errors, records and reports, with the secrets in it masked.

A secret is known by its value, where the environment holds it under a name such as `HF_TOKEN`; by
the name in front of it, as in `password=...`; or by its form: the user part of a URL, the token of
a hub.
"""

import json
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
_KINDS = (
    r"secret|password|passwd|passphrase|token|api_?key|access_?key|private_?key|account_?key|"
    r"auth_?string|credentials?"
)
_SECRET_NAME = re.compile(rf"(?:^|_)(?:{_KINDS})(?:_(?!file$|path$|uri$|url$)|$)", re.I)
# Of variables alone: a recipe counts tokens. PWD, without a name before it, is a folder.
_SECRET_VARIABLE = re.compile(
    r"(?:password|passwd|(?:^|_)pass|_pwd|_key|_pat|_tokens|_conn(?:ection)?_str(?:ing)?)$", re.I
)
# All repetitions are bounded or begin at one place: no text takes time that grows with its square.
_USER_IN_URI = re.compile(r"(?<=://)([^/\s?#\"'`]+)@")
# A password that nobody escaped; a port is none.
_RAW_USER_IN_URI = re.compile(
    r"(?<=://)([^/\s?#\"'`:@]{0,200}:(?!\d{1,5}(?:[/?#\s]|$))"
    r"[^\s\"'`@]{1,200}(?: [^\s\"'`@]{1,200})?)@"
)
_SECRET_IN_QUERY = re.compile(
    r"(?<=[?&#])((?:[\w.-]{0,64}(?:signature|secret|token|key|credential|password)[\w.-]{0,64}|sig))"
    r"=(?!\(secret)[^&#\s]+",
    re.I,
)
_ASSIGNED = re.compile(
    r"((?:(?:password|passwd|passphrase|client_?secret|(?:secret|api|account)_?key"
    r"|access_?key(?:_id)?)"
    r"(?:[\"']?=[\"']?|[\"']?: ?[\"'])"
    r"|--(?:password|passphrase|token|secret|client-?secret|(?:secret|api|access)-?key)[ =]"
    r"|authorization[\"']?[:=] ?[\"']?(?:(?:basic|bearer|token) )?))"
    r"(?!\(secret|(?:basic|bearer|token) )[^\s\"',;&]{6,}",
    re.I,
)
# `eos_token=endoftext` is none: letters and digits, eight at least.
_ASSIGNED_TOKEN = re.compile(
    r"((?:secret|token)(?:[\"']?=[\"']?|[\"']?: ?[\"']))"
    r"(?=[\w.~+/=-]{0,200}\d)(?=[\w.~+/=-]{0,200}[a-z])\w[\w.~+/=-]{7,}",
    re.I,
)
_FORMS = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{20,}"  # Hugging Face
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}"  # AWS
    r"|gh[opsur]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}"  # GitHub, GitLab
    r"|sk-[\w-]{20,}|xox[abprs]-[\w-]{10,}"  # OpenAI and others, Slack
    r"|(?<![\w-])eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*)"  # JSON web tokens
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
    return _clean(text, _secrets_of(os.environ if environment is None else environment))


def _clean(text: str, secrets: Sequence[str]) -> str:
    text = _USER_IN_URI.sub("", _RAW_USER_IN_URI.sub("", text))
    for secret in secrets:
        text = text.replace(secret, MASK)
    text = _SECRET_IN_QUERY.sub(rf"\1={MASK}", text)
    for assigned in (_ASSIGNED, _ASSIGNED_TOKEN):
        text = assigned.sub(rf"\1{MASK}", text)
    return _FORMS.sub(MASK, text)


def masked(value: JsonValue) -> JsonValue:
    """A JSON value with every text cleaned, keys too, and what a key names as a secret masked."""
    return _masked(value, _secrets_of(os.environ))


def _masked(value: JsonValue, secrets: Sequence[str]) -> JsonValue:
    if isinstance(value, dict):
        clean: dict[str, JsonValue] = {}
        for key, inner in value.items():
            name = shown = _clean(key, secrets)
            while shown in clean:  # two secrets look alike
                shown += "'"
            hides = names_secret(name) and inner is not None
            clean[shown] = MASK if hides else _masked(inner, secrets)
        return clean
    if isinstance(value, list):
        return [_masked(inner, secrets) for inner in value]
    return _clean(value, secrets) if isinstance(value, str) else value


def find_secrets(value: object) -> Iterator[str]:
    """Names the fields of nested values that hold a secret, such as `sources.0.path`."""
    return _found(value, "", _secrets_of(os.environ))


def _found(value: object, field: str, secrets: Sequence[str]) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            shown = _clean(str(key), secrets)
            name = f"{field}.{shown}" if field else shown
            if names_secret(str(key)) or shown != str(key):
                yield name
            else:
                yield from _found(inner, name, secrets)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _found(inner, f"{field}.{index}", secrets)
    elif isinstance(value, str) and _clean(value, secrets) != value:
        yield field


def names_secret(name: str) -> bool:
    """Whether a key of this name holds a secret."""
    return _SECRET_NAME.search(name) is not None


def is_secret_variable(name: str) -> bool:
    """Whether a variable of this name holds a secret: some names are only variables'."""
    return names_secret(name) or _SECRET_VARIABLE.search(name) is not None


def without_secret_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment for processes that need no secret: no variable holds one."""
    return {
        name: value
        for name, value in environment.items()
        if not is_secret_variable(name) and without_secrets(value, {}) == value
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
    """The secrets that an environment holds, also as URLs, JSON and Python write them.

    The longest first.
    """
    found = set()
    for name, value in environment.items():
        if is_secret_variable(name):
            shortest = MIN_ID_CHARACTERS if name.upper().endswith("_ID") else MIN_SECRET_CHARACTERS
            # The password of `user:password` is a secret by itself, too.
            found |= {part for part in (value, value.partition(":")[2]) if len(part) >= shortest}
        for user in _USER_IN_URI.findall(value) + _RAW_USER_IN_URI.findall(value):
            parts = (user, *user.split(":"), *unquote(user).split(":"))
            found |= {part for part in parts if len(part) >= MIN_SECRET_CHARACTERS}
    return sorted({way for secret in found for way in _writings(secret)}, key=len, reverse=True)


def _writings(secret: str) -> set[str]:
    return {
        secret,
        # A lone surrogate stands for a byte that was no UTF-8.
        *(quote(secret, safe=safe, errors="surrogateescape") for safe in ("", "/")),
        *(json.dumps(secret, ensure_ascii=escapes)[1:-1] for escapes in (True, False)),
        repr(secret)[1:-1],
    }
