"""The HTTP engine against a real `vllm serve`, on CPUs, with the shipped pocket base."""

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from infra.seaweed import free_ports
from training.model.policy import load_policy
from training.recipe.endpoint import ConnectionRecipe, EndpointRecipe
from training.recipe.recipe import ModelRecipe
from training.rollout.http_engine import HttpEngine
from training.rollout.protocol import Prompt, Request, SamplingSettings
from training.rollout.transformers_engine import TransformersEngine
from training.runtime import device

pytestmark = pytest.mark.slow

BASE = Path(__file__).parents[3] / "infra/models/pocket-base"
SYSTEM_PROMPT = "Think in <think></think>, then answer in \\boxed{}."
QUIET = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "TORCHDYNAMO_DISABLE": "1",  # else it compiles two kernels, for which a bare machine has no g++
    "OMP_NUM_THREADS": "1",
    "VLLM_HOST_IP": "127.0.0.1",
}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    (port,) = free_ports(1)
    log_path = tmp_path_factory.mktemp("serve") / "log.txt"
    command = [
        # What `vllm serve` runs; the command itself asks for the version of a package `vllm`, and
        # the CPU build's is called otherwise.
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(BASE)),
        *("--host", "127.0.0.1", "--port", str(port), "--served-model-name", "pocket"),
        *("--dtype", "float32", "--enforce-eager", "--max-model-len", "512"),
        *("--no-enable-chunked-prefill", "--max-num-batched-tokens", "4096"),
        *("--generation-config", "vllm", "--disable-log-stats"),
    ]
    with (
        log_path.open("wb") as log,
        subprocess.Popen(
            command, env=os.environ | QUIET, stdout=log, stderr=subprocess.STDOUT
        ) as server,
    ):
        try:
            while server.poll() is None:
                try:
                    if httpx.get(f"http://127.0.0.1:{port}/health", timeout=5).is_success:
                        break
                except httpx.TransportError:
                    time.sleep(0.25)
            assert server.poll() is None, log_path.read_text()[-3000:]
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            if server.poll() is None:
                family = psutil.Process(server.pid).children(recursive=True)
                server.terminate()
                server.wait(timeout=60)
                for process in psutil.wait_procs(family, timeout=30)[1]:
                    process.kill()


def test_a_real_server_answers_as_the_model_does_in_our_own_engine(served, images):
    settings = SamplingSettings(24, temperature=0.0)
    prompts = [
        Prompt("2 + 3 = ?"),
        Prompt("What is shown?", images[:1]),
        Prompt("<image> and <image>: what do they show?", images[3:5]),
        Prompt("7 - 4 = ?"),
    ]
    asked = [Request(str(n), one, settings, "5", "rule") for n, one in enumerate(prompts)]
    device.start(1)
    policy = load_policy(BASE, ModelRecipe(path="unused"), system_prompt=SYSTEM_PROMPT)
    remote = HttpEngine(
        EndpointRecipe(address=served, model="pocket"),
        ConnectionRecipe(concurrency=4, retries=0),
        system_prompt=SYSTEM_PROMPT,
    )
    remote.check(sees=True)
    ours, theirs = (
        {request.id: one for some in engine.stream(iter([asked]), 0) for request, one in some}
        for engine in (TransformersEngine(policy), remote)
    )
    assert {n: [one.text for one in samples] for n, samples in theirs.items()} == {
        n: [one.text for one in samples] for n, samples in ours.items()
    }
    assert {n: [one.num_tokens for one in samples] for n, samples in theirs.items()} == {
        n: [one.num_tokens for one in samples] for n, samples in ours.items()
    }
    assert any(one.text for samples in theirs.values() for one in samples)

    drawn = SamplingSettings(24, temperature=1.0, samples_per_prompt=3)
    several = [Request(str(n), one, drawn, "5", "rule") for n, one in enumerate(prompts)]
    first, again, other = (
        {one.id: s for some in remote.stream(iter([several]), seed) for one, s in some}
        for seed in (0, 0, 1)
    )
    assert first == again != other  # this server heeds the seeds
    assert len({one.text for samples in first.values() for one in samples}) > 4
