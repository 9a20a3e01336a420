import json
import signal
import socket
import subprocess
import sys
import time
from threading import Thread

import httpx
import psutil
import pytest
from prefect.states import Cancelled, Running

from contracts.errors import ServiceError
from flows import cli
from infra import services
from infra.access import api_client
from infra.settings import DEPLOYMENT, POOL, Settings
from infra.worker import WORKER_LABEL
from tests.flows.conftest import Services
from tests.flows.observed import ended


def state(settings: Settings, name: str) -> dict:
    return json.loads((settings.home / "services" / f"{name}.json").read_text())


def family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def test_a_port_in_use_is_one_clear_error_and_starts_nothing(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        settings = Settings(home=tmp_path, store_uri=str(tmp_path / "store"), port=port)
        with pytest.raises(ServiceError) as caught:
            services.up(settings)
    assert f"Port {port} is taken" in caught.value.what
    assert "REVISUAL_PORT" in caught.value.fix
    assert not services.is_running(settings, "server")


def test_down_spares_a_process_that_only_has_the_number_of_ours(tmp_path):
    settings = Settings(home=tmp_path, store_uri=str(tmp_path / "store"), port=1)
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        started = psutil.Process(stranger.pid).create_time()
        values = {"pid": stranger.pid, "started": started - 1, "port": 1, "store": "x"}
        (tmp_path / "services").mkdir()
        (tmp_path / "services" / "server.json").write_text(json.dumps(values))
        assert services.down(settings) == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


# A worker whose run saves until a file is there, or ten minutes have passed.
SAVING = """
import pathlib, signal, sys, time

def save(*_):
    (folder / "told").touch()
    end = time.monotonic() + 600
    while not (folder / "saved").exists() and time.monotonic() < end:
        time.sleep(0.02)
    sys.exit(0)

folder = pathlib.Path(sys.argv[1])
signal.signal(signal.SIGTERM, save)
(folder / "ready").touch()
time.sleep(600)
"""


def test_while_a_worker_saves_down_says_that_it_waits_and_up_refuses(tmp_path, monkeypatch, capsys):
    def wait_for(name: str) -> None:
        while not (tmp_path / name).exists():
            assert worker.poll() is None
            time.sleep(0.02)

    monkeypatch.setenv("REVISUAL_HOME", str(tmp_path))
    (tmp_path / "services").mkdir()
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        subprocess.Popen([sys.executable, "-c", SAVING, str(tmp_path)]) as worker,
    ):
        settings = Settings(tmp_path, str(tmp_path / "store"), other.getsockname()[1])
        wait_for("ready")
        started = psutil.Process(worker.pid).create_time()
        values = {"pid": worker.pid, "started": started, "store": settings.store_uri}
        (tmp_path / "services" / "worker.json").write_text(
            json.dumps(values | {"port": settings.port})
        )
        stopping = Thread(target=cli.down)
        stopping.start()
        try:
            wait_for("told")
            assert capsys.readouterr().out.endswith("first: 59 minutes at most.\n")
            with pytest.raises(ServiceError, match="The worker was told to stop"):
                services.up(settings)
        finally:
            (tmp_path / "saved").touch()
            stopping.join()
    assert capsys.readouterr().out == "Stopped: worker.\n"
    with (
        pytest.raises(ServiceError, match="is taken by another program"),
        socket.create_server(("127.0.0.1", settings.port)),
    ):
        services.up(settings)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_up_and_down_twice_in_a_row(stopped):
    settings = stopped.settings

    def up() -> list[psutil.Process]:
        first = stopped.cli("up")
        assert first.returncode == 0, first.stderr
        assert settings.ui_url in first.stdout
        assert f"a password: the line in {settings.home / 'credential'}" in first.stdout
        return [one for pid in pids(settings).values() for one in family(pid)]

    def down(processes: list[psutil.Process]) -> None:
        assert stopped.cli("down").stdout.endswith(" at most.\nStopped: worker, server.\n")
        _, alive = psutil.wait_procs(processes, timeout=300)
        assert alive == []
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{settings.api_url}/health")

    up()
    require_loopback(settings)
    require_the_same_services(stopped)
    require_a_new_worker(stopped)
    # What somebody removed is deployed again.
    with api_client(settings) as client:
        made = client.read_deployment_by_name(DEPLOYMENT)
        client.delete_deployment(made.id)
        assert stopped.cli("up").returncode == 0
        assert client.read_deployment_by_name(DEPLOYMENT).id != made.id
    down([one for pid in pids(settings).values() for one in family(pid)])
    assert stopped.cli("down").stdout == "Nothing was running.\n"

    processes = up()
    # A person types this in the project's folder, with nothing exported.
    listed = stopped.prefect("deployment", "ls")
    assert "revisual/full" in listed.stdout, listed.stderr
    down(processes)


def pids(settings: Settings) -> dict[str, int]:
    return {name: state(settings, name)["pid"] for name in ("server", "worker")}


def require_loopback(settings: Settings) -> None:
    listening = {
        connection.laddr.ip
        for pid in pids(settings).values()
        for process in family(pid)
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def require_the_same_services(started: Services) -> None:
    """Nothing is started or deployed again; other settings are refused."""
    settings = started.settings
    before = pids(settings)
    with api_client(settings) as client:
        made = client.read_deployment_by_name(DEPLOYMENT)
        assert started.cli("up").returncode == 0
        assert client.read_deployment_by_name(DEPLOYMENT).updated == made.updated
    assert pids(settings) == before

    started.environment["REVISUAL_STORE"] = "/somewhere/else"
    refused = started.cli("up")
    del started.environment["REVISUAL_STORE"]
    assert refused.returncode == 1
    assert "The server is up with store" in refused.stderr
    assert "make down" in refused.stderr


def require_a_new_worker(started: Services) -> None:
    """A worker that was killed is started again; its supervisor leaves nothing behind."""
    settings = started.settings
    before = pids(settings)
    tree = family(before["worker"])
    psutil.Process(before["worker"]).children()[0].send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(tree, timeout=300)
    assert alive == []
    # Nobody is left to tell how this one ended; the other belongs to a worker elsewhere.
    with api_client(settings) as client:
        deployment = client.read_deployment_by_name(DEPLOYMENT)
        orphan, other = (
            client.create_flow_run_from_deployment(deployment.id, state=Running()).id
            for _ in range(2)
        )
        client.update_flow_run_labels(orphan, {WORKER_LABEL: POOL})
        client.update_flow_run_labels(other, {WORKER_LABEL: "elsewhere"})
        assert started.cli("up").returncode == 0
        assert ended(started, orphan).is_crashed()
        assert client.read_flow_run(other).state.is_running()
        client.set_flow_run_state(other, Cancelled(), force=True)
    after = pids(settings)
    assert after["worker"] != before["worker"]
    assert after["server"] == before["server"]
