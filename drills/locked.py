"""How often the Prefect server's database is locked: `python -m drills.locked` prints a table.

The same load goes to Prefect's own server and to `infra.server`: 16 clients that do nothing but
report runs, tasks, logs and events, while two processes keep the cores busy.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from infra import services
from infra.access import credential, make_credential, make_private, temporary_folder
from infra.seaweed import free_ports
from infra.settings import PROJECT_ROOT, Settings

NUM_CLIENTS = 16
NUM_HOGS = 2
NUM_TASKS = 3
NUM_LOG_LINES = 20
NUM_EVENTS = 5
LOCKED = "database is locked"
STARTED_WITHIN_SECONDS = 300


class Load:
    """Clients of one server, and what it answered them.

    Args:
        settings: The server's.
        seconds: How long they go on.
    """

    def __init__(self, settings: Settings, seconds: float) -> None:
        self._settings = settings
        self._end = time.monotonic() + seconds
        self.answers: Counter[str] = Counter()
        self.slowest_seconds = 0.0

    def run(self) -> None:
        """Returns when every client has ended."""
        clients = [threading.Thread(target=self._client) for _ in range(NUM_CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()

    def _client(self) -> None:
        user, _, password = credential(self._settings).partition(":")
        with httpx.Client(
            base_url=self._settings.api_url, auth=(user, password), timeout=120
        ) as client:
            while time.monotonic() < self._end:
                # What the server did not take counts as an answer; the run is left as it is.
                with suppress(httpx.HTTPError):
                    self._report_run(client)

    def _report_run(self, client: httpx.Client) -> None:
        flow = self._post(client, "/flows/", {"name": "load"})["id"]
        run = self._post(client, "/flow_runs/", {"flow_id": flow} | _state("PENDING"))["id"]
        self._post(client, f"/flow_runs/{run}/set_state", _state("RUNNING"))
        for number in range(NUM_TASKS):
            task = {"flow_run_id": run, "task_key": "task", "dynamic_key": str(number)}
            created = self._post(client, "/task_runs/", task | _state("PENDING"))["id"]
            self._post(client, f"/task_runs/{created}/set_state", _state("RUNNING"))
            self._post(client, "/logs/", [_log_line(run)] * NUM_LOG_LINES)
            self._post(client, "/events", [_event(run) for _ in range(NUM_EVENTS)])
            self._post(client, f"/task_runs/{created}/set_state", _state("COMPLETED"))
        self._post(client, f"/flow_runs/{run}/set_state", _state("COMPLETED"))

    def _post(self, client: httpx.Client, path: str, body: object) -> dict[str, Any]:
        before = time.monotonic()
        try:
            answer = client.post(path, json=body)
        except httpx.TransportError:
            self.answers["none"] += 1
            raise
        self.answers[str(answer.status_code)] += 1
        self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - before)
        answer.raise_for_status()
        values: dict[str, Any] = answer.json() if answer.content else {}
        return values


def _state(kind: str) -> dict[str, Any]:
    return {"state": {"type": kind}}


def _log_line(run: str) -> dict[str, Any]:
    return {"name": "load", "level": 20, "message": "x" * 80, "flow_run_id": run, "timestamp": NOW}


def _event(run: str) -> dict[str, Any]:
    resource = {"prefect.resource.id": f"prefect.flow-run.{run}"}
    return {"occurred": NOW, "event": "load", "resource": resource, "id": str(uuid4())}


NOW = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


@contextmanager
def server(settings: Settings, command: list[str]) -> Iterator[Path]:
    """Starts a server with a database of its own; gives its log."""
    make_private(settings.home)
    make_credential(settings)
    make_private(temporary_folder(settings))
    told = {"PREFECT_API_LOG_RETRYABLE_ERRORS": "true", "PREFECT_UI_ENABLED": "false"}
    log = settings.home / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=PROJECT_ROOT,
            env=services.environment(settings) | told,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + STARTED_WITHIN_SECONDS
        while not _answers(settings):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text())
            time.sleep(0.5)
        yield log
    finally:
        process.terminate()
        process.wait()


def _answers(settings: Settings) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{settings.api_url}/health").is_success
    return False


@contextmanager
def busy_cores() -> Iterator[None]:
    """Keeps the cores busy, as trainings do."""
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(NUM_HOGS)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


def row(name: str, home: Path, own: bool, seconds: float) -> str:
    """One server's line of the table."""
    port = free_ports(1)[0]
    settings = Settings(home=home, store_uri=str(home / "store"), port=port)
    theirs = ["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with server(settings, ["infra.server", str(port)] if own else theirs) as log:
        load = Load(settings, seconds)
        with busy_cores():
            load.run()
    print(name, json.dumps(load.answers), file=sys.stderr)
    taken = sum(count for code, count in load.answers.items() if code.startswith("2"))
    failed = load.answers.total() - taken
    locked = log.read_text(errors="replace").count(LOCKED)
    return f"| {name} | {taken} | {failed} | {locked} | {load.slowest_seconds:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="drills.locked", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="of load, for each server")
    options = parser.parse_args()
    print(f"| server | requests taken | failed | lines `{LOCKED}` | slowest answer, s |")
    print("|---|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for name, own in (("`prefect server start`", False), ("`infra.server`", True)):
            print(row(name, Path(folder) / str(own), own, options.seconds), flush=True)


if __name__ == "__main__":
    main()
