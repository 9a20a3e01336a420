"""A Ray cluster on the loopback address, whose nodes share neither a home nor anything but a store.

`python -m tests.ray_cluster FOLDER` starts two nodes, prints the address, and obeys: `kill`, which
SIGKILLs the Ray processes of the last node, and `add`, which starts another; each is answered by a
line. It ends with its standard input. A process of its own: Ray keeps its state in globals, and
reads its settings when it is imported.
"""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

PRIVATE = "a secret of the cluster's nodes"


class RayCluster:
    """The cluster as a test sees it.

    Attributes:
        address: Of its head.
        folder: Of all its files.
        environment: What a driver needs to join it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        token = folder / "token"
        token.write_text(secrets.token_hex(32))
        token.chmod(0o600)
        (folder / "ray").mkdir()
        self.environment = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.ray_cluster", str(folder)],
            env={
                **os.environ,
                **self.environment,
                "RAY_TMPDIR": str(folder),
                "RAY_worker_niceness": "0",  # by default 15: beside other tests hardly any time
                "AWS_SECRET_ACCESS_KEY": PRIVATE,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.address = self._answer()

    def kill(self) -> None:
        """SIGKILL of the last node's Ray; what it has started lives on for a moment."""
        self._tell("kill")

    def add(self) -> None:
        """Another node."""
        self._tell("add")

    def ranks(self) -> list[psutil.Process]:
        """The processes of stages on its nodes, whoever has them as children."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                command = " ".join(process.cmdline())
                if "training.stage" in command and str(self.folder) in command:
                    found.append(process)
        return found

    def close(self) -> None:
        """Ends all nodes."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(timeout=120) == 0

    def _tell(self, order: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()
        self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("> "):
                return line[2:].strip()
        raise AssertionError(f"the cluster has ended: {self._process.wait()}")


def main(folder: Path) -> None:
    """The process of the cluster."""
    from ray.cluster_utils import Cluster

    from infra.seaweed import free_ports

    def node(number: int) -> dict[str, object]:
        return {
            "num_cpus": 1,
            "object_store_memory": 80 * 2**20,
            "env_vars": {"REVISUAL_HOME": str(folder / f"home-{number}")},
        }

    (port,) = free_ports(1)
    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            **node(0),
            "gcs_server_port": port,
            "temp_dir": str(folder),
            "include_dashboard": False,
            "_system_config": {"health_check_period_ms": 500, "health_check_failure_threshold": 4},
        },
    )
    nodes = [cluster.add_node(**node(1))]
    print(f"> {cluster.address}", flush=True)
    for order in sys.stdin:
        if order.strip() == "kill":
            cluster.remove_node(nodes.pop(), allow_graceful=False)
        else:
            nodes.append(cluster.add_node(**node(2)))
        print("> done", flush=True)
    cluster.shutdown()


@contextmanager
def ray_cluster(folder: Path) -> Iterator[RayCluster]:
    """A cluster that ends with the context."""
    cluster = RayCluster(folder)
    try:
        yield cluster
    finally:
        cluster.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
