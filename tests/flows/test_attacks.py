"""Attacks on the Prefect server of `make up`, replayed: without its credential nothing is run.

And what a credential gives: this project's flow, and no command that a request brings along. Last,
runs that fail with secrets planted around them (`test_run.py` has one that completes).
"""

import asyncio
import http.client
import json
import os
import re
import socket
import stat
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import UUID

import httpx
import psutil
import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State
from prefect.deployments.steps.core import run_steps
from prefect.settings import PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS, temporary_settings
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from infra.access import api_client, credential, credential_path
from infra.worker import FLOWS, STEPS
from tests.flows.conftest import ROOT, Services
from tests.flows.planted import (
    ENDPOINT,
    IN_ENVIRONMENT,
    SECRETIVE_FIELDS,
    require_hidden,
    secretive,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
NOBODY = 65534
# Probes that must answer without a credential, and say nothing.
OPEN = {("GET", "/health"), ("GET", "/ready")}
SOCKETS = (
    "/events/in",
    "/events/out",
    "/logs/out",
    "/task_runs/subscriptions/scheduled",
    "/work_pools/revisual/workers/connect",
)
FOREIGN = "http://evil.example"
# A page needs no preflight for a form's POST: its type is text/plain, its body anything.
PAGE = {"Origin": FOREIGN, "Content-Type": "text/plain"}
REQUESTS = {
    "without a credential": {},
    "a form in a foreign page": PAGE,
    "a foreign page that is told nothing of where it runs": PAGE | {"Origin": "null"},
    "a wrong password": {"Authorization": httpx.BasicAuth("revisual", "x")._auth_header},
    "an empty password": {"Authorization": httpx.BasicAuth("revisual", "")._auth_header},
    "another scheme": {"Authorization": "Bearer revisual"},
}
# A page that has its name lead to our address, once it is loaded, is no foreign origin there.
REBOUND = {"Host": "evil.example:4200", "Origin": f"{FOREIGN}:4200"}


@pytest.fixture(scope="module")
def services(tmp_path_factory, started_services):
    home = tmp_path_factory.mktemp("attack") / "home"
    with started_services(home, **IN_ENVIRONMENT) as services:
        yield services


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """Whoever runs a command leaves this file."""
    return tmp_path / "ran"


def shell_steps(marker: Path) -> list[dict]:
    return [{"prefect.deployments.steps.run_shell_script": {"script": f"touch {marker}"}}]


def attack(post: Callable[[str, dict], httpx.Response], marker: Path) -> list[httpx.Response]:
    """A deployment in the project's pool whose steps run a command, and a run of it at once."""
    flow = post("/flows/", {"name": "harmless"})
    flow_id = flow.json()["id"] if flow.is_success else str(UUID(int=1))
    deployment = post(
        "/deployments/",
        {
            "name": "harmless",
            "flow_id": flow_id,
            "entrypoint": FLOWS["full"],
            "work_pool_name": "revisual",
            "pull_steps": shell_steps(marker),
        },
    )
    deployment_id = deployment.json()["id"] if deployment.is_success else str(UUID(int=2))
    run = post(f"/deployments/{deployment_id}/create_flow_run", {})
    return [flow, deployment, run]


def sender(services: Services, headers: dict[str, str], **options):
    def post(path: str, body: dict) -> httpx.Response:
        content, url = json.dumps(body), services.settings.api_url + path
        return httpx.post(url, content=content, headers=headers, timeout=60, **options)

    return post


def ended(client: SyncPrefectClient, run_id: UUID) -> State:
    deadline = time.monotonic() + 300
    while not (run := client.read_flow_run(run_id)).state.is_final():
        assert time.monotonic() < deadline, run.state
        time.sleep(0.5)
    return run.state


def as_nobody(work: Callable[[], object]) -> object:
    """What another user of this machine gets; exceptions come back by their names."""
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            answer = work()
        except BaseException as error:  # noqa: BLE001
            answer = type(error).__name__
        os.write(write, json.dumps(answer).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answers:
        text = answers.read()
    os.waitpid(child, 0)
    return json.loads(text)


@pytest.mark.parametrize("headers", REQUESTS.values(), ids=REQUESTS.keys())
def test_nobody_without_the_credential_creates_anything(services, marker, headers):
    answers = attack(sender(services, headers), marker)
    assert [answer.status_code for answer in answers] == [401, 401, 401]
    assert not any("access-control-allow-origin" in answer.headers for answer in answers)
    with api_client(services.settings) as client:
        assert [flow.name for flow in client.read_flows()] == ["revisual"]
        assert client.read_flow_runs() == []


def test_a_foreign_name_for_our_address_gets_nothing_even_with_the_credential(services, marker):
    for known in (None, services.credential):
        answers = attack(sender(services, REBOUND, auth=known), marker)
        assert [answer.status_code for answer in answers] == [400, 400, 400]
    assert httpx.get(services.settings.ui_url, headers=REBOUND).status_code == 400
    with (
        socket.create_connection(("127.0.0.1", services.settings.port)) as ours,
        pytest.raises(InvalidStatus, match="400"),
    ):
        connect("ws://evil.example/api/events/in", sock=ours, subprotocols=["prefect"])


def test_every_address_of_the_api_asks_for_the_credential(services):
    """Also those that a later version of Prefect adds."""
    paths = httpx.get(f"{services.settings.ui_url}/openapi.json", timeout=60).json()["paths"]
    with httpx.Client(timeout=60) as client:
        answers = {
            (method.upper(), path): client.request(
                method.upper(), services.settings.api_url + re.sub(r"\{.*?\}", "x", path)
            ).status_code
            for path, methods in paths.items()
            for method in methods
        }
    assert len(answers) > 150
    assert {asked for asked, code in answers.items() if code != 401} == OPEN


@pytest.mark.parametrize("path", SOCKETS)
def test_every_socket_asks_for_the_credential(services, path):
    address = services.settings.api_url.replace("http:", "ws:") + path
    for token in (None, "", "revisual:x"):
        with pytest.raises(ConnectionClosed), connect(address, subprotocols=["prefect"]) as opened:
            opened.send(json.dumps({"type": "auth", "token": token}))
            opened.recv(timeout=60)
    with pytest.raises((ConnectionClosed, InvalidStatus)), connect(address) as opened:
        opened.recv(timeout=60)


def test_the_sockets_that_are_tried_are_all():
    from prefect.server.api.server import API_ROUTERS
    from starlette.routing import WebSocketRoute

    routes = [route for router in API_ROUTERS for route in router.routes]
    paths = {route.path for route in routes if isinstance(route, WebSocketRoute)}
    assert {path.replace("{work_pool_name}", "revisual") for path in paths} == set(SOCKETS)


def test_a_foreign_page_may_not_even_ask(services):
    for origin, code in ((FOREIGN, 400), (services.settings.ui_url, 200)):
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        answer = httpx.options(f"{services.settings.api_url}/flows/", headers=asked)
        assert answer.status_code == code
        assert answer.headers.get("access-control-allow-origin", origin) == origin


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
def test_another_user_of_the_machine_gets_nothing(services):
    home, port = services.settings.home, services.settings.port
    supervisors = [json.loads(path.read_text())["pid"] for path in home.glob("services/*.json")]
    (server, *_) = psutil.Process(supervisors[0]).children(recursive=True)

    def post() -> int:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", "/api/flows/", json.dumps({"name": "harmless"}))
        return connection.getresponse().status

    # Once as ourselves: what Python still loads for it, the other user may not read.
    assert post() == as_nobody(post) == 401
    # As if the folders around the home were open to all; in pytest's they are not.
    inside = os.open(home, os.O_PATH)
    names = ["credential", "prefect/profiles.toml", "prefect/prefect.db", "services/worker.log"]
    for name in names:
        assert (home / name).is_file()
        opened = partial(os.open, name, os.O_RDONLY, dir_fd=inside)
        assert as_nobody(opened) == "PermissionError"
    os.close(inside)
    environ = Path(f"/proc/{server.pid}/environ")
    assert credential(services.settings) in environ.read_text()
    assert as_nobody(environ.read_text) == "PermissionError"


def test_files_are_their_owners_alone_and_the_credential_is_in_no_command_line(services):
    home = services.settings.home
    written = [home, *(path for path in home.rglob("*") if not path.is_symlink())]
    shared = {str(path) for path in written if stat.S_IMODE(path.lstat().st_mode) & 0o077}
    assert {path for path in shared if "/prefect/ui/" not in path} == set()  # Prefect's own pages
    assert stat.S_IMODE(credential_path(services.settings).stat().st_mode) == 0o600
    require_hidden(services, [])


def test_the_command_of_these_attacks_works(marker):
    # It starts a server of its own for this, which takes long on a machine that has much to do.
    with temporary_settings({PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS: 300}):
        asyncio.run(run_steps(shell_steps(marker)))
    assert marker.exists()


def test_with_the_credential_a_foreign_deployment_is_not_run(services, marker):
    post = sender(services, {}, auth=services.credential)
    answers = attack(post, marker)
    assert [answer.status_code for answer in answers] == [201, 201, 201]
    with api_client(services.settings) as client:
        state = ended(client, UUID(answers[-1].json()["id"]))
        client.delete_deployment(UUID(answers[1].json()["id"]))
        client.delete_flow(UUID(answers[0].json()["id"]))
    assert state.is_crashed()
    assert "not one of the project's deployment" in state.message
    assert "rule:" in state.message
    assert not marker.exists()


def test_with_the_credential_a_run_brings_no_command_of_its_own(services, marker):
    with api_client(services.settings) as client:
        deployment = client.read_deployment_by_name("revisual/full")
        run = client.create_flow_run_from_deployment(
            deployment.id,
            parameters={"recipe": "nowhere"},
            job_variables={
                "command": f"touch {marker}",
                "working_dir": str(marker.parent),
                "env": {"PREFECT__FLOW_ENTRYPOINT": "os.getcwd", "PYTHONPATH": str(marker.parent)},
            },
        )
        state = ended(client, run.id)
        # This project's flow, as ever: it looked for the recipe.
        assert "There is no recipe nowhere." in state.message

        unknown = client.create_flow_run_from_deployment(deployment.id, parameters={"nonsense": 1})
        message = ended(client, unknown.id).message
    assert "The flow has no parameter nonsense." in message
    assert "its parameters are digest, recipe, reuse, seed" in message
    assert not marker.exists()


def test_a_recipe_that_holds_secrets_is_refused_and_shown_nowhere(services, recipes, tmp_path):
    """Given by hand: it is the worker that finds it, and the message goes to the database."""
    path = secretive(recipes, tmp_path)
    with api_client(services.settings) as client:
        deployment = client.read_deployment_by_name("revisual/full")
        run = client.create_flow_run_from_deployment(deployment.id, parameters={"recipe": path})
        state = ended(client, run.id)
    assert all(field in state.message for field in SECRETIVE_FIELDS)
    require_hidden(services, [state.message])


def test_a_run_that_fails_shows_no_secret(services, recipes, free_port):
    """Nothing answers at the endpoint whose address has the keys in it."""
    away = {
        "REVISUAL_STORE": "s3://bucket/prefix",
        "AWS_ENDPOINT_URL": f"{ENDPOINT}:{free_port}",
        "PREFECT_API_URL": services.settings.api_url,
        "NO_PROXY": "127.0.0.1",
    }
    elsewhere = replace(services, environment=services.environment | away)
    flow = "import sys; from flows.full import full; full(recipe=sys.argv[1])"
    done = elsewhere.run("-c", flow, str(recipes / "tiny.toml"))
    assert done.returncode == 1
    assert "StoreError: The store s3://bucket/prefix cannot be used" in done.stderr
    require_hidden(services, [done.stdout, done.stderr])


def test_the_deployments_that_the_worker_knows_are_those_of_prefect_yaml():
    project = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    assert project["pull"] == STEPS
    assert {one["name"]: one["entrypoint"] for one in project["deployments"]} == FLOWS
