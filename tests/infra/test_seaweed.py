"""Ports that are still free when they are used, and a server whose ports were taken before."""

import socket
from pathlib import Path

import pytest

from infra import seaweed
from infra.seaweed import free_ports, seaweed_server


def test_nobody_who_asks_for_any_port_is_given_a_free_one():
    lowest, _ = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    ports = free_ports(50)
    assert len(set(ports)) == 50 and max(ports) < int(lowest)


def test_a_port_that_is_taken_is_not_free(monkeypatch):
    (taken, free) = free_ports(2)
    with socket.socket() as held:
        held.bind(("127.0.0.1", taken))
        monkeypatch.setattr(seaweed, "PORTS", [taken, free])
        assert free_ports(1) == [free]


@pytest.mark.slow
def test_a_server_whose_ports_were_taken_meanwhile_tries_others(tmp_path, monkeypatch):
    found = [free_ports(10), free_ports(10)]
    server_port = found[1][3]
    with socket.create_server(("127.0.0.1", found[0][3])):  # it does not answer
        monkeypatch.setattr(seaweed, "free_ports", lambda count: found.pop(0))
        with seaweed_server(tmp_path) as server:
            assert server.environment["AWS_ENDPOINT_URL"].endswith(f":{server_port}")
    assert not found
