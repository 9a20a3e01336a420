import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[1]


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on; all are held open until the last is found, so none repeats."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


@pytest.fixture
def free_port() -> int:
    return free_ports(1)[0]


@dataclass(frozen=True)
class Seaweed:
    """A real S3 server: SeaweedFS, with one bucket."""

    environment: dict[str, str]
    bucket: str


@pytest.fixture(scope="session")
def seaweed_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    folder = tmp_path_factory.mktemp("seaweed")
    names = ["master", "volume", "filer", "s3", "admin"]
    flags = [f"-{name}.port" for name in names] + [f"-{name}.port.grpc" for name in names]
    ports = dict(zip(flags, free_ports(len(flags)), strict=True))
    environment = {
        "AWS_ACCESS_KEY_ID": "pocket-access-key",
        "AWS_SECRET_ACCESS_KEY": "pocket-secret-key",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports['-s3.port']}",
        "AWS_REGION": "us-east-1",
    }
    weed = shutil.which("weed") or str(Path(sys.executable).with_name("weed"))
    command = [
        *(weed, "-logtostderr=true", "mini", f"-dir={folder}", "-ip=127.0.0.1"),
        *("-ip.bind=127.0.0.1", "-bucket=pocket", "-webdav=false", "-admin.ui=false"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"),
        *(f"{flag}={port}" for flag, port in ports.items()),
    ]
    # Under the supervisor it cannot outlive the test session, however that ends.
    supervisor = [sys.executable, "-m", "infra.supervisor", "--parent", str(os.getpid()), "--"]
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [*supervisor, *command],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_for(environment["AWS_ENDPOINT_URL"], process, folder / "log.txt")
        yield Seaweed(environment=environment, bucket="pocket")
    finally:
        process.terminate()
        process.wait(timeout=60)


@pytest.fixture
def seaweed(seaweed_server: Seaweed, monkeypatch: pytest.MonkeyPatch) -> Seaweed:
    """The S3 server, with its address and credentials in the environment."""
    for name, value in seaweed_server.environment.items():
        monkeypatch.setenv(name, value)
    return seaweed_server


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(address, timeout=5).status_code == 403:  # up, and asks for credentials
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"SeaweedFS did not come up:\n{log.read_text()[-3000:]}")
