"""The processes of services that a test started, and waiting for them."""

import json
import time
from uuid import UUID

import psutil


def supervisor(services, name: str) -> psutil.Process:
    path = services.settings.home / "services" / f"{name}.json"
    return psutil.Process(json.loads(path.read_text())["pid"])


def with_command(processes, text: str) -> list[psutil.Process]:
    found = []
    for process in processes:
        try:
            if text in " ".join(process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def wait_for_stage(services) -> list[psutil.Process]:
    """Everything below the worker, once a stage's own process is among it."""
    worker = supervisor(services, "worker")
    deadline = time.monotonic() + 900
    while time.monotonic() < deadline:
        processes = worker.children(recursive=True)
        # torchrun's own command line names the stage too: wait for one more.
        if len(with_command(processes, "training.stage")) > 2:
            return processes
        time.sleep(0.5)
    raise AssertionError("no stage started")


def wait_for_the_end_of_processes(worker: psutil.Process, command: str) -> None:
    _, alive = psutil.wait_procs(
        with_command(worker.children(recursive=True), command), timeout=300
    )
    assert alive == []


def wait_for_steps(services, run_id: UUID) -> list[psutil.Process]:
    """Everything below the worker, once the run's cold start has done a step."""
    deadline = time.monotonic() + 900
    written = f"work/*-{str(run_id)[:8]}/cold_start-*/output/metrics.jsonl"
    while time.monotonic() < deadline:
        if list(services.settings.home.glob(written)):
            return supervisor(services, "worker").children(recursive=True)
        time.sleep(0.5)
    raise AssertionError("no step was done")
