"""vLLM's own OpenAI-compatible server on loopback, on CPUs."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from infra.seaweed import free_ports
from tests.standstill import tell

MODEL = "served"
LOG_CHARACTERS = 3000
ENVIRONMENT = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_HOST_IP": "127.0.0.1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "TORCHDYNAMO_DISABLE": "1",  # else it compiles two kernels, for which a bare machine has no g++
    "OMP_NUM_THREADS": "1",
}


@contextmanager
def vllm_server(
    model: Path, log: Path, max_length_tokens: int
) -> Iterator[tuple[str, list[psutil.Process]]]:
    """Serves a model for as long as a `with` lasts; yields its address and its processes.

    Args:
        model: Its folder.
        log: A file for what the server prints.
        max_length_tokens: Of a prompt and its response.
    """
    (port,) = free_ports(1)
    command = [
        # What `vllm serve` runs. The command itself asks for the version of a package `vllm`, and
        # the build for CPUs has another name.
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(model), "--served-model-name", MODEL),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--dtype", "float32", "--enforce-eager", "--max-model-len", str(max_length_tokens)),
        *("--no-enable-chunked-prefill", "--max-num-batched-tokens", "4096"),
        *("--generation-config", "vllm", "--disable-log-stats"),
    ]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, env=os.environ | ENVIRONMENT, stdout=output, stderr=subprocess.STDOUT
        ) as server,
    ):
        try:
            _wait_until_healthy(server, port, log)
            yield f"http://127.0.0.1:{port}/v1", _family(server)
        finally:
            _end(server)


def _wait_until_healthy(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    while server.poll() is None:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health", timeout=5).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.25)
    raise RuntimeError(f"The server did not start: {log.read_text()[-LOG_CHARACTERS:]}")


def _family(server: subprocess.Popen[bytes]) -> list[psutil.Process]:
    own = psutil.Process(server.pid)
    return [own, *own.children(recursive=True)]


def _end(server: subprocess.Popen[bytes]) -> None:
    """Ends the server and the engine's process below it."""
    if server.poll() is not None:
        return
    family = _family(server)
    server.terminate()
    _, alive = psutil.wait_procs(family, timeout=30)
    for process in alive:
        process.kill()


class StandingStill(logging.Handler):
    """Stops a server as its first question is sent, until that timed out and is sent again."""

    def __init__(self, server: list[psutil.Process]) -> None:
        super().__init__(logging.DEBUG)
        self.server, self.num_sent, self.num_lost, self.goes_on = server, 0, 0, False

    def emit(self, record: logging.LogRecord) -> None:
        said = record.getMessage()  # by httpcore, before and after what it does
        if said.startswith("receive_response_headers.failed"):
            self.num_lost += 1
        elif said.startswith("send_request_headers.started") and "POST" in said:
            self.num_sent += 1
            if self.num_sent == 2:  # behind the one that asks whether it sees
                tell(self.server, signal.SIGSTOP)
            elif self.num_lost and not self.goes_on:
                self.goes_on = True
                tell(self.server, signal.SIGCONT)


@contextmanager
def standing_still(server: list[psutil.Process]) -> Iterator[StandingStill]:
    """See `StandingStill`; for as long as a `with` lasts."""
    watch, logger = StandingStill(server), logging.getLogger("httpcore")
    level = logger.level
    logger.addHandler(watch)
    logger.setLevel(logging.DEBUG)
    try:
        yield watch
    finally:
        tell(server, signal.SIGCONT)
        logger.removeHandler(watch)
        logger.setLevel(level)
