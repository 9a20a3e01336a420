"""A store behind a server that is away, overloaded or cuts its answers off: nothing is lost."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from contracts.errors import StoreError
from contracts.provenance import Provenance
from drills.fault_proxy import FaultProxy
from infra import backends
from infra.digests import describe
from infra.seaweed import seaweed_server
from infra.store import Store

KEY = "a" * 64


@pytest.fixture
def proxy(seaweed, monkeypatch):
    port = urlsplit(seaweed.environment["AWS_ENDPOINT_URL"]).port
    with FaultProxy(port) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
        yield proxy


@pytest.fixture
def store(proxy, seaweed, tmp_path, monkeypatch):
    monkeypatch.setattr(backends, "TIMEOUT_SECONDS", 5.0)  # for `silent`
    return Store(f"s3://{seaweed.bucket}/{uuid.uuid4().hex}", tmp_path / "cache")


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "made"
    folder.mkdir()
    for number in range(3):
        (folder / f"file-{number}").write_bytes(bytes([number]) * 300_000)
    return folder


def publish(store: Store, folder: Path):
    return store.publish(folder, "model", Provenance(), key=KEY)


@pytest.mark.fault(
    "S3 answers 503, resets, never answers, is slow, cuts answers off",
    "asked again; what is published and fetched is whole",
)
@pytest.mark.parametrize("fault", ["unavailable", "reset", "silent", "slow", "cut off"])
def test_what_is_published_and_fetched_through_faults_is_whole(fault, proxy, store, folder):
    num_faults = 3 if fault == "silent" else 8
    proxy.fault, proxy.num_faults = fault, num_faults
    artifact = publish(store, folder)
    assert store.find(KEY) == artifact
    assert proxy.num_done > 0
    proxy.num_faults = num_faults
    assert describe(store.fetch(artifact)) == describe(folder)


@pytest.mark.fault(
    "S3 answers 503 for longer than three minutes",
    "one clear error; nothing half-made is found",
)
def test_a_server_that_stays_away_is_one_clear_error(proxy, store, folder, monkeypatch):
    monkeypatch.setattr(backends, "PATIENCE_SECONDS", 3.0)
    monkeypatch.setattr(backends, "LONG_ATTEMPTS", 0)  # s3fs tries for longer than that by itself
    proxy.fault, proxy.num_faults = "unavailable", 10**6
    with pytest.raises(StoreError, match="cannot be used"):
        publish(store, folder)
    proxy.num_faults = 0
    assert store.find(KEY) is None  # half an artifact is none
    assert store.find(KEY) != publish(store, folder)


@pytest.mark.fault(
    "SIGKILL of the S3 server in the middle of an upload, and restart",
    "the upload goes on when the server is back; what is fetched is whole",
)
def test_an_upload_outlives_the_server_that_it_goes_to(tmp_path, monkeypatch):
    (tmp_path / "server").mkdir()
    (tmp_path / "made").mkdir()
    for number in range(4):
        (tmp_path / "made" / str(number)).write_bytes(bytes([number]) * 10_000_000)
    with seaweed_server(tmp_path / "server") as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        port = urlsplit(server.environment["AWS_ENDPOINT_URL"]).port
        with FaultProxy(port) as proxy, ThreadPoolExecutor(1) as executor:
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
            store = Store(f"s3://{server.bucket}/store", tmp_path / "cache")
            proxy.hold_at_bytes = 15_000_000
            published = executor.submit(publish, store, tmp_path / "made")
            while proxy.num_bytes < proxy.hold_at_bytes:
                time.sleep(0.001)
            server.kill()
            assert not published.done()
            proxy.hold_at_bytes = None
            server.start()
            artifact = published.result()
            assert store.find(KEY) == artifact
            assert describe(store.fetch(artifact)) == describe(tmp_path / "made")
            assert len(store.backend.sizes("artifacts")) == 5  # four files and the manifest


class Clock:
    """A clock that only operations and waits move."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_patience_begins_with_the_first_failure(monkeypatch, tmp_path):
    clock = Clock()
    monkeypatch.setattr(backends, "time", clock)
    backend = backends.S3Backend("bucket/prefix")

    def transfer(seconds: float, num_failures: int):
        left = [None] * num_failures

        def operation() -> str:
            clock.now += seconds
            if left:
                left.pop()
                raise ConnectionError("cut off")
            return "whole"

        return operation

    # An hour of transfer before the connection breaks is no waiting.
    assert backend._call(transfer(3600.0, num_failures=1)) == "whole"
    # Nor is the hour of the next attempt, after which it breaks once more; but not without end.
    assert backend._call(transfer(3600.0, num_failures=1 + backends.LONG_ATTEMPTS)) == "whole"
    with pytest.raises(StoreError, match="cut off"):
        backend._call(transfer(3600.0, num_failures=10**6))
    clock.now = 0.0
    with pytest.raises(StoreError, match="cut off"):
        backend._call(transfer(0.0, num_failures=10**6))
    assert clock.now >= backends.PATIENCE_SECONDS - backends.LONGEST_WAIT_SECONDS
    assert clock.now <= backends.PATIENCE_SECONDS
    clock.now = 0.0
    with pytest.raises(StoreError):
        backend._call(transfer(5.0, num_failures=1), patience_seconds=0)
    assert clock.now == 5.0
