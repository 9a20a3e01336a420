"""Memory that runs out, and ranks that are gone, told from everything else."""

import os
import re

import psutil
import pytest
import torch
import torch.distributed as dist

from contracts.errors import DataError, OutOfMemoryError
from training.learner.learner import Learner
from training.recipe.effects import STAGE_KINDS, result_fields
from training.recipe.recipe import HardwareRecipe, parse_recipe
from training.recipe.stages import OptimizerRecipe
from training.runtime import device
from training.runtime.failures import (
    SETTINGS,
    held_by_others,
    is_lost_rank,
    is_out_of_memory,
    phase,
)

# As the libraries say it: vLLM's allocator when it wakes up (csrc/cumem_allocator.cpp), its start
# (v1/worker/utils.py, v1/core/kv_cache_utils.py), torch of page-locked memory, cuBLAS, NCCL.
WAKING = "CUDA Error: out of memory at /workspace/csrc/cumem_allocator.cpp:139"
NO_ROOM = "Free memory on device cuda:0 (20.1/79.1 GiB) on startup is less than desired GPU memory"
NO_CACHE = (
    "(0.88 GiB KV cache is needed, which is larger than the available KV cache memory (0.5 GiB)"
)
PINNED = "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"
CUBLAS = "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"
NCCL = (
    "NCCL error in: ProcessGroupNCCL.cpp:3699, unhandled cuda error, NCCL version 2.29.7\n"
    "ncclUnhandledCudaError: Call to CUDA function failed.\n"
    "Last error:\nCuda failure 2 'out of memory'"
)
SEGMENT = "Error while creating shared memory segment /dev/shm/nccl-4bF (size 9637888)"
CUDA = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 GiB"


def test_memory_of_the_host_that_really_runs_out_is_named_with_its_phase():
    with pytest.raises(OutOfMemoryError) as caught, phase("loading"):
        torch.empty(10**15, dtype=torch.uint8)
    assert "while loading" in caught.value.what
    assert "1000000000000000 bytes" in caught.value.what  # what was asked
    assert "hardware.zero_stage" in caught.value.fix


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError(CUDA)])
@pytest.mark.parametrize("name", SETTINGS)
def test_every_phase_names_what_to_change(name, error):
    @phase(name)
    def work() -> None:
        raise error

    with pytest.raises(OutOfMemoryError) as caught:
        work()
    assert caught.value.where == f"phase {name}" and SETTINGS[name] in caught.value.fix
    assert str(error) in caught.value.what


@pytest.mark.parametrize(
    "error",
    [
        *(RuntimeError(WAKING), ValueError(NO_ROOM), ValueError(NO_CACHE), RuntimeError(CUBLAS)),
        *(torch.AcceleratorError(PINNED), dist.DistBackendError(NCCL)),
    ],
)
def test_memory_that_runs_out_inside_a_library_is_no_crash_and_no_lost_rank(error):
    assert is_out_of_memory(error)
    with pytest.raises(OutOfMemoryError) as caught, phase("refreshing the sampler"):
        raise error
    assert " ".join(str(error).split()) in caught.value.what
    assert "rollout.memory_fraction" in caught.value.fix


def test_shared_memory_is_named_where_it_is_what_ran_out():
    with pytest.raises(OutOfMemoryError) as caught, phase("update"):
        raise dist.DistBackendError(f"NCCL error in: ...\nLast error:\n{SEGMENT}")
    assert "/dev/shm" in caught.value.fix and "tokens_per_micro_batch" not in caught.value.fix


def test_what_this_process_held_is_named():
    with pytest.raises(OutOfMemoryError) as caught, phase("saving"):
        raise MemoryError
    held = re.search(r"measured: .*?([\d.]+) GiB of the host", caught.value.what)
    # torch alone takes more than a tenth of a GiB.
    assert held is not None and 0.1 < float(held[1]) < psutil.virtual_memory().total / 2**30


def test_a_gpu_that_cannot_even_be_asked_does_not_cost_the_message(monkeypatch):
    """CUDA's own context takes memory, too. The device is made up: there is none here."""

    def fail() -> None:
        raise torch.AcceleratorError(PINNED)

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", fail)
    with pytest.raises(OutOfMemoryError, match="CUDA out of memory") as caught, phase("update"):
        raise torch.OutOfMemoryError(CUDA)
    assert re.search(r"nothing of the GPU \(CUDA error: .* GiB of the host", caught.value.what)


# As torch 2.13 puts it (`torch.cuda.list_gpu_processes`).
LISTED = """GPU:1
process       4711 uses    12288.000 MB GPU memory
process         42 uses    70144.500 MB GPU memory
process    1048577 uses      512.000 MB GPU memory"""


def test_who_else_holds_the_gpu_is_named_before_a_setting(monkeypatch):
    """Not where the ids are of another namespace: then nobody knows which one is this process."""
    assert held_by_others(LISTED, 42) == {4711: 12.0, 1048577: 0.5}
    assert held_by_others(LISTED, 1) == {}
    assert held_by_others("pynvml module not found, please install nvidia-ml-py", 42) == {}
    assert held_by_others("GPU:0\nno processes are running", 42) == {}
    # The device is made up: there is none here.
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "list_gpu_processes", lambda: LISTED)
    for own, begins in ((42, "end what else is on this GPU, process 4711 (12.0 GiB) and"), (1, "")):
        monkeypatch.setattr(os, "getpid", lambda own=own: own)
        with pytest.raises(OutOfMemoryError) as caught, phase("sampling"):
            raise RuntimeError(NO_ROOM)
        assert caught.value.fix.startswith(begins or SETTINGS["sampling"])
        assert SETTINGS["sampling"] in caught.value.fix
    # Nor where it is the host's memory that ran out.
    monkeypatch.setattr(os, "getpid", lambda: 42)
    for error in (MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")):
        with pytest.raises(OutOfMemoryError) as caught, phase("sampling"):
            raise error
        assert "end what else" not in caught.value.fix


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("shapes do not fit"),
        ValueError("no such name"),
        DataError("a", where="b", rule="c", fix="d"),
    ],
)
def test_other_errors_pass_through(error):
    with pytest.raises(type(error)) as caught, phase("update"):
        raise error
    assert caught.value is error


def test_the_innermost_phase_counts():
    with pytest.raises(OutOfMemoryError, match="while saving"), phase("update"), phase("saving"):
        raise MemoryError


def test_an_update_without_memory_says_so(tiny_policy, images):
    from training.model.encoding import TokenSequence, encode_prompt, encode_response
    from training.model.forward import ForwardSettings
    from training.rollout.protocol import Prompt

    device.start(1)
    learner = Learner(
        tiny_policy,
        optimizer=OptimizerRecipe(learning_rate=1e-3),
        hardware=HardwareRecipe(),
        num_updates=1,
        tokens_per_micro_batch=100,
    )
    prompt = encode_prompt(tiny_policy, Prompt("2+3?"))
    batch = [TokenSequence(prompt, encode_response(tiny_policy, "5"))]

    def loss(*_):
        raise torch.OutOfMemoryError(CUDA)

    with pytest.raises(OutOfMemoryError, match=r"while update: CUDA out of memory. .* 2.00 GiB"):
        learner.update(batch, loss, ForwardSettings())


def test_a_collective_that_fails_is_a_lost_rank():
    gloo = "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer"
    assert is_lost_rank(RuntimeError(gloo))
    assert is_lost_rank(dist.DistBackendError("NCCL error in: ..."))
    assert is_lost_rank(dist.DistNetworkError("Connection reset"))
    assert not is_lost_rank(RuntimeError("shapes do not fit"))
    # A card that has broken is the machine's fault, and a kernel that reads elsewhere is not.
    broken = "CUDA error: uncorrectable ECC error encountered\nCUDA kernel errors might be"
    assert is_lost_rank(torch.AcceleratorError(broken))
    assert is_lost_rank(RuntimeError("CUDA Error: no CUDA-capable device is detected at c.cpp:1"))
    assert not is_lost_rank(torch.AcceleratorError("CUDA error: an illegal memory access was"))
    assert not is_lost_rank(KeyError("gloo"))


def test_what_an_error_asks_to_change_changes_no_result(tiny_recipe):
    """A stage's key is made of these fields: with other values for memory it is the same."""
    values = tiny_recipe.model_dump(mode="json")
    values["rollout"] = {"engine": "vllm", "memory_fraction": 0.5}
    stages = [
        values["stages"][0],
        {"kind": "rl", "name": "rl", "data": values["stages"][0]["data"], "num_steps": 1}
        | {"prompts_per_step": 1, "group_size": 2, "max_response_tokens": 4}
        | {"optimizer": {"learning_rate": 1e-3}, "rewards": [{"kind": "accuracy"}]},
    ]
    other = {"zero_stage": 3, "activation_checkpointing": True, "num_processes": 4}
    changed = values | {
        "hardware": values["hardware"] | other | {"retries": 0, "collective_timeout_minutes": 1.0},
        "rollout": {"engine": "vllm", "memory_fraction": 0.3},
        "stages": [stage | {"tokens_per_micro_batch": 17} for stage in stages],
        "checkpoints": {"every_minutes": 1.0},
    }
    before = parse_recipe(values | {"stages": stages}, where="tests")
    after = parse_recipe(changed, where="tests")
    names = ["curate", *(stage.name for stage in before.stages), "evaluate"]
    assert len(names) == len(STAGE_KINDS)
    for name in names:
        assert result_fields(before, name) == result_fields(after, name)
