"""Runs and processes as a person would look at them: states at the server, trees of processes."""

import json
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from uuid import UUID

import httpx
import psutil
from prefect.client.schemas.objects import Artifact, FlowRun, State
from prefect.states import Cancelling

from infra.access import api_client, credential
from tests.flows.conftest import Services


def supervisor(services: Services, name: str) -> psutil.Process:
    path = services.settings.home / "services" / f"{name}.json"
    return psutil.Process(json.loads(path.read_text())["pid"])


def with_command(processes: Iterable[psutil.Process], text: str) -> list[psutil.Process]:
    found = []
    for process in processes:
        try:
            if text in " ".join(process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def wait_for_run(services: Services, run_id: UUID, condition: Callable[[FlowRun], bool]) -> State:
    deadline = time.monotonic() + 900
    with api_client(services.settings) as client:
        while time.monotonic() < deadline:
            run = client.read_flow_run(run_id)
            if condition(run):
                return run.state
            time.sleep(0.5)
    raise AssertionError(f"the run is still {run.state.name}")


def ended(services: Services, run_id: UUID) -> State:
    return wait_for_run(services, run_id, lambda run: run.state.is_final())


def retry(services: Services, run_id: UUID, until: Callable[[FlowRun], bool]) -> State:
    """Retries a run that has failed, as the UI's button does, and waits.

    The worker sees the failed run's process end with code 1, and reports that as a crash: within
    seconds of the failure this may undo a retry, which is then asked for again.
    """
    with api_client(services.settings) as client:
        before = client.read_flow_run(run_id).run_count
        for _ in range(3):
            asked = services.prefect("flow-run", "retry", str(run_id))
            assert asked.returncode == 0, asked.stdout + asked.stderr
            state = wait_for_run(services, run_id, lambda run: run.state.is_final() or until(run))
            if client.read_flow_run(run_id).run_count > before:
                return state
    raise AssertionError("no retry took place")


def cancel(services: Services, run_id: UUID) -> State:
    with api_client(services.settings) as client:
        client.set_flow_run_state(run_id, Cancelling())
    return ended(services, run_id)


def saved_steps(services: Services) -> set[str]:
    store = Path(services.settings.store_uri)
    return {str(path.relative_to(store)) for path in store.glob("keys/*/step-*")}


def opened_links(services: Services, shown: Iterable[Artifact]) -> set[str]:
    """The keys of the artifacts that link to a page, each opened as a browser would."""
    user, _, password = credential(services.settings).partition(":")
    opened = set()
    for one in shown:
        if link := re.fullmatch(r"\[(.*)\]\((http.*)\)", str(one.data)):
            page = httpx.get(link[2], auth=(user, password), trust_env=False).raise_for_status()
            assert page.text == Path(link[1]).read_text()
            opened.add(str(one.key))
    return opened


def is_paused(run: FlowRun) -> bool:
    assert not run.state.is_final(), run.state.message
    return run.state.is_paused()


def wait_for_stage(services: Services) -> list[psutil.Process]:
    """Everything below the worker, once a stage's own process is among it."""
    worker = supervisor(services, "worker")
    deadline = time.monotonic() + 900
    while time.monotonic() < deadline:
        processes = worker.children(recursive=True)
        # The supervisor's own command line names the stage, too.
        if len(with_command(processes, "training.stage")) > 1:
            return processes
        time.sleep(0.5)
    raise AssertionError("no stage started")


def wait_for_the_end_of_processes(worker: psutil.Process, command: str) -> None:
    _, alive = psutil.wait_procs(
        with_command(worker.children(recursive=True), command), timeout=300
    )
    assert alive == []


def wait_for_steps(services: Services, run_id: UUID) -> list[psutil.Process]:
    """Everything below the worker, once the run's cold start has done a step."""
    deadline = time.monotonic() + 900
    written = f"work/*-{str(run_id)[:8]}/cold_start-*/output/metrics.jsonl"
    while time.monotonic() < deadline:
        if list(services.settings.home.glob(written)):
            return supervisor(services, "worker").children(recursive=True)
        time.sleep(0.5)
    raise AssertionError("no step was done")


def kill_with_its_tree(process: psutil.Process) -> None:
    """Kills a process, and waits for what it had started to end by itself."""
    tree = process.children(recursive=True)
    process.kill()
    _, alive = psutil.wait_procs([process, *tree], timeout=300)
    assert alive == []
