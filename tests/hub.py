"""A model hub of one's own on loopback, for the hub's real client: `HF_ENDPOINT` names it."""

import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_test_token_of_this_hub"
LARGE = (".parquet", ".safetensors")  # files that a hub keeps outside of git, with a SHA-256


@dataclass
class Repo:
    """A repository: its commits, the newest last, and what its branches name.

    Attributes:
        access: `public`, `private` or `gated` (with the token, too, until its terms are accepted).
    """

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    access: str = "public"

    def commit(self, files: Mapping[str, bytes], branch: str = "main") -> str:
        digest = hashlib.sha1()
        for name, data in sorted(files.items()):
            digest.update(name.encode() + hashlib.sha1(data).digest())
        sha = digest.hexdigest()
        self.commits[sha] = dict(files)
        self.refs[branch] = sha
        return sha


class Hub:
    """What it serves, and how it fails.

    Attributes:
        repos: By `models/owner/name` or `datasets/owner/name`.
        requests: `METHOD path` of every request.
        cut_after: Bytes of a file's body after which the connection ends; None for all of them.
        spoil: Bodies arrive with other bytes of the same number.
        status: Every request gets this status instead of an answer.
        hang_seconds: How long every request waits for its answer.
    """

    def __init__(self) -> None:
        self.close = lambda: None  # ends the server
        self.repos: dict[str, Repo] = {}
        self.requests: list[str] = []
        self.heal()

    def heal(self) -> None:
        self.cut_after: int | None = None
        self.spoil = False
        self.status: int | None = None
        self.hang_seconds = 0.0

    def repo(self, name: str) -> Repo:
        return self.repos.setdefault(name, Repo())


def blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.requests.append(f"{self.command} {path}")
            time.sleep(hub.hang_seconds)
            if hub.status is not None:
                return self.refuse(hub.status, "")
            if found := re.fullmatch(r"/api/((?:models|datasets)/[^/]+/[^/]+)/revision/(.+)", path):
                return self.info(*found.groups())
            if found := re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
                kind, name, revision, file = found.groups()
                return self.file(f"{kind or 'models/'}{name}", revision, file)
            return self.refuse(404, "")

        def allowed(self, name: str, revision: str) -> dict[str, bytes] | None:
            repo = hub.repos.get(name)
            known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            if repo is None or (repo.access == "private" and not known):
                return self.refuse(404 if known else 401, "RepoNotFound")
            if repo.access == "gated":
                return self.refuse(403 if known else 401, "GatedRepo")
            self.sha = repo.refs.get(revision, revision)
            if self.sha not in repo.commits:
                return self.refuse(404, "RevisionNotFound")
            return repo.commits[self.sha]

        def info(self, name: str, revision: str) -> None:
            files = self.allowed(name, revision)
            if files is None:
                return
            siblings = []
            for path, data in files.items():
                one = {"rfilename": path, "size": len(data), "blobId": blob_id(data)}
                if path.endswith(LARGE):
                    sha256 = hashlib.sha256(data).hexdigest()
                    one["lfs"] = {"sha256": sha256, "size": len(data), "pointerSize": 128}
                siblings.append(one)
            answer = {"id": name.partition("/")[2], "sha": self.sha, "siblings": siblings}
            self.answer(json.dumps(answer).encode(), {"Content-Type": "application/json"})

        def file(self, name: str, revision: str, path: str) -> None:
            files = self.allowed(name, revision)
            if files is None:
                return
            if path not in files:
                return self.refuse(404, "EntryNotFound")
            data = files[path]
            tag = hashlib.sha256(data).hexdigest() if path.endswith(LARGE) else blob_id(data)
            headers = {"X-Repo-Commit": self.sha, "ETag": f'"{tag}"', "Accept-Ranges": "bytes"}
            body, start = bytes(len(data)) if hub.spoil else data, 0
            if found := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
                start = int(found[1])
                headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            self.answer(body[start:], headers, 206 if start else 200)

        def answer(self, body: bytes, headers: Mapping[str, str], status: int = 200) -> None:
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command == "HEAD":
                return
            cut = hub.cut_after if "X-Repo-Commit" in headers else None
            self.wfile.write(body[:cut])
            if cut is not None and cut < len(body):
                self.close_connection = True

        def refuse(self, status: int, code: str) -> None:
            self.answer(b"", {"X-Error-Code": code} if code else {}, status)

    return Handler


@contextmanager
def hub_server() -> Iterator[tuple[str, Hub]]:
    """Serves a hub for as long as a `with` lasts; yields its address and the hub."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def close() -> None:
        server.shutdown()
        server.server_close()
        thread.join()
        hub.status = 503  # of connections that clients keep open

    hub.close = close
    try:
        yield f"http://127.0.0.1:{server.server_port}", hub
    finally:
        close()
