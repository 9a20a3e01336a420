"""The local Prefect server and worker: `up` starts them, `down` stops them, and only them.

Each runs under the supervisor in a session of its own, with its output in a log file. What was
started is remembered as process id and start time, so that a process id used again by somebody
else is never mistaken for ours.
"""

import fcntl
import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from contracts.errors import ServiceError
from contracts.graces import WORKER_GRACE_SECONDS
from infra.access import (
    PRIVATE_UMASK,
    api_client,
    credential,
    make_credential,
    make_private,
    temporary_folder,
    without_proxy,
    write_private,
)
from infra.settings import (
    ABLATION,
    CURATION,
    DEPLOYMENT,
    EVALUATION,
    POOL,
    PROJECT_ROOT,
    Settings,
)
from infra.supervisor import GRACE_SECONDS

HEALTHY_WITHIN_SECONDS = 300  # 12 to 35 on a quiet machine, minutes on a busy one
HEARTBEAT_SECONDS = 30  # of a run; the shortest that Prefect allows
# A worker that has lost the server asks it so often for cancelled runs, and gives that up for good
# after three vain tries. Prefect's 10 do not outlast a restart of the server.
ASK_SECONDS = 60
LEASES_ON_DISK = "prefect.server.concurrency.lease_storage.filesystem"
POLL_SECONDS = 0.25
GRACES = {"server": GRACE_SECONDS, "worker": WORKER_GRACE_SECONDS}
# Of every worker and its runs, on whichever machine.
WORKER_VARIABLES = {
    "PREFECT_WORKER_QUERY_SECONDS": "2",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
    "PREFECT_RUNNER_POLL_FREQUENCY": str(ASK_SECONDS),
    "DO_NOT_TRACK": "1",
    "PYTHONUNBUFFERED": "1",
}
# What a deployment says: its steps, and the flow's parameters with their types.
DEPLOYED_FROM = (
    *("prefect.yaml", "flows/full.py", "flows/curate.py", "flows/evaluate.py"),
    "flows/ablation.py",
    *("tasks/keys.py", "training/recipe/grid.py"),
)


def up(settings: Settings) -> None:
    """Starts what is not running yet, and deploys.

    Raises:
        ServiceError: The port is taken, a service is stopping, or does not come up.
    """
    make_private(settings.home)
    make_private(temporary_folder(settings))
    _refuse_stopping(settings)  # before the lock: `down` holds it as long as runs save
    with _lock(settings):
        _refuse_stopping(settings)  # again: a `down` that was interrupted meanwhile
        _refuse_other_settings(settings)
        if not is_running(settings, "server"):
            _refuse_taken_port(settings)
            make_credential(settings)
            _start(settings, "server", [*_python("infra.server"), str(settings.port)])
        _write_profile(settings)
        _wait_until_healthy(settings)
        _prepare_server(settings)
        if not (is_running(settings, "worker") and _is_deployed(settings)):
            _deploy(settings)
        if not is_running(settings, "worker"):
            # By the same name each time: the machine's own may change.
            _start(settings, "worker", [*_python("infra.worker"), "--name", POOL])


def down(settings: Settings) -> list[str]:
    """Stops what `up` started; returns the names of what was running.

    Runs save and store first: seconds, or as long as their stages' grace and an upload.
    """
    with _lock(settings):
        # The worker first: its runs still need the server to say how they ended.
        return [name for name in ("worker", "server") if _stop(settings, name)]


def is_running(settings: Settings, name: str) -> bool:
    """Whether the service that `up` started is still alive."""
    return _process(settings, name) is not None


def log_path(settings: Settings, name: str) -> Path:
    """Where a service's output goes."""
    return settings.home / "services" / f"{name}.log"


def environment(settings: Settings) -> dict[str, str]:
    """The environment of the server, the worker and whatever they start."""
    return {
        **os.environ,
        **without_proxy(os.environ),
        "REVISUAL_HOME": str(settings.home),
        "REVISUAL_STORE": settings.store_uri,
        "REVISUAL_PORT": str(settings.port),
        "PREFECT_HOME": str(settings.prefect_home),
        "PREFECT_LOCAL_STORAGE_PATH": str(settings.prefect_home / "storage"),
        "PREFECT_MEMO_STORE_PATH": str(settings.prefect_home / "memo_store.toml"),
        "PREFECT_API_URL": settings.api_url,
        "PREFECT_UI_STATIC_DIRECTORY": str(settings.prefect_home / "ui"),
        "TMPDIR": str(temporary_folder(settings)),
        "PREFECT_API_AUTH_STRING": credential(settings),
        "PREFECT_SERVER_API_AUTH_STRING": credential(settings),
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": settings.ui_url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        # In memory, Prefect's default, a restart of the server would lose the run's place among the
        # deployment's runs, and minutes later end the run for it.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES_ON_DISK,
        **WORKER_VARIABLES,
    }


def pool_environment(settings: Settings) -> dict[str, str]:
    """The environment of a worker of another pool, and whatever it starts.

    It works for this machine's server, or for the one whose `PREFECT_API_URL` is given.

    Raises:
        ServiceError: No other server is given, and none was started here.
    """
    if "PREFECT_API_URL" not in os.environ:
        return environment(settings)
    make_private(settings.home)
    make_private(temporary_folder(settings))
    return {
        **os.environ,
        "REVISUAL_HOME": str(settings.home),
        "REVISUAL_STORE": settings.store_uri,
        "PREFECT_HOME": str(settings.prefect_home),
        "TMPDIR": str(temporary_folder(settings)),
        **WORKER_VARIABLES,
    }


def _start(settings: Settings, name: str, command: list[str]) -> None:
    log = log_path(settings, name)
    with log.open("wb") as output:
        supervisor = subprocess.Popen(
            [*_python("infra.supervisor"), "--grace", str(GRACES[name]), "--", *command],
            cwd=PROJECT_ROOT,
            env=environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=PRIVATE_UMASK,
        )
    started = psutil.Process(supervisor.pid).create_time()
    values = {"pid": supervisor.pid, "started": started, "store": settings.store_uri}
    _write_state(settings, name, values | {"port": settings.port})


def _stop(settings: Settings, name: str) -> bool:
    process = _process(settings, name)
    if process is not None:
        _write_state(settings, name, (_state(settings, name) or {}) | {"is_stopping": True})
        process.terminate()
        process.wait(timeout=2 * GRACES[name] + 30)
    _state_path(settings, name).unlink(missing_ok=True)
    return process is not None


def _process(settings: Settings, name: str) -> psutil.Process | None:
    """Our supervisor of a service, if it lives."""
    state = _state(settings, name)
    if state is None:
        return None
    try:
        process = psutil.Process(int(str(state["pid"])))
        ours = process.create_time() == state["started"]
        return process if ours and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def _state(settings: Settings, name: str) -> dict[str, object] | None:
    try:
        values: dict[str, object] = json.loads(_state_path(settings, name).read_text())
    except FileNotFoundError:
        return None
    return values


def _write_state(settings: Settings, name: str, values: Mapping[str, object]) -> None:
    path = _state_path(settings, name)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(values))
    partial.replace(path)  # it is read without the lock, too


def _state_path(settings: Settings, name: str) -> Path:
    return settings.home / "services" / f"{name}.json"


@contextmanager
def _lock(settings: Settings) -> Iterator[None]:
    """One `up` or `down` at a time."""
    folder = settings.home / "services"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _refuse_stopping(settings: Settings) -> None:
    """It lives, and takes no runs any more: to start another beside it would cost what it saves."""
    for name in ("worker", "server"):
        state = _state(settings, name)
        if state is not None and "is_stopping" in state and is_running(settings, name):
            raise ServiceError(
                f"The {name} was told to stop, and has not ended yet.",
                where=f"process {state['pid']}; its log: {log_path(settings, name)}",
                rule="a worker ends when its runs have saved and stored; nothing starts before",
                fix="make down, which waits for that; then start again",
            )


def _refuse_other_settings(settings: Settings) -> None:
    """What is up keeps the settings it was started with: say so instead of ignoring new ones."""
    for name in ("server", "worker"):
        state = _state(settings, name)
        if state is None or not is_running(settings, name):
            continue
        now = {"port": settings.port, "store": settings.store_uri}
        for setting, value in now.items():
            if state[setting] != value:
                raise ServiceError(
                    f"The {name} is up with {setting} {state[setting]}, not {value}.",
                    where=f"REVISUAL_{setting.upper()}",
                    rule="what is up keeps the settings that it was started with",
                    fix="make down, then start again",
                )


def _refuse_taken_port(settings: Settings) -> None:
    with socket.socket() as probe:
        # As the server does: connections of an earlier server that are still closing do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", settings.port))
        except OSError as error:
            raise ServiceError(
                f"Port {settings.port} is taken by another program.",
                where=f"127.0.0.1:{settings.port}",
                rule="the Prefect server needs a free port",
                fix=f"stop that program, or choose a port: REVISUAL_PORT={settings.port + 1}",
            ) from error


def _write_profile(settings: Settings) -> None:
    """Tells every `prefect` command in the project's folder where this server is."""
    make_private(settings.prefect_home)
    write_private(
        settings.prefect_home / "profiles.toml",
        f'active = "{POOL}"\n\n[profiles.{POOL}]\n'
        f'PREFECT_API_URL = "{settings.api_url}"\n'
        f'PREFECT_API_AUTH_STRING = "{credential(settings)}"\n'
        f"PREFECT_HOME = {json.dumps(str(settings.prefect_home))}\n",
    )


def _wait_until_healthy(settings: Settings) -> None:
    deadline = time.monotonic() + HEALTHY_WITHIN_SECONDS
    while time.monotonic() < deadline and is_running(settings, "server"):
        try:
            if httpx.get(f"{settings.api_url}/health", timeout=5, trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(POLL_SECONDS)
    raise _not_up(settings, "server")


def _prepare_server(settings: Settings) -> None:
    from infra.prepare_server import prepare_server  # imports Prefect, which takes seconds

    with api_client(settings) as client:
        prepare_server(client)


def _deploy(settings: Settings) -> None:
    result = subprocess.run(
        [*_python("prefect"), "--no-prompt", "deploy", "--all"],
        cwd=PROJECT_ROOT,
        env=environment(settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        log_path(settings, "deploy").write_text(result.stdout + result.stderr)
        raise _not_up(settings, "deploy")
    write_private(_deployed_path(settings), _deployment_digest())


def _is_deployed(settings: Settings) -> bool:
    """Whether the server has all of them, and nothing that they are made of has changed since."""
    path = _deployed_path(settings)
    if not path.is_file() or path.read_text(encoding="utf-8") != _deployment_digest():
        return False
    from prefect.exceptions import ObjectNotFound  # takes seconds

    with api_client(settings) as client:
        try:
            for name in (DEPLOYMENT, CURATION, EVALUATION, ABLATION):
                client.read_deployment_by_name(name)
        except ObjectNotFound:
            return False
    return True


def _deployed_path(settings: Settings) -> Path:
    return settings.home / "services" / "deployed"


def _deployment_digest() -> str:
    texts = [(PROJECT_ROOT / name).read_bytes() for name in DEPLOYED_FROM]
    return hashlib.sha256(b"\0".join(texts)).hexdigest()


def _not_up(settings: Settings, name: str) -> ServiceError:
    log = log_path(settings, name)
    tail = log.read_text(errors="replace").splitlines()[-15:]
    return ServiceError(
        "\n".join([f"The Prefect {name} failed; the end of its log:", *tail]),
        where=str(log),
        rule="make up starts a server and a worker, and deploys to them",
        fix="read the log; make down, then try again",
    )


def _python(module: str) -> list[str]:
    return [sys.executable, "-m", module]
