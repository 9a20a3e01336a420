"""A store behind a server that is away, overloaded or cuts its answers off: nothing is lost."""

import uuid
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from benchmarks.fault_proxy import FaultProxy
from infra import backends
from infra.errors import StoreError
from infra.payload import describe
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
    return store.publish(folder, "model", producer={}, inputs={}, recipe_digest="", key=KEY)


@pytest.mark.parametrize("fault", ["unavailable", "reset", "silent", "slow", "cut off"])
def test_what_is_published_and_fetched_through_faults_is_whole(fault, proxy, store, folder):
    num_faults = 3 if fault == "silent" else 8
    proxy.fault, proxy.num_faults = fault, num_faults
    artifact = publish(store, folder)
    assert store.find(KEY) == artifact
    assert proxy.num_done > 0
    proxy.num_faults = num_faults
    assert describe(store.fetch(artifact)) == describe(folder)


def test_a_server_that_stays_away_is_one_clear_error(proxy, store, folder, monkeypatch):
    monkeypatch.setattr(backends, "PATIENCE_SECONDS", 3.0)
    proxy.fault, proxy.num_faults = "unavailable", 10**6
    with pytest.raises(StoreError, match="cannot be used"):
        publish(store, folder)
    proxy.num_faults = 0
    assert store.find(KEY) is None  # half an artifact is none
    assert store.find(KEY) != publish(store, folder)
