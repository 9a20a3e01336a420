"""An OpenAI-compatible endpoint of one's own on loopback, which answers as a test tells it to."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

MODEL = "tiny"


@dataclass(frozen=True)
class Raw:
    """A reply as it goes over the wire."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def completion(text: str, model: str = MODEL, **changes: Any) -> dict[str, Any]:
    """A chat completion with one answer, of as many tokens as words."""
    return {
        "model": model,
        "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
        "usage": {"completion_tokens": len(text.split())},
    } | changes


def question_of(body: Mapping[str, Any]) -> str:
    """The text of what was asked."""
    content = body["messages"][-1]["content"]
    if isinstance(content, str):
        return content
    return " ".join(part["text"] for part in content if part["type"] == "text")


class Endpoint:
    """What it serves, and how it fails.

    Attributes:
        address: Where it is.
        models: What it lists.
        answer: What it says to a request's body: a completion, or a reply as it is.
        key: Requests need it, if it is set.
        asked: The bodies of all requests for an answer.
        most_at_once: Requests that were waiting for an answer at one time.
    """

    def __init__(self) -> None:
        self.address = ""
        self.models = [MODEL]
        self.answer: Callable[[dict[str, Any]], dict[str, Any] | Raw] = lambda body: completion(
            "It is \\boxed{1}."
        )
        self.key: str | None = None
        self.seconds = 0.0
        self.asked: list[dict[str, Any]] = []
        self.most_at_once = self._now = 0
        self._lock = Lock()

    def enter(self, body: dict[str, Any]) -> None:
        with self._lock:
            self.asked.append(body)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)

    def leave(self) -> None:
        with self._lock:
            self._now -= 1


def _handler(endpoint: Endpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def handle(self) -> None:
            with suppress(ConnectionError):  # a client that wants no more
                super().handle()

        def do_GET(self) -> None:
            if self.path != "/v1/models":
                return self.send(Raw(status=404))
            if self.allowed():
                time.sleep(endpoint.seconds)
                self.send({"data": [{"id": name} for name in endpoint.models]})
            return None

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if not self.allowed():
                return
            endpoint.enter(body)
            time.sleep(endpoint.seconds)
            reply = endpoint.answer(body)
            endpoint.leave()
            self.send(reply)

        def allowed(self) -> bool:
            known = self.headers.get("Authorization")
            if endpoint.key is None or known == f"Bearer {endpoint.key}":
                return True
            self.send(Raw(b"who are you?", 401))
            return False

        def send(self, reply: dict[str, Any] | Raw) -> None:
            raw = reply if isinstance(reply, Raw) else Raw(json.dumps(reply).encode())
            self.send_response(raw.status)
            for name, value in {"Content-Length": str(len(raw.body)), **raw.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self.wfile.write(raw.body)
            except OSError:  # nobody wants the rest
                self.close_connection = True

    return Handler


@contextmanager
def endpoint_server() -> Iterator[Endpoint]:
    """Serves an endpoint for as long as a `with` lasts."""
    endpoint = Endpoint()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(endpoint))
    server.daemon_threads = True
    thread = Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    endpoint.address = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
