"""Asking an endpoint: bounded in time, in bytes and in tries; what goes wrong has a name.

A fault of one question (its prompt is too long, its reply is garbage) is `Unanswered`, and is
counted. A fault of the endpoint (another model answers, the key is refused) is an error, and ends
the stage: every other question would meet it, too.
"""

import asyncio
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import TracebackType
from typing import Any

import httpx
import numpy as np

from contracts.errors import InputError, SettingsError
from contracts.secrets import without_secrets
from contracts.texts import marked
from training.endpoint.wire import GarbledError, Reply, is_same_model, read_models, read_reply
from training.recipe.endpoint import ConnectionRecipe, EndpointRecipe

MAX_DELAY_SECONDS = 300.0
# A list of models takes no model: who does not send it soon is heard of before a run starts, and
# not after every try has lasted as long as an answer may.
LIST_SECONDS = 30.0
MAX_QUOTED_CHARACTERS = 200
# Another try may go well, as it may after any 5xx. 425 is `too early`.
_AGAIN = {408, 409, 425, 429}
# How much longer each wait is than the one before. A limit of so much a minute does not say when
# the minute is over: by default the four waits, of 1, 5, 25 and 125 s, half as long at least, last
# longer than that.
_GROWTH, _LIMITED_GROWTH = 2.0, 5.0
_REFUSED = {401, 403}
# No other address is ever followed: the key would go there, too.
_MOVED = range(300, 400)


class Unanswered(Exception):
    """One question has no answer; the text says why, in few words."""


class Refused(Unanswered):
    """The endpoint refuses one question, which says nothing of the others."""


class _Again(Exception):
    """A try failed, and another may not."""

    def __init__(
        self, why: str, after_seconds: float | None = None, growth: float = _GROWTH
    ) -> None:
        super().__init__(why)
        self.after_seconds, self.growth = after_seconds, growth


class EndpointClient:
    """A connection to an endpoint; an asynchronous context manager.

    Args:
        endpoint: Where, and which model.
        connection: How.
        seed: Of the jitter between tries; it changes no answer.

    Raises:
        SettingsError: The variable of the key is not set, or holds no key.
    """

    def __init__(self, endpoint: EndpointRecipe, connection: ConnectionRecipe, seed: int) -> None:
        self._endpoint, self._connection = endpoint, connection
        self._generator = np.random.default_rng(seed)
        self._client = httpx.AsyncClient(
            # What is packed may unpack to gigabytes.
            headers={"Accept-Encoding": "identity", **_authorization(connection)},
            timeout=connection.timeout_seconds,  # of each wait; `asyncio.timeout` bounds them all
            limits=httpx.Limits(max_connections=connection.concurrency),
            follow_redirects=False,
        )

    async def __aenter__(self) -> "EndpointClient":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends all connections."""
        await self._client.aclose()

    async def check(self) -> None:
        """Asks which models there are.

        Raises:
            InputError: The endpoint cannot be reached, refuses, or does not list the model.
        """
        try:
            seconds = min(LIST_SECONDS, self._connection.timeout_seconds)
            models = read_models(await self._tried("GET", "models", None, seconds))
        except (Unanswered, GarbledError) as error:
            raise self._error(
                f"does not say which models it has: {error}",
                rule="`GET <address>/models` lists the models of an OpenAI-compatible endpoint",
                fix="start it, or correct the address; it ends with `/v1` as a rule",
            ) from error
        if self._endpoint.model not in models:
            listed = ", ".join(models[:10])[:MAX_QUOTED_CHARACTERS]
            raise self._error(
                f"does not have the model {self._endpoint.model!r}; it lists {listed or 'none'}.",
                rule="the model that is asked is one that the endpoint lists",
                fix="name one of these, or serve the model",
            )

    async def ask(self, body: Mapping[str, Any]) -> Reply:
        """One answer.

        Args:
            body: As `training.endpoint.wire.chat` makes it.

        Raises:
            Unanswered: There is none, after all tries.
            InputError: The endpoint itself will not do.
        """
        try:
            seconds = self._connection.timeout_seconds
            reply = read_reply(await self._tried("POST", "chat/completions", body, seconds))
        except GarbledError as error:
            raise Unanswered(f"garbled reply: {error}") from error
        if not is_same_model(self._endpoint.model, reply.model):
            raise self._error(
                f"was asked for the model {self._endpoint.model!r}, and "
                f"{reply.model[:MAX_QUOTED_CHARACTERS]!r} answered.",
                rule="the model that answers is the one that is evaluated",
                fix="name the model by the name that the endpoint answers with",
            )
        return reply

    async def _tried(
        self, method: str, path: str, body: Mapping[str, Any] | None, seconds: float
    ) -> bytes:
        """The body of a reply with status 200; a try may last so many seconds."""
        for attempt in range(self._connection.retries + 1):
            try:
                return await self._once(method, path, body, seconds)
            except _Again as trouble:
                if attempt == self._connection.retries:
                    raise Unanswered(str(trouble)) from trouble
                await asyncio.sleep(self._delay_seconds(attempt, trouble))
        raise AssertionError("the last attempt returns or raises")

    async def _once(
        self, method: str, path: str, body: Mapping[str, Any] | None, seconds: float
    ) -> bytes:
        url = f"{self._endpoint.address}/{path}"
        try:
            async with (
                asyncio.timeout(seconds),
                self._client.stream(method, url, json=body) as response,
            ):
                data, is_whole = await self._bounded(response)
        except TimeoutError as error:
            raise _Again("time-out") from error
        except httpx.TransportError as error:
            raise _Again(f"no connection ({type(error).__name__})") from error
        if response.status_code != HTTPStatus.OK:
            raise self._fault(response, data)
        if not is_whole:
            raise Unanswered(f"reply of more than {self._connection.max_answer_bytes} bytes")
        if "content-encoding" in response.headers:
            raise Unanswered("garbled reply: packed, which was not asked for")
        return data

    async def _bounded(self, response: httpx.Response) -> tuple[bytes, bool]:
        """A reply as far as it may go, and whether that is all of it."""
        data = bytearray()
        async for part in response.aiter_raw():
            data += part
            if len(data) > self._connection.max_answer_bytes:
                return bytes(data[: self._connection.max_answer_bytes]), False
        return bytes(data), True

    def _fault(self, response: httpx.Response, data: bytes) -> Exception:
        """What a reply of another status than 200 means."""
        code = response.status_code
        text = " ".join(data[: 8 * MAX_QUOTED_CHARACTERS].decode("utf-8", "replace").split())
        said = marked(without_secrets(text))[:MAX_QUOTED_CHARACTERS]
        if code in _AGAIN or code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            growth = _LIMITED_GROWTH if code == HTTPStatus.TOO_MANY_REQUESTS else _GROWTH
            after_seconds = _retry_after(response.headers.get("retry-after"))
            return _Again(f"status {code}", after_seconds, growth)
        if code in _REFUSED:
            name = self._connection.key_variable
            return self._error(
                f"refuses the key (status {code}): {said}",
                rule="an endpoint that asks for a key gets it from the variable that the recipe "
                f"names; it names {name or 'none'}",
                fix="set `key_variable` to a variable that holds the right key",
            )
        if code in _MOVED or code == HTTPStatus.NOT_FOUND:
            return self._error(
                f"has nothing at this address (status {code}).",
                rule="`<address>/chat/completions` answers, without leading elsewhere",
                fix="correct the address; it ends with `/v1` as a rule",
            )
        return Refused(f"status {code}: {said}")

    def _delay_seconds(self, attempt: int, trouble: _Again) -> float:
        """What the endpoint asks for, else longer each time; with jitter, up to a bound."""
        grown = self._connection.backoff_seconds * trouble.growth**attempt
        delay = grown * float(self._generator.uniform(0.5, 1.0))
        return min(MAX_DELAY_SECONDS, max(delay, trouble.after_seconds or 0.0))

    def _error(self, what: str, *, rule: str, fix: str) -> InputError:
        return InputError(
            f"The endpoint {self._endpoint.address} {what}",
            where=f"{self._endpoint.address}, model {self._endpoint.model}",
            rule=rule,
            fix=fix,
        )


def require_key(connection: ConnectionRecipe) -> str | None:
    """The key of an endpoint; None where it needs none.

    Raises:
        SettingsError: The variable that the recipe names is not set, or holds no key.
    """
    name = connection.key_variable
    if name is None:
        return None
    if not (key := os.environ.get(name, "").strip()):
        raise SettingsError(
            f"The environment variable {name} is not set.",
            where=f"environment variable {name}, named by `key_variable` in the recipe",
            rule="an endpoint's key comes from the environment of the process that runs the flow",
            fix=f"set {name} where `make up` is run, then make down and make up",
        )
    if not (key.isascii() and key.isprintable()):
        raise SettingsError(
            f"The environment variable {name} holds what cannot be sent as a key.",
            where=f"environment variable {name}, named by `key_variable` in the recipe",
            rule="a key is of printable ASCII characters, on one line",
            fix=f"set {name} to the key alone, then make down and make up",
        )
    return key


def _authorization(connection: ConnectionRecipe) -> dict[str, str]:
    key = require_key(connection)
    return {} if key is None else {"Authorization": f"Bearer {key}"}


def _retry_after(value: str | None) -> float | None:
    """Seconds of a `Retry-After`, which is a number of them or a date; None if it is neither."""
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value.strip()[:9])
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # a year, an hour or a zone beyond all bounds
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())
