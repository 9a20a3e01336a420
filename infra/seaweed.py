"""A real S3 server of one's own, for tests and benchmarks: SeaweedFS on free loopback ports."""

import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import botocore.session
import psutil
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.settings import PROJECT_ROOT

BUCKET = "pocket"
READY_WITHIN_SECONDS = 300  # on a machine that is busy
ATTEMPTS = 5
# Below those that Linux gives to a connection, or to who asks for any port: between a look for a
# free one and its use, seconds later, nobody gets it by chance.
PORTS = range(20_000, 29_000)


class Seaweed:
    """A server with one bucket, on ports of its own.

    Args:
        folder: Receives its data and its log; there already.

    Attributes:
        environment: Its address and credentials, as every S3 client reads them.
        bucket: The bucket's name.
    """

    def __init__(self, folder: Path) -> None:
        names = ["master", "volume", "filer", "s3", "admin"]
        flags = [f"-{name}.port" for name in names] + [f"-{name}.port.grpc" for name in names]
        self._ports = dict(zip(flags, free_ports(len(flags)), strict=True))
        self._folder = folder
        self.bucket = BUCKET
        self.environment = {
            "AWS_ACCESS_KEY_ID": "pocket-access-key",
            "AWS_SECRET_ACCESS_KEY": "pocket-secret-key",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._ports['-s3.port']}",
            "AWS_REGION": "us-east-1",
        }

    def start(self) -> None:
        """Starts it with what is in its folder, and waits until it answers.

        Raises:
            RuntimeError: It does not come up.
        """
        weed = shutil.which("weed") or str(Path(sys.executable).with_name("weed"))
        command = [
            *(weed, "-logtostderr=true", "mini", f"-dir={self._folder}", "-ip=127.0.0.1"),
            *("-ip.bind=127.0.0.1", f"-bucket={BUCKET}", "-webdav=false", "-admin.ui=false"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"),
            *(f"{flag}={port}" for flag, port in self._ports.items()),
        ]
        # Under the supervisor it cannot outlive who started it, however that ends.
        supervisor = [sys.executable, "-m", "infra.supervisor", "--parent", str(os.getpid()), "--"]
        log_path = self._folder / "log.txt"
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*supervisor, *command],
                cwd=PROJECT_ROOT,
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait(log_path)

    def _wait(self, log: Path) -> None:
        """Until its bucket is there, which is later than its first answer."""
        names = ("aws_access_key_id", "aws_secret_access_key")
        client = botocore.session.get_session().create_client(
            "s3",
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            region_name=self.environment["AWS_REGION"],
            **{name: self.environment[name.upper()] for name in names},
            # Somebody else's server may have its port, and not answer.
            config=Config(connect_timeout=5, read_timeout=5, retries={"total_max_attempts": 1}),
        )
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        while time.monotonic() < deadline and self.is_running():
            try:
                client.head_bucket(Bucket=BUCKET)
            except (ClientError, BotoCoreError):
                time.sleep(0.1)
            else:
                return
        raise RuntimeError(f"SeaweedFS did not come up:\n{log.read_text()[-3000:]}")

    def is_running(self) -> bool:
        """Whether it has not ended since its start."""
        return self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL; `start` brings it back with what it had."""
        for process in psutil.Process(self._process.pid).children():
            process.kill()
        self._process.wait(timeout=60)

    def stop(self) -> None:
        """Ends it, if it lives."""
        self._process.terminate()
        self._process.wait(timeout=60)


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on; all are held open until the last is found, so none repeats."""
    found: list[int] = []
    with ExitStack() as stack:
        # The system's randomness: whoever has seeded `random` alike would get the same ones.
        for port in random.SystemRandom().sample(PORTS, len(PORTS)):
            if len(found) == count:
                break
            with suppress(OSError):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
                found.append(port)
    return found


@contextmanager
def seaweed_server(folder: Path) -> Iterator[Seaweed]:
    """Runs a server for as long as a `with` lasts; if its ports are taken, it tries others.

    Args:
        folder: Receives its data and its log; there already.

    Raises:
        RuntimeError: It does not come up.
    """
    with ExitStack() as stack:
        for num_left in reversed(range(ATTEMPTS)):
            server = Seaweed(folder)
            stack.callback(server.stop)
            try:
                server.start()
                break
            except RuntimeError:
                if server.is_running() or not num_left:
                    raise
        yield server
