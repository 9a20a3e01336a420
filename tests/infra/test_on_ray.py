"""What is asked of Ray itself; tests/tasks/test_ray.py has whole stages."""

import json
import os
import subprocess
import sys
from ipaddress import ip_address

import pytest

from infra.cluster.executor import ray_environment, ray_folder
from infra.cluster.records import Placement
from infra.settings import PROJECT_ROOT

pytest.importorskip("ray")
# Prints the addresses that Ray's processes, and one that it has started for us, listen on.
LISTENING = """
import json, os, sys
from pathlib import Path
import psutil, ray
from infra.cluster import on_ray
from infra.cluster.records import Placement

with on_ray.connected(Placement.model_validate_json(sys.argv[1]), Path(sys.argv[2]), print):
    worker = psutil.Process(ray.get(ray.remote(lambda: os.getpid()).remote()))
    found = [worker, psutil.Process(), *psutil.Process().children(recursive=True)]
    print(json.dumps([
        [process.name(), connection.laddr.ip]
        for process in found
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]))
"""


def placement(**changes: object) -> Placement:
    asked = {"field": "hardware", "address": None, "nodes": 1, "cpus": 1, "gpus": 1}
    rest = {"needs_gpus": False, "timeout_seconds": 60.0, "store": "/nowhere"}
    return Placement.model_validate(asked | rest | changes)


@pytest.mark.parametrize(
    ("needs_gpus", "gpus_of_nodes", "expected"),
    [
        (False, [0, 0], 0),
        (False, [0, 8], 0),  # all ranks compute on the same kind of device
        (False, [8, 8], 4),
        (True, [0, 0], 4),
        (True, [8, 8], 4),
    ],
)
def test_a_float32_recipe_takes_gpus_where_a_cluster_has_enough(
    needs_gpus, gpus_of_nodes, expected, monkeypatch
):
    from infra.cluster import on_ray

    nodes = [{"Alive": True, "Resources": {"CPU": 8.0, "GPU": float(n)}} for n in gpus_of_nodes]
    monkeypatch.setattr(on_ray.ray, "nodes", lambda: nodes)
    asked = placement(nodes=2, gpus=4, needs_gpus=needs_gpus, address="127.0.0.1:1")
    found = on_ray.settled(asked)
    assert found.gpus == expected
    assert on_ray.bundle(found).get("GPU", 0) == expected


@pytest.mark.slow
def test_a_ray_of_ones_own_listens_on_the_loopback_address_alone():
    asked = placement()
    with ray_folder() as folder:
        command = [sys.executable, "-c", LISTENING, asked.model_dump_json(), str(folder)]
        environment = ray_environment(asked, folder, os.environ)
        done = subprocess.run(
            command,
            cwd=PROJECT_ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=True,
        )
    listening = json.loads(done.stdout.splitlines()[-1])
    assert {"raylet", "gcs_server"} <= {name for name, _ in listening}
    addresses = {ip_address(address) for _, address in listening}
    assert all((getattr(one, "ipv4_mapped", None) or one).is_loopback for one in addresses)
