"""Makes text from models, data and machines safe to print; escaping is the writers' part."""

import re

from pydantic import JsonValue

from training.texts import marked

MASK = "(secret, not shown)"
_SECRET_KEY = re.compile(
    r"(?:^|_)(?:secret|password|passwd|token|api_?key|access_?key|credentials?)(?:_|$)", re.I
)
_USER_IN_URI = re.compile(r"(?<=://)[^/\s@]+@")
_SECRET_IN_QUERY = re.compile(
    r"(?<=[?&])([\w.-]*(?:signature|secret|token|key|credential|password)[\w.-]*)=[^&#\s]+", re.I
)


def printable(text: str) -> str:
    """The text with marks in place of what nobody sees or what would reorder it."""
    return marked(text.replace("\r\n", "\n").replace("\r", "\\r"))


def without_secrets(text: str) -> str:
    """A URI or any text with the user part and the secret query values of its URIs masked."""
    return _SECRET_IN_QUERY.sub(rf"\1={MASK}", _USER_IN_URI.sub("", text))


def masked(value: JsonValue) -> JsonValue:
    """A JSON value with every entry whose key names a secret masked, and every URI cleaned."""
    if isinstance(value, dict):
        return {
            key: MASK if _SECRET_KEY.search(key) and inner is not None else masked(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [masked(inner) for inner in value]
    return without_secrets(value) if isinstance(value, str) else value
